#include "overlay/mtu/device_mtu.h"

#include <algorithm>

namespace greywire::mtu {
namespace {

Mtu clamped(Mtu mtu) {
  return std::clamp(mtu, pmtu::kMinIpv6Mtu, pmtu::kMaxMtu);
}

// A segment floods to all its peers, so the narrowest counts.
Mtu narrowest(const std::vector<PeerId>& members, std::span<const PeerMtu> peers) {
  std::optional<Mtu> result;
  for (const auto& peer : peers) {
    if (peer.inner.bytes == 0 || std::find(members.begin(), members.end(), peer.peer) == members.end())
      continue;
    if (!result || peer.inner < *result) result = peer.inner;
  }
  return result.value_or(Mtu{0});
}

Mtu tunnel_mtu(const TunnelMtuInput& tunnel, std::span<const PeerMtu> peers) {
  const bool ethernet = tunnel.device == TunnelDevice::kEthernet;
  if (ethernet && tunnel.bridge) return *tunnel.bridge;
  if (tunnel.configured) return clamped(*tunnel.configured);
  const auto inner = narrowest(tunnel.peers, peers);
  return clamped(ethernet ? pmtu::gretap_payload_mtu(inner, tunnel.delivery, tunnel.gre)
                          : pmtu::gre_payload_mtu(inner, tunnel.delivery, tunnel.gre));
}

}  // namespace

Mtu gateway_mtu(std::span<const PeerMtu> peers, std::optional<Mtu> configured, Mtu fallback) {
  if (configured) return clamped(*configured);
  Mtu largest{0};
  for (const auto& peer : peers) largest = std::max(largest, peer.inner);
  if (largest.bytes == 0) largest = pmtu::max_inner(fallback, Family::kV6);
  return clamped(largest);
}

std::vector<TunnelMtu> tunnel_mtus(std::span<const TunnelMtuInput> tunnels, std::span<const PeerMtu> peers) {
  std::vector<TunnelMtu> result;
  result.reserve(tunnels.size());
  for (const auto& tunnel : tunnels) result.push_back({tunnel.tunnel, tunnel_mtu(tunnel, peers)});
  return result;
}

}  // namespace greywire::mtu
