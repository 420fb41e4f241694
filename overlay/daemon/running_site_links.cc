// What a site makes of the host: devices, addresses, the underlay's rules, and the peers in the engine.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "overlay/daemon/running_site.h"
#include "overlay/links/underlay.h"

namespace greywire::daemon {
namespace {

constexpr std::chrono::milliseconds kDebounce{20};

}  // namespace

Result<void> RunningSite::open_devices() {
  gateway_adopted_ = options_.held.has(stored_name(config_->site.interface));
  auto gateway = open_device(config_->site.interface, engine::TunKind::kTun, engine_->workers());
  if (!gateway) return gateway.error();
  if (!gateway->routing_queue()) {
    spdlog::warn("routing traffic waits with all other traffic in the devices' queues: a queue of its own needs CAP_BPF and "
                 "Linux 4.16");
  }
  gateway_queues_.assign(gateway->fds().begin(), gateway->fds().end());
  gateway_ifindex_ = static_cast<std::uint32_t>(gateway->ifindex());
  own_ifindexes_.push_back(gateway_ifindex_);
  engine_->set_own(own_overlay(), config_->site.networks);
  engine_->add_link(std::move(*gateway), std::nullopt);
  return {};
}

std::vector<IpAddress> RunningSite::own_overlay() const {
  std::vector<IpAddress> own = config_->site.overlay_addresses;
  own.push_back(derived_.link_local);
  return own;
}

Result<void> RunningSite::choose_underlay() {
  if (!config_->underlay.device.empty() || !config_->underlay.vrf.empty() || config_->underlay.mark == 0U) return {};
  const auto actual = netlink_->read({});
  if (!actual) return actual.error();
  links::Underlay underlay = links::choose_underlay(config_->site.interface, *actual);
  if (config_->underlay.mark) underlay.mark = *config_->underlay.mark;
  if (config_->underlay.table) {
    underlay.table = *config_->underlay.table;
    underlay.mirror_main = false;
  }
  if (const int code = engine_->set_fwmark(underlay.mark); code != 0) return Error{"cannot mark outer packets", code};
  underlay_ = underlay;
  return {};
}

std::vector<Prefix> RunningSite::sources_of(const config::Peer& peer) const {
  std::vector<Prefix> sources = peer.allowed_ips;
  for (const auto& rule : peer.accept.rules()) sources.push_back(rule.prefix);
  for (const IpAddress& address : peer.overlay_addresses) sources.push_back(Prefix::host(address));
  sources.push_back(Prefix::host(config::link_local_of(peer.public_key)));
  return sources;
}

engine::PeerPolicy RunningSite::policy_of(const config::Peer& peer, const config::DerivedPeer& derived) const {
  engine::PeerPolicy policy;
  policy.strict = peer.source_check == config::SourceCheck::kStrict;
  policy.sources = sources_of(peer);
  policy.overlay = peer.overlay_addresses;
  policy.overlay.push_back(derived.link_local);
  policy.clamp_mss = true;
  policy.dscp = peer.dscp;
  policy.inner_mtu = derived.inner_mtu;
  policy.path = path_options(peer);
  if (peer.liveness && !peer.overlay_addresses.empty()) {
    policy.liveness = LivenessConfig{peer.liveness->interval, peer.liveness->count};
  }
  return policy;
}

engine::TunnelOptions RunningSite::tunnel_options(const config::Tunnel& tunnel, const PeerRecord& peer) const {
  engine::TunnelOptions options;
  options.peer = peer.id;
  options.config.ethernet = tunnel.kind == config::TunnelKind::kGretap;
  const auto delivery = config::delivery_of(config_->site, *peer.config, tunnel);
  if (delivery) {
    options.config.local = delivery->local;
    options.config.remote = delivery->remote;
  }
  options.config.key = tunnel.key;
  options.config.ttl = tunnel.ttl;
  options.config.tos_policy = tunnel.tos_policy;
  options.config.tos = tunnel.tos;
  options.config.df = tunnel.df;
  options.config.sequence = tunnel.sequence;
  options.config.checksum = tunnel.checksum;
  options.config.encap_limit = tunnel.encap_limit;
  options.clamp_mss = config::clamps_mss(tunnel);
  options.tell_too_big = tunnel.tell_too_big;
  options.sources = sources_of(*peer.config);
  for (const auto& address : tunnel.addresses) options.sources.push_back(address.network());
  options.sources.push_back(*Prefix::parse("fe80::/10"));
  return options;
}

// All that the config says of the peer in WireGuard's terms; takes back what an older one said.
wireguard::PeerChange RunningSite::settings_of(const config::Peer& peer) const {
  wireguard::PeerChange change;
  change.public_key = peer.public_key;
  change.origin = Origin::kConfig;
  change.preshared_key = peer.preshared_key;
  change.persistent_keepalive = static_cast<std::uint16_t>(config::effective_keepalive(peer).count());
  change.replace_allowed_ips = true;
  for (const IpAddress& address : peer.overlay_addresses) change.allowed_ips.push_back({Prefix::host(address), false});
  change.allowed_ips.push_back({Prefix::host(config::link_local_of(peer.public_key)), false});
  for (const Prefix& prefix : peer.allowed_ips) change.allowed_ips.push_back({prefix, false});
  return change;
}

void RunningSite::add_peer(const config::Peer& peer) {
  wireguard::PeerChange settings = settings_of(peer);
  // Where it was in the last run, unless the config knows better at once.
  const auto was = last_run_.endpoints.find(peer.public_key);
  const bool known = !peer.endpoints.empty() && std::all_of(peer.endpoints.begin(), peer.endpoints.end(),
                                                            [](const auto& endpoint) { return endpoint.literal.has_value(); });
  if (was != last_run_.endpoints.end() && !known) settings.endpoint = was->second;
  engine_->change_peer(settings);
  PeerRecord& record = peers_[peer.name];
  record.config = &peer;
  record.id = *engine_->find_peer(peer.public_key);
  record.reachability = Reachability({peer.hold_up, peer.flap_damping});
  if (!peer.liveness || peer.overlay_addresses.empty()) record.reachability.assume_alive();
  record.underlay = config::endpoint_family(peer);
  if (const auto* derived = derived_of(peer.name)) engine_->set_peer_policy(record.id, policy_of(peer, *derived));
  find_endpoints(record);
}

void RunningSite::find_endpoints(PeerRecord& record) {
  record.endpoints.reset();
  if (record.config->endpoints.empty()) return;
  record.endpoints = std::make_unique<PeerEndpoints>(
      io_, record.config->endpoints,
      [this, &record](const std::vector<Endpoint>& candidates) { endpoints_changed(record, candidates); },
      [name = record.config->name](const std::string& host, const std::string& why) {
        spdlog::warn("an endpoint of {} cannot be resolved ({}: {}); trying again every 10 s", name, host, why);
      });
  record.place = PeerRecord::Place::kUnasked;
  record.endpoints->start();
  if (record.place == PeerRecord::Place::kUnasked) record.place = PeerRecord::Place::kAwaited;
}

Result<void> RunningSite::add_tunnel(const config::Tunnel& tunnel) {
  const auto kind = tunnel.kind == config::TunnelKind::kGre ? engine::TunKind::kTun : engine::TunKind::kTap;
  // Sequence numbers need one reader of the device: see Engine::add_link.
  auto device = open_device(tunnel.name, kind, tunnel.sequence ? 1 : engine_->workers());
  if (!device) return device.error();
  TunnelRecord& record = tunnels_[tunnel.name];
  record.config = &tunnel;
  record.ifindex = static_cast<links::Ifindex>(device->ifindex());
  record.queues.assign(device->fds().begin(), device->fds().end());
  own_ifindexes_.push_back(record.ifindex);
  if (tunnel.kind == config::TunnelKind::kSegment) {
    record.link = engine_->add_segment(std::move(*device), segment_options(tunnel, record.ports));
  } else {
    record.link = engine_->add_link(std::move(*device), tunnel_options(tunnel, peers_.at(tunnel.peer)));
  }
  return {};
}

Result<void> RunningSite::open_tunnels() {
  for (const config::Tunnel& tunnel : config_->tunnels) {
    if (!any_peer_known(tunnel)) continue;  // its peer is disabled
    if (auto ok = add_tunnel(tunnel); !ok) return ok;
  }
  return {};
}

// Next hops on the gateway are a peer each: an address pair over IPv4; over IPv6, where the kernel keeps a local address
// only once a device, a host route. They stand while the peer answers.
links::LinkSpec RunningSite::desired_gateway(links::DesiredLinks& all) {
  links::LinkSpec gateway;
  gateway.name = config_->site.interface;
  gateway.mtu = damped(gateway.name, derived_.device_mtu);
  gateway.no_automatic_link_local = true;
  gateway.gso_max_size = engine::kGsoMaxSize;
  std::optional<IpAddress> own_v4, own_v6;
  for (const IpAddress& own : config_->site.overlay_addresses) {
    gateway.addresses.push_back(links::LinkAddress::plain(own, own.bits()));
    auto& first = own.is_v4() ? own_v4 : own_v6;
    if (!first) first = own;
  }
  gateway.addresses.push_back(links::LinkAddress::plain(derived_.link_local, 128));
  // zebra takes the upper byte of a kernel route's metric for its distance: ours must not stand before the injected one.
  constexpr std::uint32_t kBehindInjected = 250U << 24 | 20;
  const std::uint32_t static_metric = config_->routing && config_->routing->inject ? kBehindInjected : 0;
  const auto route = [&](const Prefix& to, std::uint32_t metric = 0) {
    links::DeviceRoute r;
    r.destination = to;
    r.metric = metric;
    r.device = gateway.name;
    r.preferred_source = to.family() == Family::kV4 ? own_v4 : own_v6;
    if (to.address().is_link_local()) r.preferred_source.reset();
    all.routes.push_back(r);
  };
  // What is for a peer that does not answer does not leave in clear by the default route: behind every other route stands one
  // that keeps it here. zebra reads a distance of 255, which no route is used with.
  constexpr std::uint32_t kBehindAll = 255U << 24;
  for (const auto& [name, record] : peers_) {
    for (const Prefix& prefix : record.config->allowed_ips) {
      if (prefix.length() != 0 && !config::has_fallback(*config_, *record.config, prefix)) route(prefix, kBehindAll);
    }
    if (!record.reachability.usable()) continue;
    for (const IpAddress& remote : record.config->overlay_addresses) {
      if (remote.is_v4() && own_v4) {
        gateway.addresses.push_back(links::LinkAddress::point_to_point(*own_v4, remote));
      } else {
        route(Prefix::host(remote));
      }
    }
    route(Prefix::host(config::link_local_of(record.config->public_key)));
    for (const Prefix& prefix : record.config->allowed_ips) route(prefix, static_metric);
  }
  return gateway;
}

void RunningSite::make_port(const config::Tunnel& tunnel, links::LinkSpec& link, links::DesiredLinks& all) {
  link.bridge = tunnel.bridge;
  link.isolated = tunnel.isolated;
  if (const auto vlans = config::port_vlans(tunnel)) {
    link.vlans.emplace();
    for (const auto& vlan : *vlans) link.vlans->push_back({vlan.vid, vlan.pvid, vlan.untagged});
  }
  if (tunnel.bridge_create) all.bridges.push_back({tunnel.bridge, link.vlans.has_value(), tunnel.stp});
}

links::DesiredLinks RunningSite::desired() {
  links::DesiredLinks all;
  all.links.push_back(desired_gateway(all));
  for (const auto& derived : derived_.tunnels) {
    const auto it = tunnels_.find(derived.name);
    if (it == tunnels_.end()) continue;
    const config::Tunnel& tunnel = *it->second.config;
    links::LinkSpec link;
    link.name = derived.name;
    link.mtu = damped(link.name, derived.device_mtu);
    link.carrier = any_peer_usable(tunnel);
    link.gso_max_size = engine::kGsoMaxSize;
    if (tunnel.kind == config::TunnelKind::kGre) {
      link.no_automatic_link_local = true;
      link.addresses.push_back(links::LinkAddress::plain(derived_.link_local, 64));
    }
    if (!tunnel.bridge.empty()) make_port(tunnel, link, all);
    for (const auto& address : tunnel.addresses) {
      link.addresses.push_back(links::LinkAddress::plain(address.address, address.length));
    }
    all.links.push_back(std::move(link));
  }
  all.underlay = underlay_;
  all.withdrawn = withdrawn_;
  return all;
}

void RunningSite::reconcile() {
  reconcile_pending_ = false;
  made_links_ = true;
  inject_static();
  const auto outcome = links::reconcile(*netlink_, desired());
  if (!outcome) return alert("cannot read this host's links: " + outcome.error().text);
  std::set<std::string> problems;
  for (const Error& problem : outcome->problems) problems.insert(problem.text);
  for (const std::string& problem : problems) {
    if (told_problems_.count(problem) == 0) alert(problem);
  }
  told_problems_ = std::move(problems);
}

void RunningSite::reconcile_soon() {
  if (reconcile_pending_) return;
  reconcile_pending_ = true;
  reconcile_timer_.expires_after(kDebounce);
  reconcile_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) reconcile();
  });
}

void RunningSite::watch_links() {
  if (!monitor_wait_.is_open()) monitor_wait_.assign(::dup(monitor_->fd()));
  monitor_wait_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                           [this](const boost::system::error_code& error) {
                             if (error) return;
                             const auto changes = monitor_->drain(own_ifindexes_);
                             if (!changes || changes->any()) reconcile_soon();
                             watch_links();
                           });
}

}  // namespace greywire::daemon
