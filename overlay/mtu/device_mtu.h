// From what fits to each peer to the MTUs of our devices. Pure.
//
// gw0 takes the largest of its peers' (the engine tells a sender of too big a packet to a narrower peer so,
// by ICMP or by the MSS). A routed GRE link has one peer and follows it. A bridged TAP keeps its bridge's
// MTU, because a smaller port drags the whole bridge down; the engine fragments the delivery packet. No
// device goes below 1280, where the kernel takes IPv6 addresses off it; for narrower peers the engine
// fragments.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "router/base/ids.h"
#include "router/base/ip_address.h"
#include "router/pmtu/overhead.h"

namespace greywire::mtu {

struct PeerMtu {
  PeerId peer;
  Mtu inner;  // the largest inner packet of a WireGuard message to this peer; 0 while nothing is known
};

enum class TunnelDevice { kRouted, kEthernet };  // a TUN with GRE, a TAP with GRETAP or a segment

struct TunnelMtuInput {
  TunnelId tunnel;
  TunnelDevice device = TunnelDevice::kRouted;
  std::vector<PeerId> peers;  // one; several for a segment
  Family delivery = Family::kV4;
  pmtu::GreOptions gre;
  std::optional<Mtu> configured;  // wins, the floor apart
  std::optional<Mtu> bridge;      // the MTU of the bridge that the TAP is a port of
};

struct TunnelMtu {
  TunnelId tunnel;
  Mtu mtu;
  friend bool operator==(const TunnelMtu&, const TunnelMtu&) = default;
};

// The largest of the peers', at least 1280. Without peers, what `fallback` (the underlay device's MTU)
// leaves.
Mtu gateway_mtu(std::span<const PeerMtu> peers, std::optional<Mtu> configured, Mtu fallback);

// In the order of the tunnels. A tunnel of which no peer is known gets 1280.
std::vector<TunnelMtu> tunnel_mtus(std::span<const TunnelMtuInput> tunnels, std::span<const PeerMtu> peers);

}  // namespace greywire::mtu
