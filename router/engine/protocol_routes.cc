// Learned routes, and the groups of peers that share some of them.
#include <algorithm>

#include "router/engine/protocol.h"

namespace greywire::engine {

void Engine::Protocol::learn(std::span<const LearnedRoute> routes) {
  book_.learn(routes);
  book_.flush();
}

RouteTarget Engine::Protocol::lookup(const IpAddress& address) const {
  return routes_.root().load(std::memory_order_relaxed)->lookup(address);
}

void Engine::Protocol::define_group(NextHopGroupId id, std::vector<WeightedPeer> members) {
  groups_[id] = std::move(members);
  rebuild_group(id);
  publish();
}

// Workers may hold routes that lead to it until their next quiescent state.
void Engine::Protocol::drop_group(NextHopGroupId id) {
  published_.domain.retire([gone = gone_groups_, id] { gone->push_back(id); });
}

void Engine::Protocol::forget_gone_groups() {
  for (const NextHopGroupId id : *gone_groups_) {
    groups_.erase(id);
    tables_.groups.erase(id);
  }
  gone_groups_->clear();
}

void Engine::Protocol::rebuild_group(NextHopGroupId id) {
  std::vector<WeightedPeer> present, alive;
  for (const WeightedPeer& member : groups_.at(id)) {
    const auto it = peers_.find(member.peer);
    if (it == peers_.end()) continue;
    present.push_back(member);
    const auto& liveness = it->second.liveness;
    if (!liveness || liveness->state() == Liveness::State::kAlive) alive.push_back(member);
  }
  tables_.groups[id] = std::make_shared<const NextHopGroup>(present, alive);
}

void Engine::Protocol::rebuild_groups_of(PeerId peer) {
  bool any = false;
  for (const auto& [id, members] : groups_) {
    const bool member = std::any_of(members.begin(), members.end(), [&](const auto& m) { return m.peer == peer; });
    if (!member) continue;
    rebuild_group(id);
    any = true;
  }
  if (any) publish();
}

Engine::Protocol::Owners Engine::Protocol::owners() const {
  Owners out;
  out.fixed = book_.fixed();
  for (const auto& [id, members] : groups_) {
    for (const WeightedPeer& member : members) out.groups[id].push_back(member.peer);
  }
  return out;
}

}  // namespace greywire::engine
