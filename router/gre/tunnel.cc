#include "router/gre/tunnel.h"

#include <cstring>

#include "router/base/byte_order.h"
#include "router/packet/checksum.h"
#include "router/packet/ip_header.h"

namespace greywire::gre {
namespace {

constexpr std::uint8_t kOptionPad1 = 0;
constexpr std::uint8_t kOptionEncapsulationLimit = 4;  // RFC 2473 §4.1.1
constexpr std::uint8_t kUnknownOptionAction = 0xc0;    // RFC 8200 §4.2: not 00 means "discard"
constexpr std::uint16_t kDontFragment = 0x4000;

// Whether a Destination Options header lets the packet pass.
bool options_pass(std::span<const std::uint8_t> header) {
  std::size_t at = 2;
  while (at < header.size()) {
    const std::uint8_t type = header[at];
    if (type == kOptionPad1) {
      ++at;
      continue;
    }
    if (at + 2 > header.size()) return false;
    if (type != kOptionEncapsulationLimit && (type & kUnknownOptionAction) != 0) return false;
    at += 2U + header[at + 1];
  }
  return at == header.size();
}

// The offset of the GRE header, or 0: no GRE, or options that forbid passing.
std::size_t find_gre(std::span<const std::uint8_t> packet, const IpPacketInfo& ip) {
  std::uint8_t protocol = ip.protocol;
  std::size_t at = ip.header_size;
  if (ip.family == Family::kV6 && protocol == kProtocolDestinationOptions) {
    if (at + 8 > ip.total_size) return 0;
    const std::size_t size = (packet[at + 1] + 1U) * 8U;
    if (at + size > ip.total_size || !options_pass(packet.subspan(at, size))) return 0;
    protocol = packet[at];
    at += size;
  }
  return protocol == kProtocolGre ? at : 0;
}

}  // namespace

Encapsulation::Encapsulation(const TunnelConfig& config) : v4_(config.local.is_v4()) {
  std::uint8_t* p = template_.data();
  const std::size_t ip_size = v4_ ? kIpv4HeaderSize : kIpv6HeaderSize;
  if (v4_) {
    p[0] = 0x45;
    store_be16(p + 6, config.dont_fragment ? kDontFragment : std::uint16_t{0});
    p[8] = config.ttl;
    p[9] = kProtocolGre;
    std::memcpy(p + 12, config.local.data(), 4);
    std::memcpy(p + 16, config.remote.data(), 4);
    ip_sum_ = checksum_add(p, kIpv4HeaderSize, 0);
  } else {
    p[0] = 0x60;
    p[6] = kProtocolGre;
    p[7] = config.ttl;
    std::memcpy(p + 8, config.local.data(), 16);
    std::memcpy(p + 24, config.remote.data(), 16);
  }
  Header header;
  header.key = config.key;
  size_ = ip_size + encode(header, p + ip_size);
  max_payload_ = 65535 - (v4_ ? size_ : size_ - ip_size);
}

void Encapsulation::write(std::uint8_t* dst, std::size_t payload_size, std::uint16_t gre_protocol,
                          std::uint8_t ds_field, std::uint16_t ipv4_id, std::uint32_t flow_label) const {
  std::memcpy(dst, template_.data(), size_);
  if (v4_) {
    const auto total = static_cast<std::uint16_t>(size_ + payload_size);
    dst[1] = ds_field;
    store_be16(dst + 2, total);
    store_be16(dst + 4, ipv4_id);
    const std::uint64_t sum = checksum_add_word(ipv4_id, checksum_add_word(total, ip_sum_));
    store_be16(dst + 10, checksum_finish(checksum_add_word(ds_field, sum)));
    store_be16(dst + kIpv4HeaderSize + 2, gre_protocol);
    return;
  }
  store_be32(dst, 0x60000000U | std::uint32_t{ds_field} << 20 | (flow_label & 0xfffff));
  store_be16(dst + 4, static_cast<std::uint16_t>(size_ - kIpv6HeaderSize + payload_size));
  store_be16(dst + kIpv6HeaderSize + 2, gre_protocol);
}

bool is_gre(std::span<const std::uint8_t> packet) {
  IpPacketInfo ip;
  if (!parse_ip(packet, ip)) return false;
  if (ip.protocol == kProtocolGre) return true;
  UpperLayer upper;
  return ip.family == Family::kV6 && find_upper_layer(packet, ip, upper) && upper.protocol == kProtocolGre;
}

std::optional<DropReason> decapsulate(std::span<std::uint8_t> packet, Decapsulated& out) {
  IpPacketInfo ip;
  if (!parse_ip(packet, ip) || ip.is_fragment) return DropReason::kGreBadHeader;
  const std::size_t at = find_gre(packet, ip);
  if (at == 0) return DropReason::kGreBadHeader;
  const auto gre = packet.subspan(at, ip.total_size - at);
  if (const auto reason = decode(gre, out.header)) return reason;
  const std::uint16_t protocol = out.header.protocol;
  if (protocol != kProtocolIpv4 && protocol != kProtocolIpv6 && protocol != kProtocolEthernet) {
    return DropReason::kGreBadProtocol;
  }
  out.payload = gre.subspan(out.header.size);
  out.protocol = protocol;
  out.ds_field = ip.ds_field;
  out.source = source(packet, ip);
  out.destination = destination(packet, ip);
  return std::nullopt;
}

DemuxKey demux_key(const TunnelConfig& config) {
  return {.local = config.local, .remote = config.remote, .key = config.key, .ethernet = config.ethernet};
}

DemuxKey demux_key(const Decapsulated& packet) {
  return {.local = packet.destination,
          .remote = packet.source,
          .key = packet.header.key,
          .ethernet = packet.protocol == kProtocolEthernet};
}

}  // namespace greywire::gre
