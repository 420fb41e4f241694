#include "router/allowed_ips/allowed_ips_book.h"

namespace greywire {
namespace {

RouteTarget to(PeerId peer) { return RouteTarget::of(NextHopGroupId{peer.value}); }

}  // namespace

RouteTarget LearnedRoute::target() const {
  switch (action) {
    case Action::kToPeer: return to(peer);
    case Action::kToGroup: return RouteTarget::of(group);
    case Action::kRefused: return kDiscard;
    case Action::kWithdrawn: break;
  }
  return kNone;
}

// What routing says about a prefix that is not fixed now: what waits for flush(), else what the table has.
RouteTarget AllowedIpsBook::learned(const Prefix& prefix) {
  for (; indexed_ < updates_.size(); ++indexed_) waiting_[updates_[indexed_].prefix] = updates_[indexed_].target;
  const auto it = waiting_.find(prefix);
  return it != waiting_.end() ? it->second : table_.exact(prefix);
}

void AllowedIpsBook::fix(const Prefix& prefix, std::optional<Fixed> fixed) {
  const auto present = fixed_.find(prefix);
  if (present != fixed_.end()) {
    const auto set = fixed_by_peer_.find(present->second.peer);
    set->second.erase(prefix);
    if (set->second.empty()) fixed_by_peer_.erase(set);
  } else if (const RouteTarget below = learned(prefix); below != kNone) {
    shadowed_[prefix] = below;
  }
  if (fixed) {
    fixed_[prefix] = *fixed;
    fixed_by_peer_[fixed->peer].insert(prefix);
    updates_.push_back({prefix, to(fixed->peer)});
    return;
  }
  fixed_.erase(present);
  const auto below = shadowed_.find(prefix);
  updates_.push_back({prefix, below == shadowed_.end() ? kNone : below->second});
  if (below != shadowed_.end()) shadowed_.erase(below);
}

void AllowedIpsBook::assign(const Prefix& prefix, PeerId peer, Origin origin) {
  const auto it = fixed_.find(prefix);
  if (origin == Origin::kWg && it != fixed_.end() && it->second.origin == Origin::kConfig) return;
  fix(prefix, Fixed{peer, origin});
}

void AllowedIpsBook::remove(const Prefix& prefix, PeerId peer, Origin origin) {
  const auto it = fixed_.find(prefix);
  if (it == fixed_.end() || it->second.peer != peer) return;
  if (origin == Origin::kWg && it->second.origin == Origin::kConfig) return;
  fix(prefix, std::nullopt);
}

void AllowedIpsBook::remove_fixed(PeerId peer, std::optional<Origin> origin) {
  const auto it = fixed_by_peer_.find(peer);
  if (it == fixed_by_peer_.end()) return;
  const std::vector<Prefix> prefixes(it->second.begin(), it->second.end());
  for (const Prefix& prefix : prefixes) {
    if (!origin || fixed_.at(prefix).origin == *origin) fix(prefix, std::nullopt);
  }
}

void AllowedIpsBook::remove_peer(PeerId peer) {
  remove_fixed(peer, std::nullopt);
  std::erase_if(shadowed_, [&](const auto& entry) { return entry.second == to(peer); });
  flush();
  table_.for_each([&](const Prefix& prefix, RouteTarget target) {
    if (target == to(peer)) updates_.push_back({prefix, kNone});
  });
  flush();
}

void AllowedIpsBook::learn(std::span<const LearnedRoute> routes) {
  for (const LearnedRoute& route : routes) {
    const RouteTarget target = route.target();
    if (fixed_.empty() || fixed_.find(route.prefix) == fixed_.end()) {
      updates_.push_back({route.prefix, target});
    } else if (target == kNone) {
      shadowed_.erase(route.prefix);
    } else {
      shadowed_[route.prefix] = target;
    }
  }
}

void AllowedIpsBook::flush() {
  if (updates_.empty()) return;
  table_.apply(updates_);
  updates_.clear();
  waiting_.clear();
  indexed_ = 0;
}

std::unordered_map<PeerId, std::vector<AllowedIpsBook::Entry>> AllowedIpsBook::entries(
    const AllowedIpsRoot& root, const std::map<Prefix, Fixed>& fixed, const Members& members) {
  std::unordered_map<PeerId, std::vector<Entry>> out;
  auto next = fixed.begin();  // in the order of the walk
  root.for_each([&](const Prefix& prefix, RouteTarget target) {
    while (next != fixed.end() && next->first < prefix) ++next;
    if (next != fixed.end() && next->first == prefix) {
      out[next->second.peer].push_back({prefix, next->second.origin});
    } else if (target == kDiscard) {
      return;
    } else if (!target.group().is_shared()) {
      out[PeerId{target.value}].push_back({prefix, Origin::kLearned});
    } else if (members) {
      for (const PeerId peer : members(target.group())) out[peer].push_back({prefix, Origin::kLearned});
    }
  });
  return out;
}

std::vector<AllowedIpsBook::Entry> AllowedIpsBook::entries(PeerId peer) {
  flush();
  return entries(*table_.root().load(std::memory_order_relaxed), fixed_, {})[peer];
}

std::optional<PeerId> AllowedIpsBook::owner(const Prefix& prefix) {
  if (const auto it = fixed_.find(prefix); it != fixed_.end()) return it->second.peer;
  const RouteTarget target = learned(prefix);
  if (target == kNone || target == kDiscard || target.group().is_shared()) return std::nullopt;
  return PeerId{target.value};
}

}  // namespace greywire
