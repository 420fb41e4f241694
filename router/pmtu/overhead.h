// What each layer costs, in bytes: the one place where MTUs are computed.
//
//   underlay packet   = IP 20/40 | UDP 8 | WireGuard header 16 | inner packet, zero-padded | tag 16
//   delivery packet   = IP 20/40 | over IPv6 options of 8 where asked for | GRE 4, and 4 each for key, sequence number,
//                       checksum | payload packet
//   GRETAP's payload  = Ethernet 14, 4 a VLAN tag | IP packet
//
// An Mtu is always that of an IP packet, or what is said. A result of 0 means that nothing fits.
// Sources: RFC 791, RFC 8200, RFC 768, WireGuard whitepaper §5.4.6, RFC 2784, RFC 2890, IEEE 802.3, 802.1Q.
#pragma once

#include <cstdint>

#include "router/base/ids.h"
#include "router/base/ip_address.h"

namespace greywire::pmtu {

inline constexpr std::uint32_t kUdpHeader = 8;
inline constexpr std::uint32_t kTransportHeader = 16;  // type, receiver index, counter
inline constexpr std::uint32_t kTransportTag = 16;     // Poly1305
inline constexpr std::uint32_t kPaddingUnit = 16;
inline constexpr std::uint32_t kEthernetHeader = 14;
inline constexpr std::uint32_t kVlanTag = 4;
inline constexpr std::uint32_t kEncapLimitOption = 8;
inline constexpr std::uint32_t kTcpHeader = 20;

inline constexpr Mtu kMinIpv6Mtu{1280};  // RFC 8200 §5; below it the kernel takes IPv6 addresses off a device
inline constexpr Mtu kMinIpv4Mtu{68};    // RFC 791 §3.2
inline constexpr Mtu kMaxMtu{65535};

// The UDP payload of a datagram that every path takes (RFC 1122 §3.3.2). For those beyond it the path's MTU matters.
inline constexpr std::uint32_t kLargeDatagram = 576 - 20 - 8;

constexpr std::uint32_t ip_header(Family family) {
  return family == Family::kV4 ? 20 : 40;
}

constexpr Mtu less(Mtu mtu, std::uint32_t overhead) {
  return mtu.bytes > overhead ? Mtu{mtu.bytes - overhead} : Mtu{0};
}

// --- WireGuard over the underlay ---

// What WireGuard adds to an inner packet, its padding apart: 60 or 80.
constexpr std::uint32_t wireguard_overhead(Family underlay) {
  return ip_header(underlay) + kUdpHeader + kTransportHeader + kTransportTag;
}

// The largest inner packet for a path whose IP packets may have `path` bytes: 1440 or 1420 of 1500. Padding
// never takes from it, see padded_size.
constexpr Mtu max_inner(Mtu path, Family underlay) {
  return less(path, wireguard_overhead(underlay));
}

// The inner packet with its zeros: the next multiple of 16, but never past the largest inner packet.
constexpr std::uint32_t padded_size(std::uint32_t inner, Mtu largest) {
  const std::uint32_t padded = (inner + kPaddingUnit - 1) / kPaddingUnit * kPaddingUnit;
  if (padded <= largest.bytes) return padded;
  return inner > largest.bytes ? inner : largest.bytes;
}

// The UDP payload of transport data, and the whole underlay packet, for an inner packet that is padded
// already.
constexpr std::uint32_t datagram_size(std::uint32_t padded) {
  return kTransportHeader + padded + kTransportTag;
}
constexpr std::uint32_t underlay_size(std::uint32_t padded, Family underlay) {
  return ip_header(underlay) + kUdpHeader + datagram_size(padded);
}

// --- GRE over the inner network ---

struct GreOptions {
  bool key = false;
  bool sequence = false;
  bool checksum = false;
  bool encap_limit = false;  // over IPv6: Destination Options with a Tunnel Encapsulation Limit
};

constexpr std::uint32_t gre_header(GreOptions options) {
  return 4 + (options.key ? 4U : 0U) + (options.sequence ? 4U : 0U) + (options.checksum ? 4U : 0U);
}
constexpr std::uint32_t gre_overhead(Family delivery, GreOptions options) {
  const bool limited = options.encap_limit && delivery == Family::kV6;
  return ip_header(delivery) + (limited ? kEncapLimitOption : 0) + gre_header(options);
}

// The largest IP packet that a GRE link carries without fragments: 1416 of 1440 without options over IPv4.
constexpr Mtu gre_payload_mtu(Mtu inner, Family delivery, GreOptions options = {}) {
  return less(inner, gre_overhead(delivery, options));
}

// ... and a GRETAP link, within frames that have `vlan_tags` tags: 1402 of 1440.
constexpr Mtu gretap_payload_mtu(Mtu inner, Family delivery, GreOptions options = {},
                                 std::uint32_t vlan_tags = 0) {
  return less(inner, gre_overhead(delivery, options) + kEthernetHeader + vlan_tags * kVlanTag);
}

// The delivery packet of an IP packet of `ip_mtu` bytes in an Ethernet frame: what a bridge at 1500 asks of a
// peer.
constexpr std::uint32_t gretap_delivery_size(Mtu ip_mtu, Family delivery, GreOptions options = {},
                                             std::uint32_t vlan_tags = 0) {
  return gre_overhead(delivery, options) + kEthernetHeader + vlan_tags * kVlanTag + ip_mtu.bytes;
}

// --- TCP ---

// The segment size to announce over IP packets of `mtu` bytes (RFC 6691: options are not subtracted).
constexpr std::uint16_t tcp_mss(Mtu mtu, Family family) {
  const std::uint32_t mss = less(mtu, ip_header(family) + kTcpHeader).bytes;
  return static_cast<std::uint16_t>(mss > 65535 ? 65535 : mss);
}

}  // namespace greywire::pmtu
