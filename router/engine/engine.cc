#include "router/engine/engine.h"

#include "router/engine/protocol.h"

namespace greywire::engine {

Engine::Engine(const EngineOptions& options, EngineEvents events)
    : protocol_(std::make_unique<Protocol>(options, std::move(events))) {}
Engine::~Engine() = default;

unsigned Engine::default_workers() {
  // Measured (docs/architecture.md): with both directions on one thread a core is kept busy before a second worker
  // pays for its wake-ups; a peer pair is one UDP flow and cannot be spread anyway.
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  return std::clamp(cores / 2, 1U, 8U);
}

unsigned Engine::workers() const { return protocol_->worker_count(); }
std::string_view Engine::aead_name() const { return aead_provider_name(protocol_->provider()); }

wireguard::DeviceStatus Engine::status() {
  auto status = brief_status();
  const auto owners = protocol_->call([](Protocol& p) { return p.owners(); });
  protocol_->read_routes([&](const AllowedIpsRoot& root) {
    auto entries = AllowedIpsBook::entries(root, owners.fixed, [&](NextHopGroupId group) -> std::span<const PeerId> {
      const auto it = owners.groups.find(group);
      return it == owners.groups.end() ? std::span<const PeerId>{} : it->second;
    });
    for (auto& peer : status.peers) {
      const auto& own = entries[peer.id];
      peer.allowed_ips.reserve(own.size());
      for (const auto& entry : own) peer.allowed_ips.push_back({entry.prefix, entry.origin});
    }
  });
  return status;
}
wireguard::DeviceStatus Engine::brief_status() {
  return protocol_->call([](Protocol& p) { return p.status(); });
}
int Engine::set_private_key(const PrivateKey& key) {
  return protocol_->call([&](Protocol& p) { return p.set_private_key(key); });
}
void Engine::set_identities(const PrivateKey& key, const PrivateKey& previous) {
  protocol_->call([&](Protocol& p) { p.set_identities(key, previous); });
}
bool Engine::change_key(const PublicKey& from, const PublicKey& to) {
  return protocol_->call([&](Protocol& p) { return p.change_key(from, to); });
}
int Engine::set_listen_port(std::uint16_t port) {
  const auto result = listen(port);
  return result ? 0 : result.error().code;
}
int Engine::set_fwmark(std::uint32_t mark) {
  return protocol_->call([&](Protocol& p) { return p.set_fwmark(mark); });
}
int Engine::remove_peers(Origin origin) {
  return protocol_->call([&](Protocol& p) { return p.remove_peers(origin); });
}
int Engine::change_peer(const wireguard::PeerChange& change) {
  return protocol_->call([&](Protocol& p) { return p.change_peer(change); });
}
Result<void> Engine::listen(std::uint16_t port) {
  return protocol_->call([&](Protocol& p) { return p.listen(port); });
}
void Engine::suspend() {
  protocol_->call([](Protocol& p) { p.suspend(); });
}
Result<void> Engine::resume() {
  return protocol_->call([](Protocol& p) { return p.resume(); });
}
std::optional<PeerId> Engine::find_peer(const PublicKey& key) {
  return protocol_->call([&](Protocol& p) { return p.find_peer(key); });
}
void Engine::set_inner_mtu(Mtu mtu) {
  protocol_->call([&](Protocol& p) { p.set_inner_mtu(mtu); });
}
void Engine::set_endpoints(PeerId peer, std::vector<Endpoint> candidates) {
  protocol_->call([&](Protocol& p) { p.set_endpoints(peer, candidates); });
}
void Engine::initiate_all() {
  protocol_->call([](Protocol& p) { p.initiate_all(); });
}
void Engine::initiate(PeerId peer) {
  protocol_->call([&](Protocol& p) { p.initiate(peer); });
}
wireguard::Timestamp Engine::greatest_timestamp() {
  return protocol_->call([](Protocol& p) { return p.greatest_timestamp(); });
}
LinkId Engine::add_link(TunDevice device, std::optional<TunnelOptions> tunnel) {
  return protocol_->call([&](Protocol& p) { return p.add_link(std::move(device), tunnel); });
}
void Engine::remove_link(LinkId link) {
  protocol_->call([&](Protocol& p) { p.remove_link(link); });
}
void Engine::replace_tunnel(LinkId link, TunnelOptions tunnel) {
  protocol_->call([&](Protocol& p) { p.replace_tunnel(link, tunnel); });
}
LinkId Engine::add_segment(TunDevice device, SegmentOptions segment) {
  return protocol_->call([&](Protocol& p) { return p.add_segment(std::move(device), segment); });
}
void Engine::replace_segment(LinkId link, SegmentOptions segment) {
  protocol_->call([&](Protocol& p) { p.replace_segment(link, segment); });
}
Result<void> Engine::ping(PeerId peer, std::uint32_t id, std::size_t size) {
  return protocol_->call([&](Protocol& p) { return p.ping(peer, id, size); });
}
CaptureTap& Engine::tap() { return protocol_->tap(); }
std::vector<gre::MacTable::Entry> Engine::segment_macs(LinkId link) {
  return protocol_->call([&](Protocol& p) { return p.segment_macs(link); });
}
std::optional<gre::SegmentStatus> Engine::segment_status(LinkId link) {
  return protocol_->call([&](Protocol& p) { return p.segment_status(link); });
}
std::vector<gre::SegmentEvent> Engine::take_segment_events(LinkId link) {
  return protocol_->call([&](Protocol& p) { return p.take_segment_events(link); });
}
Result<void> Engine::set_carrier(LinkId link, bool on) {
  return protocol_->call([&](Protocol& p) { return p.set_carrier(link, on); });
}
void Engine::set_own(std::vector<IpAddress> addresses, std::vector<Prefix> networks) {
  protocol_->call([&](Protocol& p) { p.set_own(std::move(addresses), networks); });
}
void Engine::set_peer_policy(PeerId peer, PeerPolicy policy) {
  protocol_->call([&](Protocol& p) { p.set_peer_policy(peer, std::move(policy)); });
}
void Engine::learn(std::vector<LearnedRoute> routes) {
  protocol_->call([&](Protocol& p) { p.learn(routes); });
}
void Engine::define_group(NextHopGroupId group, std::vector<WeightedPeer> members) {
  protocol_->call([&](Protocol& p) { p.define_group(group, std::move(members)); });
}
void Engine::drop_group(NextHopGroupId group) {
  protocol_->call([&](Protocol& p) { p.drop_group(group); });
}
void Engine::for_each_learned(const std::function<void(const Prefix&, RouteTarget)>& fn) {
  const auto owners = protocol_->call([](Protocol& p) { return p.owners(); });
  protocol_->read_routes([&](const AllowedIpsRoot& root) {
    auto next = owners.fixed.begin();  // in the order of the walk
    root.for_each([&](const Prefix& prefix, RouteTarget target) {
      while (next != owners.fixed.end() && next->first < prefix) ++next;
      if (next == owners.fixed.end() || next->first != prefix) fn(prefix, target);
    });
  });
}
RouteTarget Engine::lookup(const IpAddress& address) {
  return protocol_->call([&](Protocol& p) { return p.lookup(address); });
}
std::vector<TunnelTraffic> Engine::tunnel_traffic() {
  return protocol_->call([](Protocol& p) { return p.tunnel_traffic(); });
}
std::vector<PathStatus> Engine::paths() {
  return protocol_->call([](Protocol& p) { return p.paths(); });
}
PathTotals Engine::path_totals() {
  return protocol_->call([](Protocol& p) { return p.path_totals(); });
}
std::uint64_t Engine::dropped(DropReason reason) {
  return protocol_->call([&](Protocol& p) { return p.dropped(reason); });
}

}  // namespace greywire::engine
