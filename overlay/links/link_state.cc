#include "overlay/links/link_state.h"

#include <fmt/format.h>

#include <algorithm>

namespace greywire::links {

LinkAddress LinkAddress::plain(const IpAddress& address, unsigned length) {
  return {address, address, length};
}

LinkAddress LinkAddress::point_to_point(const IpAddress& local, const IpAddress& remote) {
  return {local, remote, remote.bits()};
}

std::string LinkAddress::to_string() const {
  if (peer == local) return fmt::format("{}/{}", local.to_string(), length);
  return fmt::format("{} peer {}/{}", local.to_string(), peer.to_string(), length);
}

std::string Route::to_string() const {
  std::string text = destination.length() == 0 ? "default" : destination.to_string();
  if (kind == RouteKind::kBlackhole) text = "blackhole " + text;
  if (kind == RouteKind::kUnreachable) text = "unreachable " + text;
  if (kind == RouteKind::kProhibit) text = "prohibit " + text;
  for (const auto& hop : next_hops) {
    if (hop.gateway) text += " via " + hop.gateway->to_string();
    text += fmt::format(" interface {}", hop.ifindex);
  }
  if (table != kMainTable) text += fmt::format(" table {}", table);
  if (metric != 0) text += fmt::format(" metric {}", metric);
  return text;
}

bool Route::same_key(const Route& other) const {
  return destination == other.destination && table == other.table && metric == other.metric;
}

std::string Rule::to_string() const {
  const auto* family_name = family == Family::kV4 ? "IPv4" : "IPv6";
  const auto action = table ? fmt::format("lookup {}", *table) : std::string("unreachable");
  return fmt::format("{} rule {}: fwmark {:#x} {}", family_name, priority, mark, action);
}

const ActualLink* ActualLinks::find(std::string_view name) const {
  const auto it =
      std::find_if(links.begin(), links.end(), [&](const ActualLink& link) { return link.name == name; });
  return it == links.end() ? nullptr : &*it;
}

const ActualLink* ActualLinks::find(Ifindex ifindex) const {
  const auto it = std::find_if(links.begin(), links.end(),
                               [&](const ActualLink& link) { return link.ifindex == ifindex; });
  return it == links.end() ? nullptr : &*it;
}

ReadScope scope_of(const DesiredLinks& desired) {
  ReadScope scope;
  for (const auto& link : desired.links) {
    scope.own_links.push_back(link.name);
    scope.port_vlans = scope.port_vlans || link.vlans.has_value();
  }
  if (desired.underlay && desired.underlay->mirror_main) {
    scope.main_table = true;
    scope.tables.push_back(desired.underlay->table);
  }
  return scope;
}

}  // namespace greywire::links
