#include "routing/kernel_routes/kernel_table.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <tuple>

namespace greywire::routing::kernel {
namespace {

constexpr std::uint32_t kMostDumps = 0x7fffffff;

bool contains(const std::vector<std::uint8_t>& list, std::uint8_t value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

void sort(std::vector<NextHop>& hops) {
  std::sort(hops.begin(), hops.end(), [](const NextHop& a, const NextHop& b) {
    return std::tie(a.kind, a.ifindex, a.gateway, a.weight) < std::tie(b.kind, b.ifindex, b.gateway, b.weight);
  });
}

// Weights are relative to the whole route, so a message about one next hop of several has another than the route.
bool same_way(const NextHop& a, const NextHop& b) {
  return a.kind == b.kind && a.ifindex == b.ifindex && a.gateway == b.gateway;
}

}  // namespace

bool Filter::takes(const KernelRoute& route) const {
  if (route.table != table || contains(never, route.protocol)) return false;
  if (!protocols.empty()) return contains(protocols, route.protocol);
  switch (route.protocol) {
    case RTPROT_UNSPEC:
    case RTPROT_REDIRECT:
    case RTPROT_KERNEL:
    case RTPROT_RA:
    case RTPROT_DHCP:
      return false;
    default:
      return true;
  }
}

void KernelTable::begin_dump() {
  dumping_ = true;
  touched_.clear();
  seen_objects_.clear();
  dump_ = dump_ == kMostDumps ? 1 : dump_ + 1;
}

void KernelTable::dumped(KernelRoute route, TimePoint now) {
  if (!filter_.takes(route)) {
    ++skipped_;
    return;
  }
  if (touched_.count({route.prefix, route.metric}) != 0) return;
  if (auto* entry = find(route.prefix, route.metric); entry != nullptr && entry->seen == dump_) {
    entry->ambiguous = 1;  // the first one leads
    return;
  }
  set(route, now);
}

void KernelTable::end_dump(bool complete, TimePoint now) {
  dumping_ = false;
  touched_.clear();
  if (!complete) return;
  std::erase_if(objects_, [&](const auto& known) { return seen_objects_.count(known.first) == 0; });
  std::vector<Key> gone;
  for (const auto& [prefix, routes] : routes_) {
    if (routes.best.seen != dump_) gone.emplace_back(prefix, routes.best.metric);
    if (!routes.others) continue;
    for (const auto& entry : *routes.others) {
      if (entry.seen != dump_) gone.emplace_back(prefix, entry.metric);
    }
  }
  for (const auto& [prefix, metric] : gone) erase(prefix, metric, now);
}

// The kernel puts a second IPv4 route of one metric behind or before the first; of IPv6 routes it makes one with several
// next hops, and a message has all of them.
void KernelTable::changed(KernelRoute route, unsigned flags, TimePoint now) {
  const bool replaces = (flags & NLM_F_REPLACE) != 0;
  auto* entry = find(route.prefix, route.metric);
  if (!filter_.takes(route)) {
    ++skipped_;
    if (route.table != filter_.table || !replaces || entry == nullptr) return;
    touch(route);
    return erase(route.prefix, route.metric, now);
  }
  touch(route);
  if (entry != nullptr && !replaces && route.prefix.family() == Family::kV4 && !same(*entry, route)) {
    entry->ambiguous = 1;
    if ((flags & NLM_F_APPEND) != 0) return;
  }
  set(route, now);
}

void KernelTable::removed(KernelRoute route, TimePoint now) {
  if (!filter_.takes(route)) return;
  touch(route);
  auto* entry = find(route.prefix, route.metric);
  if (entry == nullptr) return;
  if (entry->ambiguous != 0) {
    doubt_ = true;
    return;
  }
  const bool may_be_one_of_several =
      route.prefix.family() == Family::kV6 && route.next_hop_id == 0 && entry->object == 0 && !route.next_hops.empty();
  if (!may_be_one_of_several) return erase(route.prefix, route.metric, now);
  const auto have = sets_[entry->next_hops];
  std::vector<NextHop> left;
  for (const auto& hop : have) {
    const bool gone = std::any_of(route.next_hops.begin(), route.next_hops.end(),
                                  [&](const NextHop& other) { return same_way(hop, other); });
    if (!gone) left.push_back(hop);
  }
  if (left.size() == have.size()) {
    doubt_ = doubt_ || !left.empty();
    return;
  }
  if (left.empty()) return erase(route.prefix, route.metric, now);
  route.next_hops = std::move(left);
  set(route, now);
}

void KernelTable::next_hop_changed(NextHopObject object, TimePoint now) {
  const auto id = object.id;
  if (dumping_) seen_objects_.insert(id);
  const auto [it, is_new] = objects_.try_emplace(id);
  if (!is_new && it->second == object) return;
  it->second = std::move(object);
  std::set<std::uint32_t> affected{id};
  for (const auto& [group, known] : objects_) {
    if (std::any_of(known.group.begin(), known.group.end(), [&](const auto& m) { return m.id == id; })) affected.insert(group);
  }
  std::erase_if(affected, [&](std::uint32_t one) { return users_.count(one) == 0; });
  if (affected.empty()) return;
  for (const auto& [prefix, routes] : routes_) {
    if (affected.count(routes.best.object) != 0) announce(prefix, routes, now);
  }
}

// The kernel takes the routes of an object with it and does not say so.
void KernelTable::next_hop_removed(std::uint32_t id) {
  objects_.erase(id);
  doubt_ = doubt_ || users_.count(id) != 0;
}

bool KernelTable::take_doubt() {
  const bool doubt = doubt_;
  doubt_ = false;
  return doubt;
}

KernelTable::Entry* KernelTable::find(const Prefix& prefix, std::uint32_t metric) {
  const auto it = routes_.find(prefix);
  if (it == routes_.end()) return nullptr;
  if (it->second.best.metric == metric) return &it->second.best;
  if (!it->second.others) return nullptr;
  for (auto& entry : *it->second.others) {
    if (entry.metric == metric) return &entry;
  }
  return nullptr;
}

bool KernelTable::same(const Entry& entry, const KernelRoute& route) const {
  if (entry.object != route.next_hop_id) return false;
  auto hops = route.next_hops;
  sort(hops);
  const auto have = sets_[entry.next_hops];
  return std::vector<NextHop>(have.begin(), have.end()) == hops;
}

void KernelTable::set(KernelRoute& route, TimePoint now) {
  Entry fresh;
  fresh.metric = route.metric;
  fresh.object = route.next_hop_id;
  sort(route.next_hops);
  fresh.next_hops = sets_.acquire(route.next_hops);
  fresh.seen = dump_ & kMostDumps;
  use(fresh.object);
  if (auto* known = find(route.prefix, route.metric); known != nullptr) {
    release(*known);
    if (known->seen == dump_) fresh.ambiguous = known->ambiguous;
    *known = fresh;
  } else if (const auto it = routes_.find(route.prefix); it == routes_.end()) {
    routes_[route.prefix].best = fresh;
  } else {
    auto& routes = it->second;
    if (fresh.metric < routes.best.metric) std::swap(fresh, routes.best);
    if (!routes.others) routes.others = std::make_unique<std::vector<Entry>>();
    auto& others = *routes.others;
    const auto at = std::find_if(others.begin(), others.end(), [&](const Entry& e) { return e.metric > fresh.metric; });
    others.insert(at, fresh);
  }
  const auto& routes = routes_.find(route.prefix)->second;
  if (routes.best.metric == route.metric) announce(route.prefix, routes, now);
}

void KernelTable::erase(const Prefix& prefix, std::uint32_t metric, TimePoint now) {
  const auto it = routes_.find(prefix);
  auto& routes = it->second;
  if (routes.best.metric != metric) {
    auto& others = *routes.others;
    const auto entry = std::find_if(others.begin(), others.end(), [&](const Entry& e) { return e.metric == metric; });
    release(*entry);
    others.erase(entry);
    if (others.empty()) routes.others.reset();
    return;
  }
  release(routes.best);
  if (!routes.others) {
    routes_.erase(it);
    return listener_.on_withdraw(prefix, now);
  }
  routes.best = routes.others->front();
  routes.others->erase(routes.others->begin());
  if (routes.others->empty()) routes.others.reset();
  announce(prefix, routes, now);
}

void KernelTable::announce(const Prefix& prefix, const Routes& routes, TimePoint now) {
  route_.prefix = prefix;
  route_.next_hops.clear();
  if (routes.best.object != 0 && objects_.count(routes.best.object) != 0) {
    append(routes.best.object, 1, route_.next_hops);
  } else {
    const auto hops = sets_[routes.best.next_hops];
    route_.next_hops.assign(hops.begin(), hops.end());
  }
  listener_.on_route(route_, now);
}

// Groups hold no groups.
void KernelTable::append(std::uint32_t id, std::uint64_t weight, std::vector<NextHop>& out) const {
  const auto it = objects_.find(id);
  if (it == objects_.end()) return;
  if (it->second.group.empty()) {
    out.push_back(it->second.next_hop);
    out.back().weight = weight;
    return;
  }
  for (const auto& member : it->second.group) {
    const auto single = objects_.find(member.id);
    if (single == objects_.end() || !single->second.group.empty()) continue;
    out.push_back(single->second.next_hop);
    out.back().weight = member.weight;
  }
}

void KernelTable::use(std::uint32_t object) {
  if (object != 0) ++users_[object];
}

void KernelTable::release(const Entry& entry) {
  sets_.release(entry.next_hops);
  if (entry.object == 0) return;
  if (const auto it = users_.find(entry.object); --it->second == 0) users_.erase(it);
}

void KernelTable::touch(const KernelRoute& route) {
  if (dumping_) touched_.emplace(route.prefix, route.metric);
}

}  // namespace greywire::routing::kernel
