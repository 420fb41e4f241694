#include "routing/next_hop_sets.h"

#include <algorithm>
#include <functional>
#include <tuple>

namespace greywire::routing {
namespace {

auto key(const NextHop& h) { return std::tie(h.kind, h.vrf, h.ifindex, h.gateway, h.weight); }

}  // namespace

std::size_t NextHopSets::Hash::operator()(const std::vector<NextHop>& next_hops) const noexcept {
  std::size_t hash = next_hops.size();
  for (const NextHop& h : next_hops) {
    hash = hash * 0x100000001b3ULL ^ std::hash<IpAddress>{}(h.gateway) ^ h.ifindex ^ h.weight << 20 ^
           static_cast<std::size_t>(h.kind) << 40 ^ static_cast<std::size_t>(h.vrf) << 42;
  }
  return hash;
}

NextHopSetId NextHopSets::acquire(std::vector<NextHop>& next_hops) {
  std::sort(next_hops.begin(), next_hops.end(), [](const NextHop& a, const NextHop& b) { return key(a) < key(b); });
  if (last_ != 0 && sets_[last_].next_hops != nullptr && *sets_[last_].next_hops == next_hops) {
    ++sets_[last_].routes;
    return {last_};
  }
  const auto [it, is_new] = numbers_.try_emplace(next_hops, 0);
  if (is_new) {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(sets_.size()));
      sets_.emplace_back();
    }
    it->second = free_.back();
    free_.pop_back();
    sets_[it->second] = {&it->first, 0};
  }
  ++sets_[it->second].routes;
  last_ = it->second;
  return {last_};
}

void NextHopSets::release(NextHopSetId id) {
  if (id.value == 0) return;
  Set& set = sets_[id.value];
  if (--set.routes != 0) return;
  numbers_.erase(numbers_.find(*set.next_hops));
  set = {};
  free_.push_back(id.value);
}

}  // namespace greywire::routing
