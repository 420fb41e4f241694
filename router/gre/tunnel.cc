#include "router/gre/tunnel.h"

#include <algorithm>
#include <cstring>

#include "router/base/byte_order.h"
#include "router/packet/checksum.h"
#include "router/packet/ethernet.h"
#include "router/packet/ip_header.h"

namespace greywire::gre {
namespace {

constexpr std::uint8_t kOptionPad1 = 0;
constexpr std::uint8_t kOptionPadN = 1;
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

Encapsulation::Encapsulation(const TunnelConfig& config, bool with_limit)
    : v4_(config.local.is_v4()),
      has_limit_(with_limit && !v4_),
      has_checksum_(config.checksum),
      has_sequence_(config.sequence),
      inherit_ttl_(config.ttl == 0),
      inherit_df_(config.df == DfPolicy::kInherit) {
  std::uint8_t* p = template_.data();
  gre_at_ = v4_ ? kIpv4HeaderSize : kIpv6HeaderSize;
  if (v4_) {
    p[0] = 0x45;
    store_be16(p + 6, config.df == DfPolicy::kSet ? kDontFragment : std::uint16_t{0});
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
  if (has_limit_) {
    p[6] = kProtocolDestinationOptions;
    const std::uint8_t options[8] = {kProtocolGre, 0, kOptionEncapsulationLimit, 1, config.encap_limit.value_or(0),
                                     kOptionPadN,  1, 0};
    std::memcpy(p + gre_at_, options, sizeof options);
    gre_at_ += sizeof options;
  }
  Header header;
  header.key = config.key;
  header.checksum = config.checksum;
  if (config.sequence) header.sequence = 0;
  size_ = gre_at_ + encode(header, p + gre_at_);
  max_payload_ = 65535 - (v4_ ? size_ : size_ - kIpv6HeaderSize);
}

void Encapsulation::write(std::uint8_t* dst, std::size_t payload_size, std::uint16_t gre_protocol,
                          const DeliveryFields& fields) const {
  std::memcpy(dst, template_.data(), size_);
  store_be16(dst + gre_at_ + 2, gre_protocol);
  if (has_sequence_) store_be32(dst + size_ - 4, fields.sequence);
  if (v4_) {
    const auto total = static_cast<std::uint16_t>(size_ + payload_size);
    std::uint64_t sum = checksum_add_word(fields.ipv4_id, checksum_add_word(total, ip_sum_));
    dst[1] = fields.ds_field;
    store_be16(dst + 2, total);
    store_be16(dst + 4, fields.ipv4_id);
    if (inherit_df_ && fields.dont_fragment) {
      store_be16(dst + 6, kDontFragment);
      sum = checksum_add_word(kDontFragment, sum);
    }
    if (inherit_ttl_) {
      dst[8] = fields.ttl;
      sum = checksum_add_word(static_cast<std::uint16_t>(fields.ttl << 8), sum);
    }
    store_be16(dst + 10, checksum_finish(checksum_add_word(fields.ds_field, sum)));
    return;
  }
  store_be32(dst, 0x60000000U | std::uint32_t{fields.ds_field} << 20 | (fields.flow_label & 0xfffff));
  store_be16(dst + 4, static_cast<std::uint16_t>(size_ - kIpv6HeaderSize + payload_size));
  if (inherit_ttl_) dst[7] = fields.ttl;
  if (has_limit_) dst[kIpv6HeaderSize + 4] = fields.encap_limit;
}

PlainArrival::PlainArrival(const TunnelConfig& config) {
  if (!config.remote.is_v4() || config.sequence || config.checksum) return;
  std::uint8_t bytes[8];
  std::memcpy(bytes, config.remote.data(), 4);
  std::memcpy(bytes + 4, config.local.data(), 4);
  addresses_ = load_le64(bytes);
  Header header;
  header.key = config.key;
  const auto words = [&](std::uint16_t protocol) {
    header.protocol = protocol;
    std::uint8_t encoded[8] = {};
    size_ = static_cast<std::uint32_t>(kIpv4HeaderSize + encode(header, encoded));
    key_ = load_le32(encoded + 4);
    return load_le32(encoded);
  };
  gre_ = words(config.ethernet ? kProtocolEthernet : kProtocolIpv4);
  other_gre_ = words(config.ethernet ? kProtocolEthernet : kProtocolIpv6);
}

std::size_t PlainArrival::header_size(std::span<const std::uint8_t> packet) const {
  if (size_ == 0 || packet.size() < size_) return 0;
  const std::uint8_t* p = packet.data();
  constexpr std::uint16_t kNoFragment = 0xff3f;  // of flags and offset, in memory order
  if (p[0] != 0x45 || p[9] != kProtocolGre || (load_le16(p + 6) & kNoFragment) != 0) return 0;
  if (load_le64(p + 12) != addresses_) return 0;
  const std::uint32_t gre = load_le32(p + kIpv4HeaderSize);
  if (gre != gre_ && gre != other_gre_) return 0;
  return size_ == kIpv4HeaderSize + 4 || load_le32(p + kIpv4HeaderSize + 4) == key_ ? size_ : 0;
}

std::optional<InnerEncapLimit> inner_encap_limit(std::span<const std::uint8_t> packet) {
  if (packet.size() < kIpv6HeaderSize + 8 || packet[0] >> 4 != 6 || packet[6] != kProtocolDestinationOptions) return {};
  const std::size_t end = std::min(packet.size(), kIpv6HeaderSize + (packet[kIpv6HeaderSize + 1] + 1U) * 8U);
  std::size_t at = kIpv6HeaderSize + 2;
  while (at + 2 < end) {
    if (packet[at] == kOptionPad1) {
      ++at;
      continue;
    }
    if (packet[at] == kOptionEncapsulationLimit && packet[at + 1] == 1) {
      return InnerEncapLimit{packet[at + 2], static_cast<std::uint32_t>(at + 2)};
    }
    at += 2U + packet[at + 1];
  }
  return {};
}

bool is_recursion(const TunnelConfig& config, std::span<const std::uint8_t> packet) {
  for (unsigned depth = 0; depth < kMaxNesting; ++depth) {
    IpPacketInfo ip;
    if (!parse_ip(packet, ip) || ip.is_fragment) return false;
    const std::size_t at = find_gre(packet, ip);
    if (at == 0) return false;
    if (source(packet, ip) == config.local && destination(packet, ip) == config.remote) return true;
    packet = packet.subspan(at, ip.total_size - at);
    if (packet.size() < 4) return false;
    const std::uint16_t flags = load_be16(packet.data());
    const std::uint16_t protocol = load_be16(packet.data() + 2);
    std::size_t skip = header_size((flags & 0x2000) != 0, (flags & 0x1000) != 0, (flags & 0x8000) != 0);
    if (packet.size() < skip) return false;
    packet = packet.subspan(skip);
    if (protocol == kProtocolEthernet) {
      skip = ip_offset(packet);
      if (skip == 0) return false;
      packet = packet.subspan(skip);
    }
  }
  return true;
}

bool is_gre(std::span<const std::uint8_t> packet) {
  IpPacketInfo ip;
  if (!parse_ip(packet, ip)) return false;
  if (ip.protocol == kProtocolGre) return true;
  UpperLayer upper;
  if (ip.family == Family::kV4 || !find_upper_layer(packet, ip, upper)) return false;
  // Of a packet with options before GRE, a later fragment says no more than that there were options.
  const bool later = upper.fragment_offset != 0 && upper.protocol == kProtocolDestinationOptions;
  return upper.protocol == kProtocolGre || later;
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
