// What a router says about a packet of ours that was too big: ICMP Fragmentation Needed (RFC 792, RFC 1191) and ICMPv6
// Packet Too Big (RFC 4443 §3.2). Only a hint (RFC 8899 §4.6): anybody can send one, so it is used only where it quotes
// something that nobody off the path can know, and even then it is tested. Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "router/base/ids.h"
#include "router/base/ip_address.h"

namespace greywire::pmtu {

struct TooBigReport {
  Mtu mtu;                           // of the next link, as it says
  std::uint16_t source_port = 0;     // of the quoted datagram: ours, when it is
  Endpoint destination;              // of the quoted datagram; no scope
  std::uint32_t receiver_index = 0;  // the quoted WireGuard message is transport data with these
  std::uint64_t counter = 0;
};

// `packet`: over IPv4 a whole packet with its IP header, as a raw socket brings it; over IPv6 the ICMPv6 message alone.
// Nothing unless it is such a report about a UDP datagram with the whole header of WireGuard transport data: routers quote
// more than the 28 bytes that RFC 792 asks for, and those which do not are not believed. The ICMP checksum must be right
// over IPv4; over IPv6 the kernel has looked at it.
std::optional<TooBigReport> parse_too_big(Family family, std::span<const std::uint8_t> packet);

}  // namespace greywire::pmtu
