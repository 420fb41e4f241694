#include "router/pmtu/icmp_report.h"

#include "router/base/byte_order.h"
#include "router/packet/checksum.h"
#include "router/packet/ip_header.h"

namespace greywire::pmtu {
namespace {

constexpr std::size_t kIcmpHeader = 8;
constexpr std::size_t kUdpHeaderSize = 8;
constexpr std::size_t kQuotedMessage = 16;  // type, receiver index, counter
constexpr std::uint32_t kTransportData = 4;
constexpr std::uint8_t kV4Unreachable = 3;
constexpr std::uint8_t kV4FragmentationNeeded = 4;
constexpr std::uint8_t kV6PacketTooBig = 2;

// Quoted headers are cut off by nature, so parse_ip, which wants the whole packet, is of no use here.
struct Quoted {
  std::size_t udp_at = 0;  // 0: no UDP, or not its beginning
  IpAddress destination;
};

Quoted quoted_v4(std::span<const std::uint8_t> q) {
  constexpr std::uint16_t kFragmentOffset = 0x1fff;
  if (q.size() < kIpv4HeaderSize || q[0] >> 4 != 4) return {};
  const std::size_t header = (q[0] & 0xf) * 4U;
  if (header < kIpv4HeaderSize || q[9] != kProtocolUdp || (load_be16(q.data() + 6) & kFragmentOffset) != 0) return {};
  return {header, IpAddress::v4(std::span<const std::uint8_t, 4>(q.data() + 16, 4))};
}

Quoted quoted_v6(std::span<const std::uint8_t> q) {
  if (q.size() < kIpv6HeaderSize || q[0] >> 4 != 6 || q[6] != kProtocolUdp) return {};
  return {kIpv6HeaderSize, IpAddress::v6(std::span<const std::uint8_t, 16>(q.data() + 24, 16))};
}

// The ICMP message; empty where it is none.
std::span<const std::uint8_t> icmp_of_v4(std::span<const std::uint8_t> packet) {
  IpPacketInfo ip;
  if (!parse_ip(packet, ip) || ip.family != Family::kV4 || ip.is_fragment || ip.protocol != kProtocolIcmp) return {};
  const auto icmp = packet.subspan(ip.header_size, ip.total_size - ip.header_size);
  if (checksum_finish(checksum_add(icmp.data(), icmp.size(), 0)) != 0) return {};
  return icmp;
}

}  // namespace

std::optional<TooBigReport> parse_too_big(Family family, std::span<const std::uint8_t> packet) {
  const bool v4 = family == Family::kV4;
  const auto icmp = v4 ? icmp_of_v4(packet) : packet;
  if (icmp.size() < kIcmpHeader) return std::nullopt;
  if (v4 ? icmp[0] != kV4Unreachable || icmp[1] != kV4FragmentationNeeded : icmp[0] != kV6PacketTooBig || icmp[1] != 0) {
    return std::nullopt;
  }
  const auto body = icmp.subspan(kIcmpHeader);
  const Quoted quoted = v4 ? quoted_v4(body) : quoted_v6(body);
  if (quoted.udp_at == 0 || body.size() < quoted.udp_at + kUdpHeaderSize + kQuotedMessage) return std::nullopt;
  const std::uint8_t* udp = body.data() + quoted.udp_at;
  const std::uint8_t* message = udp + kUdpHeaderSize;
  if (load_le32(message) != kTransportData) return std::nullopt;
  TooBigReport report;
  report.mtu = v4 ? Mtu{load_be16(icmp.data() + 6)} : Mtu{load_be32(icmp.data() + 4)};
  report.source_port = load_be16(udp);
  report.destination = {quoted.destination, load_be16(udp + 2), 0};
  report.receiver_index = load_le32(message + 4);
  report.counter = load_le64(message + 8);
  return report;
}

}  // namespace greywire::pmtu
