// ICMP (RFC 792, RFC 1191, RFC 1812) and ICMPv6 (RFC 4443): echo for probes inside the tunnel, and the errors
// that a router owes a sender. Everything is written as a whole IP packet, checksums done; a size of 0 means
// that nothing was written, because it does not fit, the families differ, or the answer is forbidden.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "router/base/ids.h"
#include "router/base/ip_address.h"

namespace greywire {

struct EchoMessage {
  bool is_reply = false;
  std::uint16_t identifier = 0;
  std::uint16_t sequence = 0;
  IpAddress source;
  IpAddress destination;
  std::span<const std::uint8_t> payload;  // inside the packet that was parsed
};

// An echo request from `source` to `destination`, hop limit 64.
std::size_t write_echo_request(std::span<std::uint8_t> out, const IpAddress& source,
                               const IpAddress& destination, std::uint16_t identifier, std::uint16_t sequence,
                               std::span<const std::uint8_t> payload, std::uint8_t ds_field = 0);

// True for an echo request or reply with a right checksum that is no fragment.
bool parse_echo(std::span<const std::uint8_t> packet, EchoMessage& echo);

// The reply to a request that parse_echo accepted: addresses swapped, the rest as it came. Not to one that
// was sent to or from a multicast address.
std::size_t write_echo_reply(std::span<std::uint8_t> out, const EchoMessage& request,
                             std::uint8_t ds_field = 0);

enum class Unreachable : std::uint8_t {
  kNoRoute,     // nobody's prefix: IPv4 code 0 (network), IPv6 code 0
  kAdmin,       // routed but refused: IPv4 code 13, IPv6 code 1
  kNoEndpoint,  // a peer's prefix, the peer not reachable: IPv4 code 1 (host), IPv6 code 3 (address)
};

// Whether an error may be sent about `offending` at all (RFC 1812 §4.3.2.7, RFC 4443 §2.4 e): not about an
// ICMP error or redirect, nor to or from a multicast, broadcast, unspecified or loopback address, nor about a
// fragment but the first. `too_big`: ICMPv6 Packet Too Big is allowed for multicast destinations, and only
// that.
bool may_send_icmp_error(std::span<const std::uint8_t> offending, bool too_big = false);

// Errors from `source` to the sender of `offending`, with as much of it as 576 (IPv4) or 1280 (IPv6) bytes
// allow and `out` has room for. 0 if may_send_icmp_error says no. Rate limits are the caller's.
std::size_t write_unreachable(std::span<std::uint8_t> out, Unreachable reason, const IpAddress& source,
                              std::span<const std::uint8_t> offending);

// ICMPv6 Parameter Problem, code 0 (RFC 4443 §3.4); `pointer` is the offset in `offending`. 0 over IPv4.
std::size_t write_parameter_problem(std::span<std::uint8_t> out, const IpAddress& source,
                                    std::span<const std::uint8_t> offending, std::uint32_t pointer);

// IPv4: Fragmentation Needed (RFC 1191), only if DF was set. IPv6: Packet Too Big; `mtu` below 1280 is
// written as it is.
std::size_t write_packet_too_big(std::span<std::uint8_t> out, const IpAddress& source,
                                 std::span<const std::uint8_t> offending, Mtu mtu);

}  // namespace greywire
