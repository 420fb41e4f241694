// What an Ethernet frame holds, behind its VLAN tags. IEEE 802.3, 802.1Q. Pure, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "router/base/byte_order.h"

namespace greywire {

// From the start of the frame, 14 or what VLAN tags (at most two) make of it; 0 where it holds no IPv4 or IPv6.
inline std::size_t ip_offset(std::span<const std::uint8_t> frame) {
  constexpr std::uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd, kVlan = 0x8100, kServiceVlan = 0x88a8;
  constexpr std::size_t kTag = 4, kMostTags = 2;
  std::size_t type = 12;
  for (std::size_t tags = 0; tags <= kMostTags && frame.size() >= type + 2; ++tags, type += kTag) {
    const std::uint16_t ethertype = load_be16(frame.data() + type);
    if (ethertype == kIpv4 || ethertype == kIpv6) return type + 2;
    if (ethertype != kVlan && ethertype != kServiceVlan) return 0;
  }
  return 0;
}

// Whether it holds LLC, as frames of IS-IS and spanning trees do: a length stands where others have an EtherType.
inline bool is_llc(std::span<const std::uint8_t> frame) {
  constexpr std::uint16_t kVlan = 0x8100, kServiceVlan = 0x88a8, kLeastEthertype = 0x0600;
  std::size_t type = 12;
  for (int tags = 0; tags <= 2 && frame.size() >= type + 2; ++tags, type += 4) {
    const std::uint16_t ethertype = load_be16(frame.data() + type);
    if (ethertype != kVlan && ethertype != kServiceVlan) return ethertype < kLeastEthertype;
  }
  return false;
}

}  // namespace greywire
