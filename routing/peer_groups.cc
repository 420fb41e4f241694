#include "routing/peer_groups.h"

#include <utility>

namespace greywire::routing {

NextHopGroupId PeerGroups::intern(std::span<const WeightedPeer> members) {
  if (members.size() == 1) return {members.front().peer.value};
  std::vector<WeightedPeer> key(members.begin(), members.end());
  if (const auto it = numbers_.find(key); it != numbers_.end()) return it->second;
  if (groups_.size() >= kMaxGroups) return {members.front().peer.value};
  const NextHopGroupId id{next_++};
  groups_[id].members = key;
  numbers_.emplace(std::move(key), id);
  new_.push_back(id);
  empty_.push_back(id);
  return id;
}

void PeerGroups::add(NextHopGroupId group) {
  if (group.is_shared()) ++groups_.at(group).routes;
}

void PeerGroups::remove(NextHopGroupId group) {
  if (!group.is_shared()) return;
  if (--groups_.at(group).routes == 0) empty_.push_back(group);
}

std::vector<NextHopGroupId> PeerGroups::take_new() { return std::exchange(new_, {}); }

std::vector<NextHopGroupId> PeerGroups::take_unused() {
  std::vector<NextHopGroupId> unused;
  for (const NextHopGroupId id : std::exchange(empty_, {})) {
    const auto it = groups_.find(id);
    if (it == groups_.end() || it->second.routes != 0) continue;
    numbers_.erase(it->second.members);
    groups_.erase(it);
    unused.push_back(id);
  }
  return unused;
}

std::span<const WeightedPeer> PeerGroups::members(NextHopGroupId group) const {
  if (group.is_shared()) return groups_.at(group).members;
  single_ = {PeerId{group.value}, 1};
  return {&single_, 1};
}

}  // namespace greywire::routing
