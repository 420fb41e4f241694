#include "router/packet/icmp.h"

#include <algorithm>
#include <cstring>

#include "router/base/byte_order.h"
#include "router/packet/checksum.h"
#include "router/packet/ip_header.h"

namespace greywire {
namespace {

constexpr std::size_t kIcmpHeaderSize = 8;
constexpr std::uint8_t kHopLimit = 64;
constexpr std::size_t kMaxIpv4Error = 576;           // RFC 1812 §4.3.2.3
constexpr std::size_t kMaxIpv6Error = 1280;          // RFC 4443 §2.4 c
constexpr std::uint8_t kInternetworkControl = 0xc0;  // RFC 1812 §4.3.2.5

constexpr std::uint8_t kV4EchoReply = 0;
constexpr std::uint8_t kV4Unreachable = 3;
constexpr std::uint8_t kV4EchoRequest = 8;
constexpr std::uint8_t kV4FragmentationNeeded = 4;  // a code of kV4Unreachable
constexpr std::uint8_t kV6Unreachable = 1;
constexpr std::uint8_t kV6PacketTooBig = 2;
constexpr std::uint8_t kV6ParameterProblem = 4;
constexpr std::uint8_t kV6EchoRequest = 128;
constexpr std::uint8_t kV6EchoReply = 129;
constexpr std::uint8_t kV6Redirect = 137;

std::size_t ip_header_size(Family family) {
  return family == Family::kV4 ? kIpv4HeaderSize : kIpv6HeaderSize;
}

void write_ip_header(std::uint8_t* out, std::size_t size, const IpAddress& source,
                     const IpAddress& destination, std::uint8_t ds_field) {
  const std::size_t header = ip_header_size(source.family());
  std::memset(out, 0, header);
  if (source.is_v4()) {
    out[0] = 0x45;
    out[1] = ds_field;
    store_be16(out + 2, static_cast<std::uint16_t>(size));
    out[8] = kHopLimit;
    out[9] = kProtocolIcmp;
    std::memcpy(out + 12, source.data(), 4);
    std::memcpy(out + 16, destination.data(), 4);
    store_be16(out + 10, checksum_finish(checksum_add(out, kIpv4HeaderSize, 0)));
    return;
  }
  store_be16(out, static_cast<std::uint16_t>(0x6000 | ds_field << 4));
  store_be16(out + 4, static_cast<std::uint16_t>(size - kIpv6HeaderSize));
  out[6] = kProtocolIcmpV6;
  out[7] = kHopLimit;
  std::memcpy(out + 8, source.data(), 16);
  std::memcpy(out + 24, destination.data(), 16);
}

// The ICMP checksum; ICMPv6's covers a pseudo-header.
std::uint16_t icmp_checksum(const std::uint8_t* packet, Family family, std::size_t icmp_at,
                            std::size_t size) {
  std::uint64_t sum = 0;
  if (family == Family::kV6) {
    sum = checksum_pseudo_header(packet, family, kProtocolIcmpV6, static_cast<std::uint32_t>(size - icmp_at));
  }
  return checksum_finish(checksum_add(packet + icmp_at, size - icmp_at, sum));
}

struct IcmpHeader {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint32_t rest = 0;
};

std::size_t write_icmp(std::span<std::uint8_t> out, const IpAddress& source, const IpAddress& destination,
                       const IcmpHeader& header, std::span<const std::uint8_t> body, std::uint8_t ds_field) {
  if (source.family() != destination.family()) return 0;
  const std::size_t icmp_at = ip_header_size(source.family());
  const std::size_t size = icmp_at + kIcmpHeaderSize + body.size();
  if (size > out.size() || size > 65535) return 0;
  std::uint8_t* icmp = out.data() + icmp_at;
  write_ip_header(out.data(), size, source, destination, ds_field);
  icmp[0] = header.type;
  icmp[1] = header.code;
  store_be16(icmp + 2, 0);
  store_be32(icmp + 4, header.rest);
  if (!body.empty()) std::memcpy(icmp + kIcmpHeaderSize, body.data(), body.size());
  store_be16(icmp + 2, icmp_checksum(out.data(), source.family(), icmp_at, size));
  return size;
}

bool is_icmp_error(Family family, std::uint8_t type) {
  if (family == Family::kV6) return type < 128 || type == kV6Redirect;
  // Unreachable, source quench, redirect, time exceeded, parameter problem.
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

// Not an address that one host uses as its own (RFC 1122 §3.2.2, RFC 4443 §2.4 e.6).
bool is_no_single_host(const IpAddress& address) {
  if (address.is_unspecified() || address.is_multicast() || address.is_loopback()) return true;
  return address.is_v4() && (address.data()[0] == 0 || address.data()[0] >= 240);
}

std::size_t write_error(std::span<std::uint8_t> out, const IcmpHeader& header,
                        const IpAddress& source_address, std::span<const std::uint8_t> offending) {
  IpPacketInfo ip;
  if (!parse_ip(offending, ip) || ip.family != source_address.family()) return 0;
  const std::size_t most = ip.family == Family::kV4 ? kMaxIpv4Error : kMaxIpv6Error;
  const std::size_t overhead = ip_header_size(ip.family) + kIcmpHeaderSize;
  const std::size_t room = std::min(out.size(), most);
  // Without the header and 8 bytes of what follows, the sender cannot tell whom it concerns.
  if (room < overhead + ip.header_size + 8U) return 0;
  const auto quoted = offending.first(std::min<std::size_t>(ip.total_size, room - overhead));
  const std::uint8_t ds_field = ip.family == Family::kV4 ? kInternetworkControl : std::uint8_t{0};
  return write_icmp(out, source_address, source(offending, ip), header, quoted, ds_field);
}

}  // namespace

std::size_t write_echo_request(std::span<std::uint8_t> out, const IpAddress& source_address,
                               const IpAddress& destination_address, std::uint16_t identifier,
                               std::uint16_t sequence, std::span<const std::uint8_t> payload,
                               std::uint8_t ds_field) {
  const IcmpHeader header{.type = source_address.is_v4() ? kV4EchoRequest : kV6EchoRequest,
                          .rest = std::uint32_t{identifier} << 16 | sequence};
  return write_icmp(out, source_address, destination_address, header, payload, ds_field);
}

bool parse_echo(std::span<const std::uint8_t> packet, EchoMessage& echo) {
  IpPacketInfo ip;
  if (!parse_ip(packet, ip) || ip.is_fragment) return false;
  const bool v4 = ip.family == Family::kV4;
  if (ip.protocol != (v4 ? kProtocolIcmp : kProtocolIcmpV6)) return false;
  if (ip.total_size < ip.header_size + kIcmpHeaderSize) return false;
  const std::uint8_t* icmp = packet.data() + ip.header_size;
  const bool request = icmp[0] == (v4 ? kV4EchoRequest : kV6EchoRequest);
  const bool reply = icmp[0] == (v4 ? kV4EchoReply : kV6EchoReply);
  if ((!request && !reply) || icmp[1] != 0) return false;
  if (icmp_checksum(packet.data(), ip.family, ip.header_size, ip.total_size) != 0) return false;
  echo.is_reply = reply;
  echo.identifier = load_be16(icmp + 4);
  echo.sequence = load_be16(icmp + 6);
  echo.source = source(packet, ip);
  echo.destination = destination(packet, ip);
  const std::size_t payload_at = ip.header_size + kIcmpHeaderSize;
  echo.payload = packet.subspan(payload_at, ip.total_size - payload_at);
  return true;
}

std::size_t write_echo_reply(std::span<std::uint8_t> out, const EchoMessage& request, std::uint8_t ds_field) {
  if (request.is_reply || request.destination.is_multicast() || request.source.is_multicast()) return 0;
  const IcmpHeader header{.type = request.source.is_v4() ? kV4EchoReply : kV6EchoReply,
                          .rest = std::uint32_t{request.identifier} << 16 | request.sequence};
  return write_icmp(out, request.destination, request.source, header, request.payload, ds_field);
}

bool may_send_icmp_error(std::span<const std::uint8_t> offending, bool too_big) {
  IpPacketInfo ip;
  if (!parse_ip(offending, ip)) return false;
  UpperLayer upper;
  if (!find_upper_layer(offending, ip, upper) || upper.fragment_offset != 0) return false;
  if (is_no_single_host(source(offending, ip))) return false;
  const IpAddress to = destination(offending, ip);
  const bool multicast_allowed = too_big && ip.family == Family::kV6 && to.is_multicast();
  if (is_no_single_host(to) && !multicast_allowed) return false;
  const bool icmp = upper.protocol == (ip.family == Family::kV4 ? kProtocolIcmp : kProtocolIcmpV6);
  if (!icmp) return true;
  return upper.offset < ip.total_size && !is_icmp_error(ip.family, offending[upper.offset]);
}

std::size_t write_unreachable(std::span<std::uint8_t> out, Unreachable reason,
                              const IpAddress& source_address, std::span<const std::uint8_t> offending) {
  if (!may_send_icmp_error(offending)) return 0;
  const bool v4 = source_address.is_v4();
  IcmpHeader header{.type = v4 ? kV4Unreachable : kV6Unreachable};
  switch (reason) {
    case Unreachable::kNoRoute:
      header.code = 0;
      break;
    case Unreachable::kAdmin:
      header.code = v4 ? 13 : 1;
      break;
    case Unreachable::kNoEndpoint:
      header.code = v4 ? 1 : 3;
      break;
  }
  return write_error(out, header, source_address, offending);
}

std::size_t write_parameter_problem(std::span<std::uint8_t> out, const IpAddress& source_address,
                                    std::span<const std::uint8_t> offending, std::uint32_t pointer) {
  if (source_address.is_v4() || !may_send_icmp_error(offending)) return 0;
  return write_error(out, {.type = kV6ParameterProblem, .code = 0, .rest = pointer}, source_address, offending);
}

std::size_t write_packet_too_big(std::span<std::uint8_t> out, const IpAddress& source_address,
                                 std::span<const std::uint8_t> offending, Mtu mtu) {
  if (!may_send_icmp_error(offending, true)) return 0;
  IpPacketInfo ip;
  if (!parse_ip(offending, ip) || !ip.dont_fragment) return 0;
  if (ip.family == Family::kV4) {
    const IcmpHeader header{.type = kV4Unreachable,
                            .code = kV4FragmentationNeeded,
                            .rest = std::min<std::uint32_t>(mtu.bytes, 65535)};
    return write_error(out, header, source_address, offending);
  }
  return write_error(out, {.type = kV6PacketTooBig, .code = 0, .rest = mtu.bytes}, source_address, offending);
}

}  // namespace greywire
