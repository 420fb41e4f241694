#include "routing/next_hops.h"

#include <algorithm>

namespace greywire::routing {

void NextHopResolver::set_peers(std::span<const PeerRouting> peers) {
  owners_.clear();
  ceilings_.clear();
  for (const auto& peer : peers) {
    for (const auto& address : peer.overlay_addresses) {
      const auto [it, is_new] = owners_.try_emplace(address, peer.id);
      if (!is_new) it->second = std::min(it->second, peer.id);
    }
    ceilings_.push_back(peer.accept);
  }
}

NextHopResolver::Resolution NextHopResolver::resolve(const NextHop& next_hop) const {
  if (next_hop.kind == NextHop::Kind::kBlackhole) return {Kind::kNone, {}};
  if (next_hop.vrf != 0) return {Kind::kOtherInterface, {}};
  const bool on_overlay = next_hop.ifindex != 0 && next_hop.ifindex == overlay_ifindex_;
  if (next_hop.kind == NextHop::Kind::kInterface)
    return {on_overlay ? Kind::kUnknown : Kind::kOtherInterface, {}};

  const auto& gateway = next_hop.gateway;
  if (const auto owner = owners_.find(gateway);
      owner != owners_.end() && (on_overlay || !gateway.is_link_local())) {
    return {Kind::kPeer, owner->second};
  }
  if (on_overlay) return {Kind::kUnknown, {}};
  const bool may_resolve_over_overlay =
      next_hop.ifindex == 0 &&
      std::any_of(ceilings_.begin(), ceilings_.end(), [&](const Ceiling& c) { return c.covers(gateway); });
  return {may_resolve_over_overlay ? Kind::kUnknown : Kind::kOtherInterface, {}};
}

}  // namespace greywire::routing
