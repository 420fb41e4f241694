#include "routing/adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace greywire::routing {
namespace {

constexpr Duration kAlertInterval = std::chrono::seconds(1);
constexpr std::size_t kAlertExamples = 3;

LearnedChange to_change(const Prefix& prefix, const Decision& decision) {
  switch (decision.state) {
    case RouteState::kAccepted:
      return {prefix, LearnedChange::Action::kPeer, *decision.peer};
    case RouteState::kRefused:
      // A discard would stand in the way of the owner's configured entry for the same prefix.
      if (decision.reason == Reason::kOtherPeersAddress) break;
      return {prefix, LearnedChange::Action::kDiscard, {}};
    case RouteState::kUnresolved:
      return {prefix, LearnedChange::Action::kDiscard, {}};
    case RouteState::kIgnored:
      break;
  }
  return {prefix, LearnedChange::Action::kRemove, {}};
}

bool is_live(SourceState state) {
  return state == SourceState::kSyncing || state == SourceState::kSynced;
}

}  // namespace

RoutingAdapter::RoutingAdapter(AllowedIpsSink& sink, RoutingEvents& events, const AdapterOptions& options)
    : sync_(sink), events_(events), options_(options) {}

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

Decision RoutingAdapter::decide_for(const Prefix& prefix, PeerId peer, const Decision& before) {
  const auto reason = policy_.check(prefix, peer);
  if (reason == Reason::kStatic) return {RouteState::kIgnored, reason, peer};
  if (reason != Reason::kNone) return {RouteState::kRefused, reason, peer};
  const auto& room = limit(peer);
  const bool had_it = before.state == RouteState::kAccepted && before.peer == peer;
  if (room.has_room() && (had_it || !room.is_frozen())) return {RouteState::kAccepted, Reason::kNone, peer};
  return {RouteState::kRefused, Reason::kMaxPrefixes, peer};
}

// Of several peers (ECMP) the one that has the prefix keeps it, so that a change of the others moves no
// traffic; else the lowest id gets it. Refused is only what every one of them is refused.
Decision RoutingAdapter::decide(const Prefix& prefix, const std::vector<NextHop>& next_hops,
                                const Decision& before) {
  std::vector<PeerId> peers;
  bool any_unknown = false;
  bool any_other_interface = false;
  for (const auto& next_hop : next_hops) {
    const auto resolution = resolver_.resolve(next_hop);
    if (resolution.kind == NextHopResolver::Kind::kPeer) peers.push_back(resolution.peer);
    any_unknown |= resolution.kind == NextHopResolver::Kind::kUnknown;
    any_other_interface |= resolution.kind == NextHopResolver::Kind::kOtherInterface;
  }
  std::sort(peers.begin(), peers.end());
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  if (before.state == RouteState::kAccepted) {
    std::stable_partition(peers.begin(), peers.end(), [&](PeerId peer) { return peer == *before.peer; });
  }
  std::optional<Decision> first;
  for (const auto peer : peers) {
    const auto decision = decide_for(prefix, peer, before);
    if (decision.state == RouteState::kAccepted) return decision;
    if (!first) first = decision;
  }
  if (first) return *first;
  if (any_unknown) return {RouteState::kUnresolved, Reason::kUnknownNextHop, {}};
  return {RouteState::kIgnored, any_other_interface ? Reason::kOtherInterface : Reason::kNoNextHop, {}};
}

void RoutingAdapter::count(const Decision& decision, bool add) {
  if (!decision.peer) return;
  if (decision.state == RouteState::kAccepted) {
    add ? limit(*decision.peer).add_accepted() : limit(*decision.peer).remove_accepted();
  } else if (decision.reason == Reason::kMaxPrefixes) {
    add ? limit(*decision.peer).add_refused() : limit(*decision.peer).remove_refused();
  }
  if (!add) may_thaw_ |= limit(*decision.peer).is_frozen();
}

void RoutingAdapter::reconsider(const Prefix& prefix, RouteTable::Entry& entry, TimePoint now) {
  count(entry.decision, false);
  const auto decision = decide(prefix, entry.next_hops, entry.decision);
  count(decision, true);
  if (decision == entry.decision) return;
  entry.decision = decision;
  sync_.want(to_change(prefix, decision), now);
  if (decision.state == RouteState::kRefused || decision.state == RouteState::kUnresolved) {
    raise_alert(prefix, decision);
  }
  if (decision.state == RouteState::kAccepted && limit(*decision.peer).warn()) {
    const auto& room = limit(*decision.peer);
    events_.alert(fmt::format("peer {} announces {} of at most {} prefixes (max_prefixes)",
                              policy_.name(*decision.peer), room.accepted(), room.maximum()));
  }
}

void RoutingAdapter::reconsider_all(TimePoint now) {
  table_.for_each([&](const Prefix& prefix, RouteTable::Entry& entry) { reconsider(prefix, entry, now); });
  may_thaw_ = true;
  thaw(now);
  sync_.flush();
  flush_alerts(now);
}

void RoutingAdapter::forget(const Prefix& prefix, const Decision& decision, TimePoint now) {
  count(decision, false);
  sync_.want({prefix, LearnedChange::Action::kRemove, {}}, now);
}

void RoutingAdapter::on_route(const Route& route, TimePoint now) {
  const auto [entry, what] = table_.upsert(route);
  if (what != RouteTable::Upsert::kUnchanged) reconsider(route.prefix, *entry, now);
}

void RoutingAdapter::on_withdraw(const Prefix& prefix, TimePoint now) {
  const auto* entry = table_.find(prefix);
  if (entry == nullptr) return;
  forget(prefix, entry->decision, now);
  table_.erase(prefix);
}

void RoutingAdapter::on_source_state(SourceState state, std::string_view release, std::string_view detail,
                                     TimePoint now) {
  const auto before = source_;
  source_ = state;
  release_ = release;
  if (state == SourceState::kDown || state == SourceState::kSynced) detail_ = detail;
  if (is_live(before) && !is_live(state)) {
    const auto held_before = table_.stale();
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
  events_.notice(fmt::format("routing source is {}: {} BGP routes", release_, fresh));
  if (stale == 0) return;
  if (fresh >= stale) {
    sweep(table_.sweep_stale(), now);
    return;
  }
  events_.alert(fmt::format(
      "the routing source came back with {} of {} BGP routes; the others are held. If zebra restarted "
      "alone, bgpd does not repeat its routes: restart FRR as a whole, or 'clear bgp *'",
      fresh, fresh + stale));
}

void RoutingAdapter::sweep(std::vector<RouteTable::Swept> swept, TimePoint now) {
  if (swept.empty()) return;
  for (const auto& [prefix, entry] : swept) forget(prefix, entry.decision, now);
  events_.notice(fmt::format("{} held prefixes were not announced again and are gone", swept.size()));
}

void RoutingAdapter::thaw(TimePoint now) {
  if (!may_thaw_) return;
  may_thaw_ = false;
  bool any = false;
  for (auto& [peer, room] : limits_) any |= room.thaw();
  if (!any) return;
  table_.for_each([&](const Prefix& prefix, RouteTable::Entry& entry) {
    if (entry.decision.reason == Reason::kMaxPrefixes) reconsider(prefix, entry, now);
  });
}

TimePoint RoutingAdapter::next_deadline() const {
  auto deadline = std::min(sync_.next_deadline(), table_.next_sweep());
  if (may_thaw_) return TimePoint{};  // as soon as possible
  if (!alerts_.empty()) deadline = std::min(deadline, next_alerts_);
  return deadline;
}

void RoutingAdapter::tick(TimePoint now) {
  sweep(table_.sweep_due(now), now);
  thaw(now);
  sync_.handle_expiry(now);
  flush_alerts(now);
}

void RoutingAdapter::raise_alert(const Prefix& prefix, const Decision& decision) {
  auto& pending = alerts_[{decision.peer.value_or(PeerId{}).value, decision.reason}];
  if (++pending.count <= kAlertExamples) {
    if (!pending.examples.empty()) pending.examples += ", ";
    pending.examples += prefix.to_string();
  }
}

void RoutingAdapter::flush_alerts(TimePoint now) {
  if (alerts_.empty() || now < next_alerts_) return;
  for (const auto& [key, pending] : alerts_) {
    const auto [peer, reason] = key;
    const auto from = reason == Reason::kUnknownNextHop ? std::string("the overlay")
                                                        : fmt::format("peer {}", policy_.name(PeerId{peer}));
    const auto more =
        pending.count > kAlertExamples ? fmt::format(" and {} more", pending.count - kAlertExamples) : "";
    events_.alert(fmt::format("routed but refused: {}{} from {}: {}", pending.examples, more, from,
                              reason_text(reason)));
  }
  alerts_.clear();
  next_alerts_ = now + kAlertInterval;
}

RoutingStatus RoutingAdapter::status() const {
  RoutingStatus status;
  status.source = source_;
  status.release = release_;
  status.detail = detail_;
  status.routes = table_.size();
  status.held = table_.stale();
  const std::array counters{&status.accepted, &status.refused, &status.unresolved, &status.ignored};
  table_.for_each([&](const Prefix&, const RouteTable::Entry& entry) {
    ++*counters[static_cast<std::size_t>(entry.decision.state)];
  });
  for (const auto& peer : policy_.peers()) {
    const auto it = limits_.find(peer.id);
    if (it == limits_.end()) continue;
    status.peers.push_back(
        {peer.id, peer.name, it->second.accepted(), it->second.refused(), peer.max_prefixes});
  }
  return status;
}

std::vector<RouteStatus> RoutingAdapter::routes() const {
  std::vector<RouteStatus> routes;
  routes.reserve(table_.size());
  table_.for_each([&](const Prefix& prefix, const RouteTable::Entry& entry) {
    const auto& peer = entry.decision.peer;
    routes.push_back({prefix, entry.next_hops, entry.decision,
                      peer ? std::string(policy_.name(*peer)) : std::string(), entry.is_stale()});
  });
  std::sort(routes.begin(), routes.end(),
            [](const RouteStatus& a, const RouteStatus& b) { return a.prefix < b.prefix; });
  return routes;
}

}  // namespace greywire::routing
