#include "overlay/links/underlay.h"

#include <algorithm>
#include <tuple>

namespace greywire::links {
namespace {

constexpr std::uint32_t kFirstMark = 0x06700000;  // 2^20 numbers from here
constexpr std::uint32_t kMarkMask = 0x000fffff;

std::uint32_t fnv1a(std::string_view text) {
  std::uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619U;
  return hash;
}

bool is_free_or_ours(std::uint32_t id, const ActualLinks& actual) {
  const auto foreign_rule = [&](const Rule& rule) {
    if (rule.protocol == kProtocol && rule.mark == id) return false;
    const bool matches_mark = rule.mask != 0 && (id & rule.mask) == rule.mark && rule.mark != 0;
    return matches_mark || rule.table == id;
  };
  const auto foreign_route = [&](const Route& route) {
    return route.table == id && route.protocol != kProtocol;
  };
  return std::none_of(actual.rules.begin(), actual.rules.end(), foreign_rule) &&
         std::none_of(actual.routes.begin(), actual.routes.end(), foreign_route);
}

bool contains(const std::vector<Ifindex>& set, Ifindex ifindex) {
  return std::find(set.begin(), set.end(), ifindex) != set.end();
}

bool has_gateway(const Route& route) {
  return std::any_of(route.next_hops.begin(), route.next_hops.end(),
                     [](const NextHop& hop) { return hop.gateway.has_value(); });
}

}  // namespace

Underlay choose_underlay(std::string_view device_name, const ActualLinks& actual) {
  const auto start = fnv1a(device_name);
  for (std::uint32_t i = 0; i <= kMarkMask; ++i) {
    const auto id = kFirstMark | ((start + i) & kMarkMask);
    if (is_free_or_ours(id, actual)) return {id, id, true};
  }
  return {kFirstMark, kFirstMark, true};  // a million foreign rules: the plan's errors will name the clash
}

std::vector<Route> mirrored_routes(const Underlay& underlay, const std::vector<Ifindex>& own_links,
                                   const std::vector<Route>& routes) {
  std::vector<Route> mirror;
  for (const auto& route : routes) {
    if (route.table != kMainTable || route.protocol == kProtocol) continue;
    Route copy = route;
    copy.table = underlay.table;
    copy.protocol = kProtocol;
    std::erase_if(copy.next_hops, [&](const NextHop& hop) { return contains(own_links, hop.ifindex); });
    if (copy.kind == RouteKind::kUnicast && copy.next_hops.empty()) continue;
    if (copy.next_hops.size() == 1) copy.next_hops.front().weight = 1;
    mirror.push_back(std::move(copy));
  }
  // The kernel can hold several routes of one key: IPv6 has a fe80::/64 for each device. Each copy gets a
  // metric of its own, in the kernel's order, so that a lookup bound to a device still finds its own.
  const auto key = [](const Route& r) { return std::tie(r.destination, r.metric); };
  std::stable_sort(mirror.begin(), mirror.end(),
                   [&](const Route& a, const Route& b) { return key(a) < key(b); });
  for (std::size_t i = 1; i < mirror.size(); ++i) {
    const auto& before = mirror[i - 1];
    if (mirror[i].destination == before.destination && mirror[i].metric <= before.metric) {
      mirror[i].metric = before.metric + 1;
    }
  }
  const auto order = [](const Route& r) { return std::make_pair(has_gateway(r), r.destination.length()); };
  std::stable_sort(mirror.begin(), mirror.end(),
                   [&](const Route& a, const Route& b) { return order(a) < order(b); });
  return mirror;
}

std::vector<Rule> underlay_rules(const Underlay& underlay) {
  std::vector<Rule> rules;
  for (const auto family : {Family::kV4, Family::kV6}) {
    rules.push_back({family, kLookupPriority, underlay.mark, 0xffffffff, underlay.table, kProtocol});
    rules.push_back({family, kUnreachablePriority, underlay.mark, 0xffffffff, std::nullopt, kProtocol});
  }
  return rules;
}

}  // namespace greywire::links
