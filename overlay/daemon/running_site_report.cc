// What a running site answers on its control socket.
#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>

#include "overlay/daemon/running_site.h"
#include "router/engine/boot_clock.h"

namespace greywire::daemon {
namespace {

template <class To>
To elapsed(TimePoint since) {
  return std::chrono::duration_cast<To>(engine::boot_now() - since);
}

std::string name_of_peer(const config::Config& config, const PublicKey& key) {
  for (const auto& peer : config.peers) {
    if (peer.public_key == key) return peer.name;
  }
  return {};
}

std::string state_text(const routing::RouteStatus& route) {
  return route.held ? "held" : std::string(routing::route_state_name(route.decision.state));
}

}  // namespace

control::SiteStatus RunningSite::status(Detail detail) {
  control::SiteStatus out;
  const wireguard::DeviceStatus device = detail == Detail::kFigures ? engine_->brief_status() : engine_->status();
  out.site = config_->site.name;
  out.version = GREYWIRE_VERSION;
  out.interface = config_->site.interface;
  out.listen_port = device.listen_port;
  out.fwmark = device.fwmark;
  out.public_key = device.public_key.to_base64();
  out.overlay_addresses = config_->site.overlay_addresses;
  out.uptime = elapsed<std::chrono::seconds>(started_);
  for (const auto& peer : device.peers) out.peers.push_back(report(peer));
  out.tunnels = tunnel_reports();
  out.routing = routing_report();
  report_prefixes(out);
  report_paths(out);
  out.drops = control::drop_reports([this](DropReason reason) { return engine_->dropped(reason); });
  out.alerts.assign(alerts_.begin(), alerts_.end());
  out.alerts_total = alerts_total_;
  out.confirm_within = trial_.left(engine::boot_now());
  return out;
}

void RunningSite::report_prefixes(control::SiteStatus& out) const {
  const routing::RoutingStatus status = adapter_->status();
  const auto of = [&](const std::string& name) {
    return std::find_if(out.peers.begin(), out.peers.end(), [&](const auto& peer) { return peer.name == name; });
  };
  for (const auto& counts : status.peers) {
    const auto peer = of(counts.name);
    if (peer == out.peers.end()) continue;
    peer->prefixes = counts.accepted;
    peer->over_maximum = counts.over_maximum;
    peer->max_prefixes = counts.maximum;
  }
  if (status.refused == 0) return;
  const auto refused = [](const Prefix&, const routing::Decision& decision) {
    return decision.state == routing::RouteState::kRefused;
  };
  for (const auto& route : adapter_->routes(refused)) {
    if (const auto peer = of(route.peer_name); peer != out.peers.end()) peer->refused.push_back(route.prefix);
  }
}

control::PeerReport RunningSite::report(const wireguard::PeerStatus& peer) const {
  control::PeerReport out;
  out.name = name_of_peer(*config_, peer.public_key);
  out.public_key = peer.public_key.to_base64();
  out.preshared_key = !peer.preshared_key.is_zero();
  out.origin = peer.origin == Origin::kConfig ? "config" : "wg";
  out.endpoint = peer.endpoint;
  if (peer.last_handshake != WallTime{}) {
    out.handshake_age = std::chrono::seconds(std::max<std::int64_t>(0, engine::wall_now().seconds - peer.last_handshake.seconds));
  }
  out.handshakes = peer.handshakes;
  out.previous_key = peer.knows_previous_key;
  out.rx_bytes = peer.rx_bytes;
  out.tx_bytes = peer.tx_bytes;
  out.persistent_keepalive = std::chrono::seconds(peer.persistent_keepalive);
  if (const auto it = peers_.find(out.name); it != peers_.end()) {
    out.overlay_addresses = it->second.config->overlay_addresses;
  }
  for (const auto& entry : peer.allowed_ips) {
    (entry.origin == Origin::kLearned ? out.learned_allowed_ips : out.static_allowed_ips).push_back(entry.prefix);
  }
  out.alive = peer.alive;
  if (const auto it = peers_.find(out.name); it != peers_.end()) {
    out.held_down = it->second.reachability.alive() && !it->second.reachability.usable();
  }
  if (peer.round_trip) out.round_trip = std::chrono::duration_cast<std::chrono::microseconds>(*peer.round_trip);
  if (const auto* derived = derived_of(out.name)) out.inner_mtu = derived->inner_mtu;
  return out;
}

std::vector<control::TunnelReport> RunningSite::tunnel_reports() {
  std::vector<control::TunnelReport> out;
  const auto traffic = engine_->tunnel_traffic();
  links::ReadScope scope;
  for (const auto& [name, record] : tunnels_) scope.own_links.push_back(name);
  const auto actual = netlink_->read(scope);
  for (const auto& derived : derived_.tunnels) {
    const auto it = tunnels_.find(derived.name);
    if (it == tunnels_.end()) continue;
    const config::Tunnel& tunnel = *it->second.config;
    control::TunnelReport report;
    report.name = derived.name;
    report.kind = config::to_string(tunnel.kind);
    report.peer = derived.peer;
    report.key = tunnel.key;
    report.local = derived.delivery.local;
    report.remote = derived.delivery.remote;
    for (const auto& address : tunnel.addresses) report.addresses.push_back(address.to_string());
    report.bridge = tunnel.bridge;
    report.mtu = derived.device_mtu;
    report.payload_limit = derived.payload_mtu;
    if (const links::ActualLink* link = actual ? actual->find(derived.name) : nullptr; link != nullptr) {
      report.mtu = link->mtu;
      report.up = link->up;
      report.carrier = link->carrier;
    }
    for (const auto& t : traffic) {
      if (t.link != it->second.link) continue;
      report.rx_packets += t.rx_packets;
      report.rx_bytes += t.rx_bytes;
      report.tx_packets += t.tx_packets;
      report.tx_bytes += t.tx_bytes;
    }
    report.sequence = tunnel.sequence;
    report.checksum = tunnel.checksum;
    report.encap_limit = tunnel.encap_limit;
    if (tunnel.kind == config::TunnelKind::kSegment) report_segment(it->second, report);
    out.push_back(std::move(report));
  }
  return out;
}

control::RoutingReport RunningSite::routing_report() const {
  control::RoutingReport out;
  if (!config_->routing) return out;
  const routing::RoutingStatus status = adapter_->status();
  const bool kernel = config_->routing->source == config::RouteSourceKind::kKernel;
  out.source = kernel ? "kernel" : "zebra";
  out.socket = kernel ? fmt::format("table {}", config_->routing->table) : config_->routing->zebra;
  out.state = routing::source_state_name(status.source);
  if (!kernel) out.release_group = status.release;
  out.routes = status.routes;
  out.accepted = status.accepted;
  out.refused = status.refused;
  out.ignored = status.ignored;
  out.unresolved = status.unresolved;
  out.held = status.held;
  out.not_taken = status.not_taken;
  out.audits = status.audits;
  out.repaired = status.repaired;
  if (source_) {
    out.dumps = source_->counters().dumps;
    out.overruns = source_->counters().overruns;
  }
  out.last_error = status.detail;
  return out;
}

std::string RunningSite::interface_name(std::uint32_t ifindex) const {
  char name[IF_NAMESIZE];
  return if_indextoname(ifindex, name) != nullptr ? name : std::to_string(ifindex);
}

control::RoutesReport RunningSite::routes() const {
  control::RoutesReport out;
  for (const auto& route : adapter_->routes()) {
    control::RouteReport report;
    report.prefix = route.prefix;
    for (const auto& hop : route.next_hops) report.next_hops.push_back(next_hop_text(hop));
    report.peer = route.peer_name;
    report.state = state_text(route);
    report.reason = routing::reason_text(route.decision.reason);
    if (!route.refused_peer.empty()) report.reason = fmt::format("not from {}: {}", route.refused_peer, report.reason);
    out.routes.push_back(std::move(report));
  }
  return out;
}

}  // namespace greywire::daemon
