// How a running site learns routes, and what becomes of them in the engine.
#include "overlay/daemon/privileges.h"
#include "overlay/daemon/running_site.h"
#include "router/engine/boot_clock.h"
#include "routing/kernel_routes/client.h"

namespace greywire::daemon {

std::vector<routing::PeerRouting> RunningSite::peer_routing() const {
  std::vector<routing::PeerRouting> peers;
  for (const auto& [name, record] : peers_) {
    routing::PeerRouting peer;
    peer.id = record.id;
    peer.name = name;
    peer.overlay_addresses = record.config->overlay_addresses;
    peer.overlay_addresses.push_back(config::link_local_of(record.config->public_key));
    peer.static_prefixes = record.config->allowed_ips;
    peer.accept = record.config->accept;
    peer.max_prefixes = record.config->max_prefixes;
    peers.push_back(std::move(peer));
  }
  return peers;
}

std::vector<Prefix> RunningSite::own_prefixes() const {
  std::vector<Prefix> own = config_->site.networks;
  for (const IpAddress& address : config_->site.overlay_addresses) own.push_back(Prefix::host(address));
  return own;
}

void RunningSite::start_routing() {
  routing::AdapterOptions options;
  if (config_->routing) options.hold_time = config_->routing->hold;
  options.resync = [this] {
    if (source_) source_->resync();
  };
  adapter_ = std::make_unique<routing::RoutingAdapter>(*this, *this, options);
  const TimePoint now = engine::boot_now();
  adapter_->set_own(own_prefixes(), now);
  adapter_->set_overlay_ifindex(gateway_ifindex_, now);
  adapter_->set_peers(peer_routing(), now);
  if (!config_->routing) return;
  if (config_->routing->source == config::RouteSourceKind::kKernel) {
    routing::kernel::Filter filter;
    filter.table = config_->routing->table;
    filter.protocols = config_->routing->protocols;
    filter.never = {links::kProtocol};
    source_ = std::make_unique<routing::kernel::Client>(io_, std::move(filter), *adapter_, engine::boot_now);
  } else {
    auto zebra = std::make_unique<routing::zapi::Client>(io_, config_->routing->zebra, *adapter_, engine::boot_now,
                                                         routing::zapi::SessionTiming{}, right_to_zebra);
    if (config_->routing->inject) injector_ = zebra.get();
    source_ = std::move(zebra);
    inject_static();
  }
  source_->start();
  audit_later();
}

// Where no probe says whether the peer is there, its last handshake does.
bool RunningSite::is_tracked_up(const PeerRecord& record) const {
  if (!record.reachability.usable()) return false;
  return (record.config->liveness && !record.config->overlay_addresses.empty()) || record.handshake_fresh;
}

void RunningSite::inject_static() {
  if (injector_ == nullptr) return;
  std::set<Prefix> prefixes;
  for (const auto& [name, record] : peers_) {
    if (!is_tracked_up(record)) continue;
    prefixes.insert(record.config->allowed_ips.begin(), record.config->allowed_ips.end());
  }
  injector_->inject(std::move(prefixes), gateway_ifindex_);
}

control::AuditReport RunningSite::audit() {
  control::AuditReport out;
  out.repaired = adapter_->audit(engine::boot_now());
  const auto status = adapter_->status();
  out.routes = status.routes;
  out.source_asked = source_ != nullptr && status.source == routing::SourceState::kSynced;
  if (!source_) return out;
  source_->resync();
  source_->rearm();
  return out;
}

void RunningSite::audit_later() {
  audit_timer_.cancel();
  if (!config_->routing || !config_->routing->audit) return;
  audit_timer_.expires_after(*config_->routing->audit);
  audit_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    audit();
    audit_later();
  });
}

void RunningSite::apply(std::span<const routing::LearnedChange> changes) {
  using Action = routing::LearnedChange::Action;
  std::vector<LearnedRoute> routes;
  routes.reserve(changes.size());
  for (const auto& change : changes) {
    LearnedRoute route;
    route.prefix = change.prefix;
    route.peer = change.peer;
    route.group = change.group;
    switch (change.action) {
      case Action::kPeer: route.action = LearnedRoute::Action::kToPeer; break;
      case Action::kGroup: route.action = LearnedRoute::Action::kToGroup; break;
      case Action::kDiscard: route.action = LearnedRoute::Action::kRefused; break;
      case Action::kRemove: route.action = LearnedRoute::Action::kWithdrawn; break;
    }
    routes.push_back(route);
  }
  engine_->learn(std::move(routes));
  route_events(changes);
}

void RunningSite::define_group(NextHopGroupId group, std::span<const WeightedPeer> members) {
  engine_->define_group(group, {members.begin(), members.end()});
  auto& peers = groups_[group];
  peers.clear();
  for (const auto& member : members) peers.push_back(member.peer);
}

void RunningSite::drop_group(NextHopGroupId group) {
  engine_->drop_group(group);
  groups_.erase(group);
}

void RunningSite::for_each_learned(const std::function<void(const routing::LearnedChange&)>& visit) {
  using Action = routing::LearnedChange::Action;
  engine_->for_each_learned([&](const Prefix& prefix, RouteTarget target) {
    if (target == kDiscard) return visit({prefix, Action::kDiscard, {}});
    if (target.group().is_shared()) return visit({prefix, Action::kGroup, {}, target.group()});
    visit({prefix, Action::kPeer, PeerId{target.value}});
  });
}

}  // namespace greywire::daemon
