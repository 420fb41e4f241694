#include "routing/adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace greywire::routing {
namespace {

constexpr Duration kFirstAlertInterval = std::chrono::seconds(1);
constexpr Duration kLastAlertInterval = std::chrono::seconds(60);
constexpr Duration kRecursionDelay = std::chrono::milliseconds(50);
constexpr std::size_t kAlertExamples = 3;
constexpr std::uint64_t kMaxWeight = 1'000'000;

bool is_live(SourceState state) {
  return state == SourceState::kSyncing || state == SourceState::kSynced;
}

}  // namespace

RoutingAdapter::RoutingAdapter(AllowedIpsSink& sink, RoutingEvents& events, const AdapterOptions& options)
    : sink_(sink), sync_(sink), events_(events), options_(options) {}

void RoutingAdapter::set_peers(std::vector<PeerRouting> peers, TimePoint now) {
  resolver_.set_peers(peers);
  policy_.set_peers(std::move(peers));
  for (const auto& peer : policy_.peers()) limit(peer.id).set_maximum(peer.max_prefixes);
  reconsider_all(now);
  for (auto it = limits_.begin(); it != limits_.end();) {
    it = policy_.find(it->first) == nullptr ? limits_.erase(it) : std::next(it);
  }
}

void RoutingAdapter::set_own(std::vector<Prefix> own, TimePoint now) {
  policy_.set_own(std::move(own));
  reconsider_all(now);
}

void RoutingAdapter::set_overlay_ifindex(std::uint32_t ifindex, TimePoint now) {
  resolver_.set_overlay_ifindex(ifindex);
  reconsider_all(now);
}

PrefixLimit& RoutingAdapter::limit(PeerId peer) {
  const auto it = limits_.find(peer);
  if (it != limits_.end()) return it->second;
  const auto* routing = policy_.find(peer);
  return limits_.try_emplace(peer, routing == nullptr ? 0 : routing->max_prefixes).first->second;
}

bool RoutingAdapter::has(const Decision& decision, PeerId peer) const {
  if (decision.state != RouteState::kAccepted) return false;
  const auto members = groups_.members(decision.group);
  return std::any_of(members.begin(), members.end(), [&](const WeightedPeer& m) { return m.peer == peer; });
}

Reason RoutingAdapter::check(const Prefix& prefix, PeerId peer, const Decision& before) {
  const auto reason = policy_.check(prefix, peer);
  if (reason != Reason::kNone) return reason;
  const auto& room = limit(peer);
  if (room.has_room() && (!room.is_frozen() || has(before, peer))) return Reason::kNone;
  return Reason::kMaxPrefixes;
}

NextHopGroupId RoutingAdapter::group_of(std::span<const WeightedPeer> members) {
  const auto group = groups_.intern(members);
  for (const auto fresh : groups_.take_new()) sink_.define_group(fresh, groups_.members(fresh));
  return group;
}

// Spread over all peers that a next hop means and that may have the prefix. Refused is only what every one of them is
// refused; static is what one of them has by configuration.
Decision RoutingAdapter::decide(const Prefix& prefix, std::span<const NextHop> next_hops, const Decision& before) {
  using Kind = NextHopResolver::Kind;
  candidates_.clear();
  bool any_unknown = false;
  bool any_other_interface = false;
  for (const auto& next_hop : next_hops) {
    const auto weight = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(next_hop.weight, 1, kMaxWeight));
    auto [kind, peer] = resolver_.resolve(prefix, next_hop);
    if (kind == Kind::kPeer) candidates_.push_back({peer, weight});
    if (kind == Kind::kRecursive) {
      const auto [it, is_new] = recursive_.try_emplace(next_hop.gateway);
      if (is_new) it->second = resolve_recursive(next_hop.gateway);
      kind = it->second.kind;
      if (kind == Kind::kPeer) {
        for (const auto& member : groups_.members(it->second.group)) candidates_.push_back({member.peer, weight});
      }
    }
    any_unknown |= kind == Kind::kUnknown;
    any_other_interface |= kind == Kind::kOtherInterface;
  }
  if (candidates_.empty()) {
    if (any_unknown) return {RouteState::kUnresolved, Reason::kUnknownNextHop, {}};
    return {RouteState::kIgnored, any_other_interface ? Reason::kOtherInterface : Reason::kNoNextHop, {}};
  }
  std::sort(candidates_.begin(), candidates_.end());
  accepted_.clear();
  PeerId refused;
  auto reason = Reason::kNone;
  for (const auto& candidate : candidates_) {
    if (!accepted_.empty() && accepted_.back().peer == candidate.peer) {
      accepted_.back().weight += candidate.weight;
      continue;
    }
    const auto why = check(prefix, candidate.peer, before);
    if (why == Reason::kStatic) return {RouteState::kIgnored, why, candidate.peer};
    if (why == Reason::kNone) {
      accepted_.push_back(candidate);
    } else if (reason == Reason::kNone) {
      reason = why;
      refused = candidate.peer;
    }
  }
  if (accepted_.empty()) return {RouteState::kRefused, reason, refused};
  return {RouteState::kAccepted, reason, accepted_.front().peer, group_of(accepted_),
          reason == Reason::kNone ? PeerId{} : refused};
}

// What the engine gets for a decision.
LearnedChange RoutingAdapter::to_change(const Prefix& prefix, const Decision& decision) const {
  using Action = LearnedChange::Action;
  switch (decision.state) {
    case RouteState::kAccepted:
      if (decision.group.is_shared()) return {prefix, Action::kGroup, {}, decision.group};
      return {prefix, Action::kPeer, PeerId{decision.group.value}};
    case RouteState::kRefused:
      // A discard would stand in the way of the owner's configured entry for the same prefix.
      if (decision.reason == Reason::kOtherPeersAddress) break;
      return {prefix, Action::kDiscard, {}};
    case RouteState::kUnresolved:
      return {prefix, Action::kDiscard, {}};
    case RouteState::kIgnored:
      break;
  }
  return {prefix, Action::kRemove, {}};
}

RoutingAdapter::Recursion RoutingAdapter::resolve_recursive(const IpAddress& gateway) const {
  using Kind = NextHopResolver::Kind;
  for (unsigned length = gateway.bits() + 1; length-- > 0;) {
    const auto* entry = table_.find(Prefix(gateway, length));
    if (entry == nullptr) continue;
    switch (entry->decision.state) {
      case RouteState::kAccepted:
        return {Kind::kPeer, entry->decision.group};
      case RouteState::kRefused:
      case RouteState::kUnresolved:
        return {Kind::kUnknown, {}};
      case RouteState::kIgnored:
        return {Kind::kOtherInterface, {}};
    }
  }
  return {resolver_.without_route(gateway), {}};
}

// Routes changed: do others, whose next hops they lead to, lead elsewhere now?
void RoutingAdapter::follow_recursion(TimePoint now) {
  if (now < follow_recursion_at_) return;
  follow_recursion_at_ = kNever;
  std::unordered_map<IpAddress, bool> moved;
  for (auto& [gateway, known] : recursive_) {
    const auto fresh = resolve_recursive(gateway);
    if (fresh == known) continue;
    known = fresh;
    moved[gateway] = true;
  }
  if (moved.empty()) return;
  table_.for_each([&](const Prefix& prefix, RouteTable::Entry& entry) {
    const auto next_hops = table_.next_hops(entry);
    const bool touched = std::any_of(next_hops.begin(), next_hops.end(), [&](const NextHop& hop) {
      return hop.ifindex == 0 && hop.kind == NextHop::Kind::kGateway && moved.count(hop.gateway) != 0;
    });
    if (touched) reconsider(prefix, entry, now);
  });
}

void RoutingAdapter::count(const Decision& decision, bool add) {
  counts_[static_cast<std::size_t>(decision.state)] += add ? 1 : std::size_t(-1);
  const auto over = [&](PeerId peer) {
    add ? limit(peer).add_refused() : limit(peer).remove_refused();
    if (!add) may_thaw_ |= limit(peer).is_frozen();
  };
  if (decision.state == RouteState::kAccepted) {
    if (add) groups_.add(decision.group);
    for (const auto& member : groups_.members(decision.group)) {
      auto& room = limit(member.peer);
      add ? room.add_accepted() : room.remove_accepted();
      if (!add) may_thaw_ |= room.is_frozen();
    }
    if (!add) groups_.remove(decision.group);
    if (decision.reason == Reason::kMaxPrefixes) over(decision.refused_peer);
  } else if (decision.reason == Reason::kMaxPrefixes) {
    over(*decision.peer);
  }
}

void RoutingAdapter::reconsider(const Prefix& prefix, RouteTable::Entry& entry, TimePoint now) {
  count(entry.decision, false);
  take(prefix, entry, decide(prefix, table_.next_hops(entry), entry.decision), now);
}

// The entry's old decision is counted no more.
void RoutingAdapter::take(const Prefix& prefix, RouteTable::Entry& entry, const Decision& decision, TimePoint now) {
  count(decision, true);
  if (decision == entry.decision) return;
  sync_.want(to_change(prefix, entry.decision), to_change(prefix, decision), now);
  entry.decision = decision;
  if (!recursive_.empty()) follow_recursion_at_ = std::min(follow_recursion_at_, now + kRecursionDelay);
  if (decision.state == RouteState::kRefused || decision.state == RouteState::kUnresolved) {
    raise_alert(prefix, decision.peer.value_or(PeerId{}), decision.reason);
  }
  if (decision.state != RouteState::kAccepted) return;
  if (decision.reason != Reason::kNone) raise_alert(prefix, decision.refused_peer, decision.reason);
  for (const auto& member : groups_.members(decision.group)) {
    if (limit(member.peer).warn()) to_warn_.push_back(member.peer);
  }
}

void RoutingAdapter::reconsider_all(TimePoint now) {
  recursive_.clear();
  table_.for_each([&](const Prefix& prefix, RouteTable::Entry& entry) { reconsider(prefix, entry, now); });
  may_thaw_ = true;
  thaw(now);
  sync_.flush();
  drop_unused_groups();
  flush_alerts(now);
}

// An engine that is told of the end of a group must not have a prefix that leads there.
void RoutingAdapter::drop_unused_groups() {
  if (sync_.waiting() != 0) return;
  for (auto& [gateway, known] : recursive_) {
    if (known.group.is_shared()) return;  // it may be asked for the group's members still
  }
  for (const auto group : groups_.take_unused()) sink_.drop_group(group);
}

void RoutingAdapter::forget(const Prefix& prefix, const Decision& decision, TimePoint now) {
  sync_.want(to_change(prefix, decision), {prefix, LearnedChange::Action::kRemove, {}}, now);
  count(decision, false);
  if (!recursive_.empty()) follow_recursion_at_ = std::min(follow_recursion_at_, now + kRecursionDelay);
}

void RoutingAdapter::on_route(const Route& route, TimePoint now) {
  if (table_.size() >= options_.max_routes && table_.find(route.prefix) == nullptr) {
    if (!resync_when_smaller_) {
      events_.alert(fmt::format("the routing source has more than {} routes: the rest is not taken", options_.max_routes));
    }
    resync_when_smaller_ = true;
    ++not_taken_;
    return;
  }
  route_ = route;
  const auto [entry, what] = table_.upsert(std::move(route_));  // keeps its memory
  if (what == RouteTable::Upsert::kUnchanged) return;
  if (resyncing_) ++source_drift_;
  if (what == RouteTable::Upsert::kAdded) {
    take(route.prefix, *entry, decide(route.prefix, table_.next_hops(*entry), {}), now);
  } else {
    reconsider(route.prefix, *entry, now);
  }
}

void RoutingAdapter::on_withdraw(const Prefix& prefix, TimePoint now) {
  const auto* entry = table_.find(prefix);
  if (entry == nullptr) return;
  if (resyncing_) ++source_drift_;
  forget(prefix, entry->decision, now);
  table_.erase(prefix);
}

void RoutingAdapter::on_source_state(SourceState state, std::string_view release, std::string_view detail,
                                     TimePoint now) {
  const auto before = source_;
  source_ = state;
  release_ = release;
  if (state == SourceState::kDown || state == SourceState::kSynced) detail_ = detail;
  if (before == SourceState::kSynced && state == SourceState::kSyncing) {  // asked for all of it again
    table_.mark_stale(now + options_.hold_time);
    resyncing_ = true;
    source_drift_ = 0;
  }
  if (is_live(before) && !is_live(state)) {
    resyncing_ = false;
    const auto held_before = table_.stale();
    source_was_lost_ = true;
    table_.mark_stale(now + options_.hold_time);
    if (table_.stale() > held_before) {
      events_.alert(
          fmt::format("routing source lost: {} learned prefixes are held for {} s", table_.stale(),
                      std::chrono::duration_cast<std::chrono::seconds>(options_.hold_time).count()));
    }
  }
  if (state == SourceState::kSynced && before != SourceState::kSynced) end_dump(now);
}

void RoutingAdapter::end_dump(TimePoint now) {
  const auto stale = table_.stale();
  const auto fresh = table_.size() - stale;
  const bool asked = std::exchange(resyncing_, false);
  if (!asked) events_.notice(fmt::format("routing source is {}: {} routes", release_, fresh));
  if (asked && fresh >= stale) source_drift_ += stale;
  if (asked && source_drift_ != 0) {
    repaired_ += source_drift_;
    events_.notice(fmt::format("{} learned prefixes were not as {} repeats them, or changed meanwhile", source_drift_, release_));
  }
  const bool was_lost = std::exchange(source_was_lost_, false);
  if (stale == 0) return;
  if (fresh >= stale) {
    if (was_lost) return table_.hold_at_most(now + options_.settle_time);
    return sweep(table_.sweep_stale(), now);
  }
  events_.alert(fmt::format(
      "the routing source came back with {} of {} BGP routes; the others are held. If zebra restarted "
      "alone, bgpd does not repeat its routes: restart FRR as a whole, or 'clear bgp *'",
      fresh, fresh + stale));
}

void RoutingAdapter::sweep(std::vector<RouteTable::Swept> swept, TimePoint now) {
  if (swept.empty()) return;
  for (const auto& [prefix, decision] : swept) forget(prefix, decision, now);
  events_.notice(fmt::format("{} held prefixes were not announced again and are gone", swept.size()));
}

void RoutingAdapter::thaw(TimePoint now) {
  if (!may_thaw_) return;
  may_thaw_ = false;
  bool any = false;
  for (auto& [peer, room] : limits_) {
    if (!room.thaw()) continue;
    any = true;
    alerts_.erase({peer.value, Reason::kMaxPrefixes});
  }
  if (!any) return;
  table_.for_each([&](const Prefix& prefix, RouteTable::Entry& entry) {
    if (entry.decision.reason == Reason::kMaxPrefixes) reconsider(prefix, entry, now);
  });
}

TimePoint RoutingAdapter::next_deadline() const {
  if (may_thaw_) return TimePoint{};  // as soon as possible
  return std::min({sync_.next_deadline(), table_.next_sweep(), follow_recursion_at_, next_alert_});
}

void RoutingAdapter::tick(TimePoint now) {
  sweep(table_.sweep_due(now), now);
  thaw(now);
  follow_recursion(now);
  sync_.handle_expiry(now);
  drop_unused_groups();
  flush_alerts(now);
  if (resync_when_smaller_ && options_.resync && table_.size() < options_.max_routes / 10 * 9) {
    resync_when_smaller_ = false;
    options_.resync();
  }
}

// Said at once, then after a second, and less and less often while it goes on. A peer with too many prefixes is frozen,
// which is said once until they fit again.
void RoutingAdapter::raise_alert(const Prefix& prefix, PeerId peer, Reason reason) {
  auto& pending = alerts_[{peer.value, reason}];
  if (++pending.count <= kAlertExamples) {
    if (!pending.examples.empty()) pending.examples += ", ";
    pending.examples += prefix.to_string();
  }
  next_alert_ = std::min(next_alert_, pending.not_before);
}

void RoutingAdapter::flush_alerts(TimePoint now) {
  for (const auto peer : to_warn_) {
    const auto& room = limit(peer);
    if (room.is_frozen()) continue;  // what follows says more
    events_.alert(fmt::format("peer {} announces {} of at most {} prefixes (max_prefixes)", policy_.name(peer),
                              room.accepted(), room.maximum()));
  }
  to_warn_.clear();
  if (now < next_alert_) return;
  next_alert_ = kNever;
  for (auto& [key, pending] : alerts_) {
    const auto [peer, reason] = key;
    if (pending.count == 0) continue;
    if (now < pending.not_before) {
      next_alert_ = std::min(next_alert_, pending.not_before);
      continue;
    }
    const auto from = reason == Reason::kUnknownNextHop ? std::string("the overlay")
                                                        : fmt::format("peer {}", policy_.name(PeerId{peer}));
    const auto more =
        pending.count > kAlertExamples ? fmt::format(" and {} more", pending.count - kAlertExamples) : "";
    events_.alert(fmt::format("routed but refused: {}{} from {}: {}", pending.examples, more, from,
                              reason_text(reason)));
    const bool quiet_since = now > pending.not_before + kLastAlertInterval;
    pending.interval = pending.interval == Duration{} || quiet_since
                           ? kFirstAlertInterval
                           : std::min(pending.interval * 2, kLastAlertInterval);
    pending.not_before = reason == Reason::kMaxPrefixes ? kNever : now + pending.interval;
    pending.count = 0;
    pending.examples.clear();
  }
}

}  // namespace greywire::routing
