#include "routing/route_table.h"

#include <algorithm>

namespace greywire::routing {

RouteTable::Upserted RouteTable::upsert(const Route& route) {
  const auto [it, is_new] = entries_.try_emplace(route.prefix);
  auto& entry = it->second;
  if (entry.is_stale()) {
    entry.held_until = kNever;
    --stale_;
    if (stale_ == 0) next_sweep_ = kNever;
  }
  if (is_new) {
    entry.next_hops = route.next_hops;
    return {&entry, Upsert::kAdded};
  }
  const bool same = std::is_permutation(entry.next_hops.begin(), entry.next_hops.end(),
                                        route.next_hops.begin(), route.next_hops.end());
  if (same) return {&entry, Upsert::kUnchanged};
  entry.next_hops = route.next_hops;
  return {&entry, Upsert::kChanged};
}

void RouteTable::erase(const Prefix& prefix) {
  const auto it = entries_.find(prefix);
  if (it == entries_.end()) return;
  if (it->second.is_stale() && --stale_ == 0) next_sweep_ = kNever;
  entries_.erase(it);
}

void RouteTable::mark_stale(TimePoint held_until) {
  for (auto& [prefix, entry] : entries_) {
    if (entry.is_stale()) continue;
    entry.held_until = held_until;
    ++stale_;
    next_sweep_ = std::min(next_sweep_, held_until);
  }
}

std::vector<RouteTable::Swept> RouteTable::sweep_stale() {
  return sweep_due(kNever - Duration(1));
}

std::vector<RouteTable::Swept> RouteTable::sweep_due(TimePoint now) {
  std::vector<Swept> swept;
  if (next_sweep_ > now) return swept;
  next_sweep_ = kNever;
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (it->second.held_until <= now) {
      swept.push_back({it->first, std::move(it->second)});
      it = entries_.erase(it);
    } else {
      next_sweep_ = std::min(next_sweep_, it->second.held_until);
      ++it;
    }
  }
  stale_ -= swept.size();
  return swept;
}

RouteTable::Entry* RouteTable::find(const Prefix& prefix) {
  const auto it = entries_.find(prefix);
  return it == entries_.end() ? nullptr : &it->second;
}

}  // namespace greywire::routing
