// What the routing adapter says of itself, and its audit.
#include <fmt/format.h>

#include <algorithm>

#include "routing/adapter.h"

namespace greywire::routing {

RoutingStatus RoutingAdapter::status() const {
  RoutingStatus status;
  status.source = source_;
  status.release = release_;
  status.detail = detail_;
  status.routes = table_.size();
  status.held = table_.stale();
  status.accepted = counts_[static_cast<std::size_t>(RouteState::kAccepted)];
  status.refused = counts_[static_cast<std::size_t>(RouteState::kRefused)];
  status.unresolved = counts_[static_cast<std::size_t>(RouteState::kUnresolved)];
  status.ignored = counts_[static_cast<std::size_t>(RouteState::kIgnored)];
  status.not_taken = not_taken_;
  status.audits = audits_;
  status.repaired = repaired_;
  for (const auto& peer : policy_.peers()) {
    const auto it = limits_.find(peer.id);
    if (it == limits_.end()) continue;
    status.peers.push_back(
        {peer.id, peer.name, it->second.accepted(), it->second.refused(), peer.max_prefixes});
  }
  return status;
}

std::string RoutingAdapter::names(NextHopGroupId group) const {
  std::string text;
  for (const auto& member : groups_.members(group)) {
    if (!text.empty()) text += ", ";
    text += policy_.name(member.peer);
  }
  return text;
}

RouteStatus RoutingAdapter::status_of(const Prefix& prefix, const RouteTable::Entry& entry) const {
  RouteStatus out;
  out.prefix = prefix;
  const auto next_hops = table_.next_hops(entry);
  out.next_hops.assign(next_hops.begin(), next_hops.end());
  out.decision = entry.decision;
  if (entry.decision.state == RouteState::kAccepted) {
    out.peer_name = names(entry.decision.group);
    if (entry.decision.reason != Reason::kNone) out.refused_peer = policy_.name(entry.decision.refused_peer);
  } else if (entry.decision.peer) {
    out.peer_name = policy_.name(*entry.decision.peer);
  }
  out.held = entry.is_stale();
  return out;
}

std::vector<RouteStatus> RoutingAdapter::routes(
    const std::function<bool(const Prefix&, const Decision&)>& wanted) const {
  std::vector<RouteStatus> routes;
  table_.for_each([&](const Prefix& prefix, const RouteTable::Entry& entry) {
    if (!wanted || wanted(prefix, entry.decision)) routes.push_back(status_of(prefix, entry));
  });
  std::sort(routes.begin(), routes.end(),
            [](const RouteStatus& a, const RouteStatus& b) { return a.prefix < b.prefix; });
  return routes;
}

std::vector<RouteStatus> RoutingAdapter::covering(const IpAddress& address) const {
  std::vector<RouteStatus> out;
  for (unsigned length = address.bits() + 1; length-- > 0;) {
    const Prefix prefix(address, length);
    if (const auto* entry = table_.find(prefix); entry != nullptr) out.push_back(status_of(prefix, *entry));
  }
  return out;
}

std::size_t RoutingAdapter::audit(TimePoint now) {
  std::size_t wrong = 0;
  // What the policy of now gives, against what was decided when each route came.
  table_.for_each([&](const Prefix& prefix, RouteTable::Entry& entry) {
    const auto before = entry.decision;
    reconsider(prefix, entry, now);
    wrong += entry.decision == before ? 0 : 1;
  });
  sync_.flush();
  // What was decided, against what is there.
  std::vector<LearnedChange> repairs;
  sink_.for_each_learned([&](const LearnedChange& actual) {
    auto* entry = table_.find(actual.prefix);
    const auto wanted = to_change(actual.prefix, entry == nullptr ? Decision{} : entry->decision);
    if (entry != nullptr) entry->audited = true;
    if (wanted != actual) repairs.push_back(wanted);
  });
  table_.for_each([&](const Prefix& prefix, RouteTable::Entry& entry) {
    const auto wanted = to_change(prefix, entry.decision);
    if (!entry.audited && wanted.action != LearnedChange::Action::kRemove) repairs.push_back(wanted);
    entry.audited = false;
  });
  sync_.apply(repairs);
  wrong += repairs.size();
  ++audits_;
  repaired_ += wrong;
  if (!repairs.empty()) {
    events_.alert(fmt::format("{} learned allowed-IPs were not as decided, such as {}: repaired", repairs.size(),
                              repairs.front().prefix.to_string()));
  }
  return wrong;
}

}  // namespace greywire::routing
