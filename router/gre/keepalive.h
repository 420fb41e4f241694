// GRE keepalives as Cisco routers send them: a GRE packet whose payload is the answer, ready to go back. The one who
// receives it decapsulates it and routes what is inside, which is addressed to the sender:
//
//   [IP me -> you | GRE, protocol IP | IP you -> me, protocol 47 | GRE, protocol 0]
//
// Linux's gre links only answer it where a packet from an own address is taken in; here the packet goes straight back to
// the peer it came from. Pure.
#pragma once

#include <cstdint>
#include <span>

#include "router/gre/tunnel.h"

namespace greywire::gre {

inline constexpr std::size_t kLargestKeepalive = 256;  // bytes of the answer; longer ones are payload like any other

// The answer that the payload of a delivery packet of this tunnel is; empty where it is no keepalive.
std::span<std::uint8_t> keepalive_answer(const TunnelConfig& tunnel, std::span<std::uint8_t> payload);

}  // namespace greywire::gre
