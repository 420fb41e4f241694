// Links, peer policies, liveness probes, and the snapshot of them that workers read.
#include <fmt/format.h>

#include <algorithm>

#include "router/engine/boot_clock.h"
#include "router/engine/protocol.h"
#include "router/forwarder/probe.h"
#include "router/pmtu/overhead.h"

namespace greywire::engine {
namespace {

// Pings that people ask for are told from other probes by their sequence number; its low half is the ping's own.
constexpr std::uint64_t kPing = std::uint64_t{1} << 62;
constexpr std::size_t kLargestPing = 9216;  // bytes inside; no device of ours is larger

constexpr PeerId kOurselves{0xffffffff};  // owner of our own overlay addresses: no peer may send from them

}  // namespace

std::shared_ptr<TunnelEntry> Engine::Protocol::make_tunnel(LinkId link, const TunnelOptions& options) const {
  auto entry = std::make_shared<TunnelEntry>(TunnelId{link.value}, link, options.peer, options.config);
  entry->clamp_mss = options.clamp_mss;
  entry->tell_too_big = options.tell_too_big;
  entry->check_sources = options.check_sources;
  std::vector<Prefix> sources = options.sources;
  if (const auto peer = peers_.find(options.peer); peer != peers_.end()) {
    sources.insert(sources.end(), peer->second.policy.sources.begin(), peer->second.policy.sources.end());
  }
  entry->sources = PrefixSet(sources);
  return entry;
}

LinkId Engine::Protocol::add_link(TunDevice device, const std::optional<TunnelOptions>& tunnel) {
  const LinkId link = tunnel ? LinkId{next_link_++} : kPlainLink;
  LinkState& state = links_[link];
  state.device = std::make_shared<TunDevice>(std::move(device));
  state.options = tunnel;
  if (tunnel) {
    state.tunnel = make_tunnel(link, *tunnel);
    rebuild_entry(tunnel->peer);
  }
  publish();
  attach(link, state.device);
  return link;
}

void Engine::Protocol::remove_link(LinkId link) {
  const auto it = links_.find(link);
  if (it == links_.end()) return;
  const auto tunnel = it->second.tunnel;
  const auto segment = it->second.segment;
  for (auto& worker : workers_) worker->remove_link(link);
  links_.erase(it);
  if (tunnel) rebuild_entry(tunnel->peer);
  if (segment) {
    for (const auto& each : segment->tunnels) rebuild_entry(each->peer);
  }
  publish();
}

void Engine::Protocol::replace_tunnel(LinkId link, const TunnelOptions& tunnel) {
  const auto it = links_.find(link);
  if (it == links_.end() || !it->second.tunnel) return;
  const auto old = it->second.tunnel;
  auto fresh = make_tunnel(link, tunnel);
  fresh->continue_from(*old);
  it->second.options = tunnel;
  it->second.tunnel = std::move(fresh);
  if (old->peer != tunnel.peer) rebuild_entry(old->peer);
  rebuild_entry(tunnel.peer);
  publish();
}

Result<void> Engine::Protocol::set_carrier(LinkId link, bool on) {
  const auto it = links_.find(link);
  if (it == links_.end()) return Error{"no such link"};
  return it->second.device->set_carrier(on);
}

void Engine::Protocol::set_own(std::vector<IpAddress> addresses, const std::vector<Prefix>& networks) {
  for (const IpAddress& address : own_overlay_) disown(address, kOurselves);
  own_overlay_ = std::move(addresses);
  for (const IpAddress& address : own_overlay_) tables_.overlay_owners[address] = kOurselves;
  tables_.own_networks = networks.empty() ? nullptr : std::make_shared<PrefixSet>(networks);
  publish();
}

void Engine::Protocol::set_peer_policy(PeerId id, PeerPolicy policy) {
  wireguard::Peer* peer = device_.find(id);
  if (peer == nullptr) return;
  PeerState& state = peers_[id];
  probes_.erase({state.probe_at, id});
  state.probe_at = kNever;
  if (policy.liveness && !policy.overlay.empty()) {
    if (!state.liveness || state.policy.liveness != policy.liveness) state.liveness.emplace(*policy.liveness);
    state.probe_at = boot_now();
    probes_.emplace(state.probe_at, id);
  } else {
    state.liveness.reset();
  }
  for (const IpAddress& address : state.policy.overlay) disown(address, id);
  state.policy = std::move(policy);
  for (const IpAddress& address : state.policy.overlay) {
    const PeerId* owner = tables_.overlay_owners.find(address);
    if (owner == nullptr || *owner != kOurselves) tables_.overlay_owners[address] = id;
  }
  configure_path(id, state);
  rebuild_entry(id);
  rebuild_groups_of(id);
  publish();
}

void Engine::Protocol::rebuild_entry(PeerId id) {
  const wireguard::Peer* peer = device_.find(id);
  const auto it = peers_.find(id);
  if (peer == nullptr || it == peers_.end()) return;
  PeerState& state = it->second;
  auto entry = std::make_shared<PeerEntry>();
  entry->shared = peer->shared.get();
  entry->strict = state.policy.strict;
  entry->sources = PrefixSet(state.policy.sources);
  entry->clamp_mss = state.policy.clamp_mss;
  entry->dscp = state.policy.dscp;
  for (const IpAddress& address : state.policy.overlay) {
    auto& slot = address.is_v4() ? entry->overlay_v4 : entry->overlay_v6;
    if (!slot) slot = address;
  }
  for (const auto& [link, other] : links_) {
    if (other.tunnel && other.tunnel->peer == id) entry->tunnels.push_back(other.tunnel);
    if (!other.segment) continue;
    for (const auto& tunnel : other.segment->tunnels) {
      if (tunnel->peer == id) entry->tunnels.push_back(tunnel);
    }
  }
  if (!entry->tunnels.empty() && !state.reassembly) state.reassembly = std::make_shared<PeerReassembly>();
  entry->reassembly = state.reassembly;
  tables_.peers[id.value] = std::move(entry);
}

void Engine::Protocol::disown(const IpAddress& address, PeerId owner) {
  const PeerId* present = tables_.overlay_owners.find(address);
  if (present != nullptr && *present == owner) tables_.overlay_owners.erase(address);
}

// Many may change in one round of handshakes: take_in() publishes them together.
void Engine::Protocol::endpoint_changed(const wireguard::Peer& peer) {
  const auto it = peers_.find(peer.id);
  if (it == peers_.end()) return;
  Endpoint at = peer.shared->route().remote;
  at.scope = 0;  // a packet says address and port
  publish_endpoint(it->second, at);
}

void Engine::Protocol::publish_endpoint(PeerState& state, Endpoint at) {
  if (at == state.published) return;
  endpoints_changed_ = true;
  if (state.published.port != 0 && --tables_.endpoints[state.published] == 0) {
    tables_.endpoints.erase(state.published);
  }
  state.published = at;
  if (at.port != 0) ++tables_.endpoints[at];
}

void Engine::Protocol::publish() {
  forget_gone_groups();
  endpoints_changed_ = false;
  tables_.links.clear();
  for (const auto& [link, state] : links_) {
    if (tables_.links.size() <= link.value) tables_.links.resize(link.value + 1);
    tables_.links[link.value] = {true, state.tunnel, state.segment};
  }
  tables_.own_overlay = own_overlay_;
  tables_.listen_port = port_;
  auto tables = std::make_unique<ForwardingTables>(tables_);
  const ForwardingTables* old = published_.tables.exchange(tables.release(), std::memory_order_seq_cst);
  if (old != nullptr) published_.domain.retire([old] { delete old; });
}

void Engine::Protocol::publish_receiver_keys() {
  auto fresh = std::make_unique<std::vector<wireguard::ReceiverKeys>>();
  fresh->emplace_back(device_.identity().public_key);
  if (!device_.previous_identity().empty()) fresh->emplace_back(device_.previous_identity().public_key);
  const auto* old = published_.receiver_keys.exchange(fresh.release(), std::memory_order_seq_cst);
  if (old != nullptr) published_.domain.retire([old] { delete old; });
}

std::vector<TunnelTraffic> Engine::Protocol::tunnel_traffic() const {
  std::vector<TunnelTraffic> out;
  const auto add = [&](LinkId link, gre::SegmentPort port, const TrafficCounters& t) {
    out.push_back({link, port, t.rx_packets.load(std::memory_order_relaxed), t.rx_bytes.load(std::memory_order_relaxed),
                   t.tx_packets.load(std::memory_order_relaxed), t.tx_bytes.load(std::memory_order_relaxed)});
  };
  for (const auto& [link, state] : links_) {
    if (state.tunnel) add(link, 0, state.tunnel->traffic);
    if (!state.segment) continue;
    for (const auto& tunnel : state.segment->tunnels) add(link, tunnel->segment_port, tunnel->traffic);
  }
  return out;
}

void Engine::Protocol::advance_liveness(wireguard::Now at) {
  while (!probes_.empty() && probes_.begin()->first <= at.boot) {
    const PeerId id = probes_.begin()->second;
    probes_.erase(probes_.begin());
    PeerState& state = peers_.at(id);
    const Liveness::Step step = state.liveness->advance(at.boot);
    if (step.changed) rebuild_groups_of(id);
    if (step.changed && events_.liveness) events_.liveness(id, false);
    if (step.changed) forget_macs_of(id);
    if (step.changed) device_.doubt_endpoint(*device_.find(id), at);
    if (step.send_probe) send_probe(*device_.find(id), state, step.sequence, at);
    state.probe_at = state.liveness->next_deadline();
    probes_.emplace(state.probe_at, id);
  }
}

std::optional<std::pair<IpAddress, IpAddress>> Engine::Protocol::probe_ends(const PeerState& state) const {
  for (const IpAddress& remote : state.policy.overlay) {
    const auto own = std::find_if(own_overlay_.begin(), own_overlay_.end(),
                                  [&](const IpAddress& a) { return a.family() == remote.family(); });
    if (own != own_overlay_.end() && !remote.is_link_local()) return std::pair(*own, remote);
  }
  return std::nullopt;
}

std::size_t Engine::Protocol::write_probe(const PeerState& state, std::uint64_t sequence, TimePoint at,
                                          std::span<std::uint8_t> out) const {
  const auto ends = probe_ends(state);
  if (!ends) return 0;
  const auto payload = encode_probe({published_.probe_nonce, sequence, at});
  return write_echo_request(out, ends->first, ends->second, static_cast<std::uint16_t>(published_.probe_nonce),
                            static_cast<std::uint16_t>(sequence), payload, kCs6);
}

void Engine::Protocol::send_probe(wireguard::Peer& peer, PeerState& state, std::uint64_t sequence, wireguard::Now at) {
  std::uint8_t packet[128];
  const std::size_t size = write_probe(state, sequence, at.boot, packet);
  if (size == 0) return;
  // On a full uplink ARP and neighbour discovery get lost with the bulk, and then all goes nowhere for seconds. A peer that
  // answers shows that the neighbour on the way to it is there.
  confirms_ = state.liveness->state() == Liveness::State::kAlive;
  device_.send_packet(peer, {packet, size}, outer_ds_field(kCs6, state.policy.dscp), at);
  confirms_ = false;
}

Result<void> Engine::Protocol::ping(PeerId id, std::uint32_t number, std::size_t padded) {
  wireguard::Peer* peer = device_.find(id);
  const auto it = peers_.find(id);
  if (peer == nullptr || it == peers_.end()) return Error{"it is gone"};
  std::uint8_t packet[128];
  const wireguard::Now at = now();
  const std::size_t size = write_probe(it->second, kPing | number, at.boot, packet);
  if (size == 0) return Error{"it has no overlay address of a family that this site has one of"};
  if (padded > kLargestPing) return Error{fmt::format("a ping takes at most {} bytes", kLargestPing)};
  const bool padding = padded > (size + pmtu::kPaddingUnit - 1) / pmtu::kPaddingUnit * pmtu::kPaddingUnit;
  // Without a session nothing is padded, and a handshake starts.
  if (!padding || !device_.send_padded(*peer, {packet, size}, padded, at)) device_.send_packet(*peer, {packet, size}, 0, at);
  return {};
}

void Engine::Protocol::probe_answered(const ProbeReply& reply, TimePoint at) {
  if (path_probe_answered(reply, at)) return;
  path_heard(reply.peer, at);
  if ((reply.sequence & kPing) != 0) {
    if (events_.pong) events_.pong(static_cast<std::uint32_t>(reply.sequence), at - reply.sent);
    return;
  }
  const auto it = peers_.find(reply.peer);
  if (it == peers_.end() || !it->second.liveness) return;
  if (!it->second.liveness->answered(reply.sequence, reply.sent, at)) return;
  rebuild_groups_of(reply.peer);
  if (events_.liveness) events_.liveness(reply.peer, true);
}

}  // namespace greywire::engine
