#include "routing/route_table.h"

#include <algorithm>

namespace greywire::routing {

RouteTable::Upserted RouteTable::upsert(Route&& route) {
  const auto [it, is_new] = entries_.try_emplace(route.prefix);
  auto& entry = it->second;
  if (entry.is_stale()) {
    entry.held_until = kNever;
    --stale_;
    if (stale_ == 0) next_sweep_ = kNever;
  }
  const auto before = entry.next_hops;
  entry.next_hops = sets_.acquire(route.next_hops);
  sets_.release(before);
  if (is_new) return {&entry, Upsert::kAdded};
  return {&entry, entry.next_hops == before ? Upsert::kUnchanged : Upsert::kChanged};
}

void RouteTable::erase(const Prefix& prefix) {
  const auto it = entries_.find(prefix);
  if (it == entries_.end()) return;
  if (it->second.is_stale() && --stale_ == 0) next_sweep_ = kNever;
  sets_.release(it->second.next_hops);
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

void RouteTable::hold_at_most(TimePoint until) {
  for (auto& [prefix, entry] : entries_) {
    if (entry.is_stale()) entry.held_until = std::min(entry.held_until, until);
  }
  if (stale_ != 0) next_sweep_ = std::min(next_sweep_, until);
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
      swept.push_back({it->first, it->second.decision});
      sets_.release(it->second.next_hops);
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

const RouteTable::Entry* RouteTable::find(const Prefix& prefix) const {
  const auto it = entries_.find(prefix);
  return it == entries_.end() ? nullptr : &it->second;
}

}  // namespace greywire::routing
