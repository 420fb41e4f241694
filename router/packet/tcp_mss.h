// Lowers the maximum segment size that a passing SYN announces (RFC 9293 §3.7.1), so that TCP over a tunnel
// never depends on ICMP too-big messages.
#pragma once

#include <cstdint>
#include <span>

namespace greywire {

// Whether the TCP checksum stands for the whole segment, or is a pseudo-header sum that someone else
// completes (NEEDS_CSUM from a TUN): that one does not cover the options and must stay as it is.
enum class TcpChecksum : std::uint8_t { kComplete, kPartial };

// True if the packet was changed. Only a SYN (with or without ACK) over IPv4 or IPv6 without extension
// headers, not a fragment, whose MSS option is above `mss`. Options that do not parse up to the MSS are left
// alone. A packet without the option is left alone too: its sender then uses 536 or 1220 (RFC 9293 §3.7.1).
bool clamp_tcp_mss(std::span<std::uint8_t> ip_packet, std::uint16_t mss,
                   TcpChecksum checksum = TcpChecksum::kComplete);

}  // namespace greywire
