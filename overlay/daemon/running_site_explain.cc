// `greywire explain`: what a packet to an address would meet, and what one from it.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "overlay/daemon/running_site.h"
#include "router/engine/boot_clock.h"

namespace greywire::daemon {
namespace {

std::string_view origin_name(Origin origin) {
  switch (origin) {
    case Origin::kConfig:
      return "config";
    case Origin::kWg:
      return "wg";
    case Origin::kLearned:
      break;
  }
  return "learned";
}

std::string verdict_of(const routing::RouteStatus& route) {
  std::string text(routing::route_state_name(route.decision.state));
  if (route.held) text += ", held until its source repeats it";
  const auto why = routing::reason_text(route.decision.reason);
  if (route.decision.state != routing::RouteState::kAccepted) return why.empty() ? text : fmt::format("{}: {}", text, why);
  if (!route.refused_peer.empty()) text += fmt::format("; not from {}: {}", route.refused_peer, why);
  return text;
}

bool covers(const std::vector<Prefix>& prefixes, const IpAddress& address) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const Prefix& p) { return p.contains(address); });
}

}  // namespace

std::string RunningSite::next_hop_text(const routing::NextHop& hop) const {
  std::string text = hop.kind == routing::NextHop::Kind::kGateway     ? hop.gateway.to_string()
                     : hop.kind == routing::NextHop::Kind::kBlackhole ? "blackhole"
                                                                      : "";
  if (hop.ifindex != 0) text = fmt::format("{}%{}", text, interface_name(hop.ifindex));
  return text;
}

control::ExplainReport RunningSite::explain(const IpAddress& address) {
  control::ExplainReport out;
  out.address = address;
  out.steps.push_back(fmt::format("the kernel's routes must lead to {} (ip route get {})", config_->site.interface,
                                  address.to_string()));
  const wireguard::DeviceStatus device = engine_->status();
  std::vector<const wireguard::PeerStatus*> peers;
  for (const auto& peer : device.peers) {
    for (const auto& entry : peer.allowed_ips) {
      if (!entry.prefix.contains(address) || (out.match && out.match->length() > entry.prefix.length())) continue;
      if (out.match != entry.prefix) peers.clear();
      out.match = entry.prefix;
      out.origin = origin_name(entry.origin);
      peers.push_back(&peer);
    }
  }
  explain_routes(address, out);
  const RouteTarget target = engine_->lookup(address);
  if (target == kDiscard || target == kNone) {
    peers.clear();
    explain_drop(address, target == kDiscard, out);
  } else {
    out.delivered = !peers.empty();
    for (const auto* peer : peers) explain_peer(*peer, peers.size() > 1, out);
  }
  explain_sources(address, device, out);
  return out;
}

// Every learned prefix that covers the address, the longest first.
void RunningSite::explain_routes(const IpAddress& address, control::ExplainReport& out) const {
  const std::string source = config_->routing && config_->routing->source == config::RouteSourceKind::kKernel
                                 ? fmt::format("the kernel's table {}", config_->routing->table)
                                 : "zebra";
  for (const auto& route : adapter_->covering(address)) {
    std::vector<std::string> hops;
    for (const auto& hop : route.next_hops) hops.push_back(next_hop_text(hop));
    out.steps.push_back(fmt::format("{} learned from {}: next hop {}{}: {}", route.prefix.to_string(), source,
                                    hops.empty() ? "none" : fmt::format("{}", fmt::join(hops, ", ")),
                                    route.peer_name.empty() ? "" : fmt::format(", peer {}", route.peer_name),
                                    verdict_of(route)));
  }
}

void RunningSite::explain_drop(const IpAddress& address, bool discarded, control::ExplainReport& out) const {
  out.match.reset();
  out.origin.clear();
  const auto own = own_prefixes();
  if (discarded) {
    out.drop_reason = drop_reason_name(DropReason::kRouteRefused);
    for (const auto& route : adapter_->covering(address)) {
      if (route.decision.state != routing::RouteState::kRefused && route.decision.state != routing::RouteState::kUnresolved) continue;
      out.match = route.prefix;
      out.peer = route.peer_name;
      break;
    }
    out.steps.emplace_back("it is dropped with an ICMP unreachable, not sent by a shorter prefix");
    return;
  }
  out.drop_reason = drop_reason_name(DropReason::kNoPeer);
  if (covers(own, address)) {
    out.steps.emplace_back("it is this site's own (networks, overlay_address): no peer may announce it");
    return;
  }
  for (const auto& [name, record] : peers_) {
    if (!record.config->accept.covers(address)) continue;
    out.steps.push_back(fmt::format("{} may have it (accept), but no route to it was learned from there", name));
  }
  if (out.steps.size() == 1) out.steps.emplace_back("no peer's allowed_ips or accept covers it");
  if (!config_->routing) {
    out.steps.emplace_back("nothing is learned: there is no [routing]");
  } else if (const auto status = adapter_->status(); status.source != routing::SourceState::kSynced) {
    out.steps.push_back(fmt::format("the routing source is {}{}", routing::source_state_name(status.source),
                                    status.detail.empty() ? "" : ": " + status.detail));
  }
  out.steps.emplace_back("no peer's allowed-IPs cover it, so it is dropped with an ICMP unreachable");
}

void RunningSite::explain_peer(const wireguard::PeerStatus& peer, bool one_of_several, control::ExplainReport& out) const {
  const auto known = std::find_if(config_->peers.begin(), config_->peers.end(),
                                  [&](const config::Peer& p) { return p.public_key == peer.public_key; });
  const std::string name = known == config_->peers.end() ? peer.public_key.to_base64() : known->name;
  out.peer += (out.peer.empty() ? "" : ", ") + name;
  out.steps.push_back(fmt::format("{} ({}) leads to {}{}", out.match->to_string(), out.origin, name,
                                  one_of_several ? ", one of several by flow" : ""));
  if (peer.alive == false) {
    out.steps.push_back(fmt::format("{} does not answer the probe{}", name, one_of_several ? ": the others take its flows" : ""));
  }
  const auto* derived = derived_of(name);
  if (derived != nullptr && (!out.mtu || derived->inner_mtu < *out.mtu)) out.mtu = derived->inner_mtu;
  const std::string size = derived == nullptr ? "" : fmt::format("packets of up to {} bytes are ", derived->inner_mtu.bytes);
  out.steps.push_back(peer.endpoint ? fmt::format("{}sealed and sent to {}", size, peer.endpoint->to_string())
                                    : fmt::format("{} has no endpoint yet: it must call first", name));
}

// The other direction: whose packets may have this address as their source.
void RunningSite::explain_sources(const IpAddress& address, const wireguard::DeviceStatus& device, control::ExplainReport& out) const {
  std::string owner;
  for (const auto& [name, record] : peers_) {
    const auto& overlay = record.config->overlay_addresses;
    const bool is_its = std::find(overlay.begin(), overlay.end(), address) != overlay.end() ||
                        address == config::link_local_of(record.config->public_key);
    if (is_its) owner = name;
  }
  const bool own = covers(config_->site.networks, address);  // no peer's, whatever it may send else
  for (const auto& peer : device.peers) {
    const auto it = std::find_if(peers_.begin(), peers_.end(), [&](const auto& named) { return named.second.id == peer.id; });
    if (own || it == peers_.end()) continue;
    const auto& [name, record] = *it;
    bool may = owner.empty() ? covers(sources_of(*record.config), address) : owner == name;
    if (owner.empty() && record.config->source_check == config::SourceCheck::kStrict) {
      may = out.delivered && (", " + out.peer + ",").find(", " + name + ",") != std::string::npos;
    }
    if (may) out.sources.push_back(name);
  }
  if (!owner.empty()) {
    out.steps.push_back(fmt::format("packets from it are taken from {} alone: its overlay address", owner));
  } else if (out.sources.empty()) {
    out.steps.emplace_back("packets from it are taken from no peer");
  } else {
    out.steps.push_back(fmt::format("packets from it are taken from {}", fmt::join(out.sources, ", ")));
  }
}

}  // namespace greywire::daemon
