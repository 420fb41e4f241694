// A validated view of an IPv4 or IPv6 packet's header, cheap enough to be taken for every packet, and the few
// fields that a tunnel changes. RFC 791, RFC 8200, RFC 3168, RFC 6040.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "router/base/ip_address.h"

namespace greywire {

inline constexpr std::size_t kIpv4HeaderSize = 20;  // without options
inline constexpr std::size_t kIpv6HeaderSize = 40;

inline constexpr std::uint8_t kProtocolHopByHop = 0;
inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolRouting = 43;
inline constexpr std::uint8_t kProtocolFragment = 44;
inline constexpr std::uint8_t kProtocolGre = 47;
inline constexpr std::uint8_t kProtocolIcmpV6 = 58;
inline constexpr std::uint8_t kProtocolNoNext = 59;
inline constexpr std::uint8_t kProtocolDestinationOptions = 60;

struct IpPacketInfo {
  Family family = Family::kV4;
  std::uint8_t protocol = 0;      // IPv4: Protocol. IPv6: the first Next Header; see find_upper_layer
  std::uint8_t ds_field = 0;      // DSCP and ECN, 8 bits
  std::uint8_t hop_limit = 0;     // TTL in IPv4
  bool is_fragment = false;       // IPv6: only if the Fragment header comes first, as it does without options
  bool dont_fragment = false;     // IPv6: always
  std::uint16_t header_size = 0;  // IPv4: with options, 20-60. IPv6: 40
  std::uint32_t total_size = 0;   // header and payload; what the packet has beyond this is padding
};

// False unless version and lengths are sane: a whole header, and header_size <= total_size <= packet.size().
// `info` is then not to be used. Neither checksum nor addresses are looked at.
bool parse_ip(std::span<const std::uint8_t> packet, IpPacketInfo& info);

// Where the upper layer begins, IPv6 extension headers skipped (Hop-by-Hop, Routing, Destination Options,
// Fragment).
struct UpperLayer {
  std::uint8_t protocol = 0;
  std::uint32_t offset = 0;           // from the start of the packet
  bool is_fragment = false;           // then `protocol` and `offset` describe the fragment's own payload
  std::uint16_t fragment_offset = 0;  // bytes; not zero: there is no upper-layer header here
};

// False when an extension header is cut short.
bool find_upper_layer(std::span<const std::uint8_t> packet, const IpPacketInfo& info, UpperLayer& upper);

// Network-order bytes inside the packet, 4 or 16 of them, for look-ups. Valid as long as the packet is.
inline const std::uint8_t* source_bytes(std::span<const std::uint8_t> packet, const IpPacketInfo& info) {
  return packet.data() + (info.family == Family::kV4 ? 12 : 8);
}
inline const std::uint8_t* destination_bytes(std::span<const std::uint8_t> packet, const IpPacketInfo& info) {
  return packet.data() + (info.family == Family::kV4 ? 16 : 24);
}
IpAddress source(std::span<const std::uint8_t> packet, const IpPacketInfo& info);
IpAddress destination(std::span<const std::uint8_t> packet, const IpPacketInfo& info);

// Sets DSCP and ECN and keeps the IPv4 header checksum right. `info.ds_field` follows.
void set_ds_field(std::span<std::uint8_t> packet, IpPacketInfo& info, std::uint8_t ds_field);

// The two low bits of the DS field (RFC 3168 §5).
inline constexpr std::uint8_t kEcnMask = 3;
inline constexpr std::uint8_t kEcnNotEct = 0;
inline constexpr std::uint8_t kEcnEct1 = 1;
inline constexpr std::uint8_t kEcnEct0 = 2;
inline constexpr std::uint8_t kEcnCe = 3;

// RFC 6040 §4.1, normal mode: the outer header's ECN bits are the inner's.
constexpr std::uint8_t ecn_encapsulate(std::uint8_t inner_ds_field) {
  return inner_ds_field & kEcnMask;
}

// CS6, network control (RFC 4594 §3.1): BGP, BFD, OSPF. It goes before everything else, and so does what is above it.
inline constexpr std::uint8_t kCs6 = 48 << 2;
constexpr bool is_routing_traffic(std::uint8_t ds_field) { return ds_field >= kCs6; }

// Which packets' DSCP a header around them shows.
enum class OuterDscp : std::uint8_t { kZero, kRouting, kCopy };

// The DS field of a header that is put around a packet: ECN always follows the inner one, the DSCP is 0 unless it is to
// be copied (RFC 2983 §3, the uniform model; what it was is kept inside either way).
constexpr std::uint8_t outer_ds_field(std::uint8_t inner_ds_field, OuterDscp policy) {
  const bool copied = policy == OuterDscp::kCopy || (policy == OuterDscp::kRouting && is_routing_traffic(inner_ds_field));
  return copied ? inner_ds_field : ecn_encapsulate(inner_ds_field);
}

// RFC 6040 §4.2, figure 4: the ECN bits of the packet that leaves a tunnel; nothing when it must be dropped.
constexpr std::optional<std::uint8_t> ecn_decapsulate(std::uint8_t inner_ecn, std::uint8_t outer_ecn) {
  inner_ecn &= kEcnMask;
  outer_ecn &= kEcnMask;
  if (outer_ecn == kEcnCe) {
    if (inner_ecn == kEcnNotEct) return std::nullopt;
    return kEcnCe;
  }
  if (outer_ecn == kEcnEct1 && inner_ecn == kEcnEct0) return kEcnEct1;
  return inner_ecn;
}

// What a header around it said about congestion, into a packet; its checksum stays right and `info` follows. False where
// the packet must be dropped.
bool ecn_into(std::span<std::uint8_t> packet, IpPacketInfo& info, std::uint8_t outer_ds_field);

}  // namespace greywire
