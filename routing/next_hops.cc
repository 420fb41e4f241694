#include "routing/next_hops.h"

#include <algorithm>

namespace greywire::routing {

void NextHopResolver::set_peers(std::span<const PeerRouting> peers) {
  owners_.clear();
  static_.clear();
  ceilings_.clear();
  for (const auto& peer : peers) {
    for (const auto& address : peer.overlay_addresses) {
      const auto [it, is_new] = owners_.try_emplace(address, peer.id);
      if (!is_new) it->second = std::min(it->second, peer.id);
    }
    for (const auto& prefix : peer.static_prefixes) {
      const auto [it, is_new] = static_.try_emplace(prefix, peer.id);
      if (!is_new) it->second = std::min(it->second, peer.id);
    }
    ceilings_.push_back(peer.accept);
  }
}

const PeerId* NextHopResolver::find_static(const Prefix& prefix) const {
  if (static_.empty()) return nullptr;
  for (unsigned length = prefix.length() + 1; length-- > 0;) {
    const auto it = static_.find(Prefix(prefix.address(), length));
    if (it != static_.end()) return &it->second;
  }
  return nullptr;
}

NextHopResolver::Resolution NextHopResolver::resolve(const Prefix& prefix, const NextHop& next_hop) const {
  if (next_hop.kind == NextHop::Kind::kBlackhole) return {Kind::kNone, {}};
  if (next_hop.vrf != 0) return {Kind::kOtherInterface, {}};
  const bool on_overlay = next_hop.ifindex != 0 && next_hop.ifindex == overlay_ifindex_;
  if (next_hop.kind == NextHop::Kind::kInterface) {
    if (!on_overlay) return {Kind::kOtherInterface, {}};
    if (const PeerId* peer = find_static(prefix); peer != nullptr) return {Kind::kPeer, *peer};
    return {Kind::kUnknown, {}};
  }
  const auto& gateway = next_hop.gateway;
  if (const auto owner = owners_.find(gateway);
      owner != owners_.end() && (on_overlay || !gateway.is_link_local())) {
    return {Kind::kPeer, owner->second};
  }
  if ((!on_overlay && next_hop.ifindex != 0) || (gateway.is_link_local() && !on_overlay)) {
    return {Kind::kOtherInterface, {}};
  }
  if (const PeerId* peer = find_static(Prefix::host(gateway)); peer != nullptr) return {Kind::kPeer, *peer};
  return {on_overlay ? Kind::kUnknown : Kind::kRecursive, {}};
}

NextHopResolver::Kind NextHopResolver::without_route(const IpAddress& gateway) const {
  const bool inside =
      std::any_of(ceilings_.begin(), ceilings_.end(), [&](const Ceiling& c) { return c.covers(gateway); });
  return inside ? Kind::kUnknown : Kind::kOtherInterface;
}

}  // namespace greywire::routing
