#include "router/packet/ip_header.h"

#include "router/base/byte_order.h"
#include "router/packet/checksum.h"

namespace greywire {
namespace {

bool parse_ipv4(std::span<const std::uint8_t> packet, IpPacketInfo& info) {
  if (packet.size() < kIpv4HeaderSize) return false;
  const std::uint8_t* p = packet.data();
  const std::size_t header_size = (p[0] & 0x0fU) * 4U;
  const std::size_t total_size = load_be16(p + 2);
  if (header_size < kIpv4HeaderSize || total_size < header_size || total_size > packet.size()) return false;
  const std::uint16_t fragment = load_be16(p + 6);
  info.family = Family::kV4;
  info.protocol = p[9];
  info.ds_field = p[1];
  info.hop_limit = p[8];
  info.is_fragment = (fragment & 0x3fff) != 0;
  info.dont_fragment = (fragment & 0x4000) != 0;
  info.header_size = static_cast<std::uint16_t>(header_size);
  info.total_size = static_cast<std::uint32_t>(total_size);
  return true;
}

bool parse_ipv6(std::span<const std::uint8_t> packet, IpPacketInfo& info) {
  if (packet.size() < kIpv6HeaderSize) return false;
  const std::uint8_t* p = packet.data();
  const std::size_t total_size = kIpv6HeaderSize + load_be16(p + 4);
  if (total_size > packet.size()) return false;
  info.family = Family::kV6;
  info.protocol = p[6];
  info.ds_field = static_cast<std::uint8_t>(load_be16(p) >> 4);
  info.hop_limit = p[7];
  info.is_fragment = p[6] == kProtocolFragment;
  info.dont_fragment = true;
  info.header_size = kIpv6HeaderSize;
  info.total_size = static_cast<std::uint32_t>(total_size);
  return true;
}

}  // namespace

bool parse_ip(std::span<const std::uint8_t> packet, IpPacketInfo& info) {
  if (packet.empty()) return false;
  switch (packet[0] >> 4) {
    case 4:
      return parse_ipv4(packet, info);
    case 6:
      return parse_ipv6(packet, info);
    default:
      return false;
  }
}

bool find_upper_layer(std::span<const std::uint8_t> packet, const IpPacketInfo& info, UpperLayer& upper) {
  upper = {.protocol = info.protocol, .offset = info.header_size};
  const std::uint8_t* p = packet.data();
  if (info.family == Family::kV4) {
    upper.is_fragment = info.is_fragment;
    upper.fragment_offset = static_cast<std::uint16_t>((load_be16(p + 6) & 0x1fff) * 8);
    return true;
  }
  for (;;) {
    std::uint32_t size = 0;
    switch (upper.protocol) {
      case kProtocolHopByHop:
      case kProtocolRouting:
      case kProtocolDestinationOptions:
      case kProtocolFragment:
        if (upper.offset + 8 > info.total_size) return false;
        size = upper.protocol == kProtocolFragment ? 8 : (p[upper.offset + 1] + 1U) * 8U;
        break;
      default:
        return true;
    }
    if (upper.offset + size > info.total_size) return false;
    const std::uint8_t next = p[upper.offset];
    if (upper.protocol == kProtocolFragment) {
      upper.is_fragment = true;
      upper.fragment_offset = load_be16(p + upper.offset + 2) & 0xfff8;
    }
    upper.protocol = next;
    upper.offset += size;
    // What follows in a later fragment is data, whatever it looks like.
    if (upper.fragment_offset != 0) return true;
  }
}

IpAddress source(std::span<const std::uint8_t> packet, const IpPacketInfo& info) {
  if (info.family == Family::kV4) return IpAddress::v4(packet.subspan<12, 4>());
  return IpAddress::v6(packet.subspan<8, 16>());
}

IpAddress destination(std::span<const std::uint8_t> packet, const IpPacketInfo& info) {
  if (info.family == Family::kV4) return IpAddress::v4(packet.subspan<16, 4>());
  return IpAddress::v6(packet.subspan<24, 16>());
}

void set_ds_field(std::span<std::uint8_t> packet, IpPacketInfo& info, std::uint8_t ds_field) {
  std::uint8_t* p = packet.data();
  info.ds_field = ds_field;
  const std::uint16_t before = load_be16(p);
  if (info.family == Family::kV4) {
    p[1] = ds_field;
    store_be16(p + 10, checksum_update(load_be16(p + 10), before, load_be16(p)));
  } else {
    store_be16(p, static_cast<std::uint16_t>((before & 0xf00f) | ds_field << 4));
  }
}

bool ecn_into(std::span<std::uint8_t> packet, IpPacketInfo& info, std::uint8_t outer_ds_field) {
  if ((outer_ds_field & kEcnMask) == (info.ds_field & kEcnMask)) return true;
  const auto ecn = ecn_decapsulate(info.ds_field, outer_ds_field);
  if (!ecn) return false;
  if (*ecn == (info.ds_field & kEcnMask)) return true;
  set_ds_field(packet, info, static_cast<std::uint8_t>((info.ds_field & ~kEcnMask) | *ecn));
  return true;
}

}  // namespace greywire
