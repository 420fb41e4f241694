#include "router/engine/protocol.h"

#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <utility>

#include "router/engine/boot_clock.h"
#include "router/forwarder/probe.h"

namespace greywire::engine {
namespace {

// Retired objects are looked at again this often while workers are busy with what they read before.
constexpr Duration kReclaimInterval = std::chrono::milliseconds(10);

std::uint64_t random_nonce(RandomSource& random) {
  return static_cast<std::uint64_t>(random.next_u32()) << 32 | random.next_u32();
}

}  // namespace

Engine::Protocol::Protocol(const EngineOptions& options, EngineEvents events)
    : provider_(options.aead ? *options.aead : measure_best_aead()),
      options_(options),
      events_(std::move(events)),
      aead_(make_aead(provider_)),
      routes_(published_.domain),
      book_(routes_),
      device_(published_.domain, random_, *aead_, *this),
      control_reader_(published_.domain.add_reader()) {
  if (options.kept_timestamp) device_.timestamps().start_beyond(*options.kept_timestamp);
  if (events_.keep_timestamp) device_.timestamps().set_keep(events_.keep_timestamp);
  device_.on_session([this](PeerId id) { path_heard(id, boot_now()); });
  published_.routes = &routes_.root();
  published_.index = &device_.index_table();
  published_.probe_nonce = random_nonce(random_);
  publish_receiver_keys();
  publish();
  const unsigned count = options.workers != 0 ? options.workers : default_workers();
  for (unsigned i = 0; i < count; ++i) {
    workers_.push_back(std::make_unique<Worker>(i, published_, provider_, [this](LinkId link) {
      if (events_.link_gone) events_.link_gone(link);
    }));
  }
  for (auto& worker : workers_) worker->start();
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "gw-protocol");
}

Engine::Protocol::~Protocol() {
  stopping_ = true;
  published_.inbox.wake();
  thread_.join();
  for (auto& worker : workers_) worker->stop();
  delete published_.tables.exchange(nullptr);
  delete published_.receiver_keys.exchange(nullptr);
}

wireguard::Now Engine::Protocol::now() { return {boot_now(), wall_now()}; }

void Engine::Protocol::run() {
  while (!stopping_) {
    take_in();
    const auto at = now();
    device_.advance(at);
    advance_liveness(at);
    advance_paths(at);
    wait();
  }
}

void Engine::Protocol::wait() {
  TimePoint deadline = device_.next_deadline();
  if (!probes_.empty()) deadline = std::min(deadline, probes_.begin()->first);
  if (!path_deadlines_.empty()) deadline = std::min(deadline, path_deadlines_.begin()->first);
  const TimePoint at = boot_now();
  if (published_.domain.reclaim() != 0) deadline = std::min(deadline, at + kReclaimInterval);
  timespec timeout{};
  if (deadline != kNever && deadline > at) {
    const auto left = (deadline - at).count();
    timeout.tv_sec = left / 1'000'000'000;
    timeout.tv_nsec = left % 1'000'000'000;
  }
  pollfd events[3] = {{published_.inbox.fd(), POLLIN, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}};
  for (std::size_t i = 0; i < icmp_.size(); ++i) events[i + 1].fd = icmp_[i].fd();
  if (::ppoll(events, 3, deadline == kNever ? nullptr : &timeout, nullptr) <= 0) return;
  if (events[1].revents != 0 || events[2].revents != 0) read_icmp(boot_now());
}

void Engine::Protocol::take_in() {
  inbox_.calls.clear();
  inbox_.handshakes.clear();
  inbox_.attention.clear();
  inbox_.probe_replies.clear();
  inbox_.unknown_sessions.clear();
  published_.inbox.take(inbox_);
  for (auto& call : inbox_.calls) call();
  for (const PeerId id : inbox_.attention) path_attention(id, device_.attend(id, now()), boot_now());
  for (const ProbeReply& reply : inbox_.probe_replies) probe_answered(reply, boot_now());
  for (const Endpoint& from : inbox_.unknown_sessions) device_.unknown_session_used(from, now());
  for (const HandshakeDatagram& message : inbox_.handshakes) {
    device_.receive_handshake(message.span(), message.from, now());
  }
  if (endpoints_changed_) publish();
  if (!told_unlocked_ && !device_.keys_locked()) {
    told_unlocked_ = true;
    if (events_.keys_not_locked) events_.keys_not_locked();
  }
}

void Engine::Protocol::send(const wireguard::Route& route, std::span<const std::uint8_t> datagram,
                            std::uint8_t ds_field) {
  auto& socket = route.remote.address.is_v4() ? send_v4_ : send_v6_;
  if (!socket) return device_.drops().count(DropReason::kSocketError);
  if (sends_first_) socket->go_first(ds_field);
  const SendTrain train{route.remote,     route.local, route.local_ifindex,
                        route.has_local,  datagram.data(), static_cast<std::uint32_t>(datagram.size()),
                        0,                ds_field,    confirms_};
  const SendResult result = socket->send({&train, 1});
  send_error_ = result.error;
  if (result.error != 0 && result.error != EMSGSIZE) device_.drops().count(DropReason::kSocketError);
  if (result.clear_source) device_.forget_source(route.local);
}

wireguard::DeviceStatus Engine::Protocol::status() {
  wireguard::DeviceStatus out;
  out.private_key = device_.identity().private_key;
  out.public_key = device_.identity().public_key;
  out.listen_port = port_;
  out.fwmark = fwmark_;
  out.peers.reserve(device_.peers().size());  // also so that growing copies no keys about
  for (const auto& [id, peer] : device_.peers()) {
    wireguard::PeerStatus& p = out.peers.emplace_back();
    p.id = id;
    p.public_key = peer->public_key();
    p.preshared_key = peer->handshake.preshared_key;
    if (peer->shared->has_endpoint()) p.endpoint = peer->shared->route().remote;
    p.persistent_keepalive = peer->persistent_keepalive;
    p.last_handshake = peer->last_handshake;
    p.handshakes = peer->handshakes;
    p.knows_previous_key = !device_.previous_identity().empty() && !peer->knows_own;
    p.handshake_pending = peer->handshake.initiation_pending;
    p.rx_bytes = peer->shared->rx_bytes.load(std::memory_order_relaxed);
    p.tx_bytes = peer->shared->tx_bytes.load(std::memory_order_relaxed);
    p.origin = peer->origin;
    const auto state = peers_.find(id);
    if (state == peers_.end() || !state->second.liveness) continue;
    p.alive = state->second.liveness->state() == Liveness::State::kAlive;
    p.round_trip = state->second.liveness->round_trip();
  }
  return out;
}

int Engine::Protocol::set_private_key(const PrivateKey& key) {
  device_.set_private_key(key);
  publish_receiver_keys();
  if (const auto* self = device_.find(device_.identity().public_key); self != nullptr) drop_peer(self->id);
  return 0;
}

void Engine::Protocol::set_identities(const PrivateKey& key, const PrivateKey& previous) {
  device_.set_identities(key, previous, now());
  publish_receiver_keys();
  for (const auto* identity : {&device_.identity(), &device_.previous_identity()}) {
    const auto* self = identity->empty() ? nullptr : device_.find(identity->public_key);
    if (self != nullptr) drop_peer(self->id);
  }
}

bool Engine::Protocol::change_key(const PublicKey& from, const PublicKey& to) {
  wireguard::Peer* peer = device_.find(from);
  return peer != nullptr && device_.change_key(*peer, to);
}

int Engine::Protocol::set_fwmark(std::uint32_t mark) {
  for (auto& worker : workers_) {
    if (const auto set = worker->set_mark(mark); !set) return set.error().code;
  }
  for (auto* socket : {&send_v4_, &send_v6_}) {
    if (!*socket) continue;
    if (const auto set = (*socket)->set_mark(mark); !set) return set.error().code;
  }
  fwmark_ = mark;
  return 0;
}

int Engine::Protocol::remove_peers(Origin origin) {
  std::vector<PeerId> gone;
  for (const auto& [id, peer] : device_.peers()) {
    if (peer->origin == origin) gone.push_back(id);
  }
  for (const PeerId id : gone) drop_peer(id);
  for (const auto& [id, peer] : device_.peers()) book_.remove_fixed(id, origin);  // what it added to others' peers
  book_.flush();
  return 0;
}

int Engine::Protocol::change_peer(const wireguard::PeerChange& change) {
  if (!device_.identity().empty() && change.public_key == device_.identity().public_key) return 0;
  wireguard::Peer* peer = device_.find(change.public_key);
  if (change.remove) {
    if (peer != nullptr && peer->origin == change.origin) drop_peer(peer->id);
    return 0;
  }
  if (peer == nullptr && change.update_only) return 0;
  if (peer == nullptr) {
    peer = &device_.add_peer(change.public_key, change.origin);
    peers_[peer->id].policy.inner_mtu = default_inner_mtu_;
    peer->shared->inner_mtu.store(default_inner_mtu_.bytes, std::memory_order_relaxed);
    rebuild_entry(peer->id);
    publish();
  }
  const auto at = now();
  if (change.preshared_key) device_.set_preshared_key(*peer, *change.preshared_key);
  if (change.endpoint) device_.set_endpoint(*peer, *change.endpoint);
  if (change.replace_allowed_ips) book_.remove_fixed(peer->id, change.origin);
  for (const auto& entry : change.allowed_ips) {
    if (entry.remove) {
      book_.remove(entry.prefix, peer->id, change.origin);
    } else {
      book_.assign(entry.prefix, peer->id, change.origin);
    }
  }
  book_.flush();
  if (change.persistent_keepalive) device_.set_persistent_keepalive(*peer, *change.persistent_keepalive, at);
  return 0;
}

void Engine::Protocol::drop_peer(PeerId id) {
  book_.remove_peer(id);
  book_.flush();
  if (const auto it = peers_.find(id); it != peers_.end()) {
    probes_.erase({it->second.probe_at, id});
    if (it->second.path) path_deadlines_.erase({it->second.path->at, id});
    for (const IpAddress& address : it->second.policy.overlay) disown(address, id);
    publish_endpoint(it->second, {});
    tables_.peers[id.value] = nullptr;
    peers_.erase(it);
  }
  rebuild_groups_of(id);
  publish();
  device_.remove_peer(id);
}

Result<void> Engine::Protocol::listen(std::uint16_t port) {
  if (port != 0 && port == port_) return {};
  UdpSocketOptions options;
  options.fwmark = fwmark_;
  options.bind_device = options_.bind_device;
  auto sockets = open_underlay(port, worker_count(), options);
  if (!sockets) return sockets.error();
  if (suspended_) {  // the port is free; the sockets are opened by resume()
    port_ = port;
    publish();
    return {};
  }
  send_v4_.reset();
  send_v6_.reset();
  if (auto ok = take_senders(*sockets); !ok) return ok;
  workers_.front()->set_handshake_sockets(std::move(sockets->handshakes));
  for (unsigned i = 0; i < worker_count(); ++i) {
    const auto own = [&](std::vector<UdpSocket>& group) {
      return i < group.size() ? std::optional(std::move(group[i])) : std::nullopt;
    };
    std::vector<UdpSocket> lanes;
    for (auto* group : {&sockets->v4, &sockets->v6}) {
      for (std::size_t at = i; at < group->size(); at += worker_count()) lanes.push_back(std::move((*group)[at]));
    }
    workers_[i]->set_sockets(std::move(lanes));
    workers_[i]->set_routing_sockets(own(sockets->routing_v4), own(sockets->routing_v6));
  }
  port_ = sockets->port;
  open_icmp();
  publish();
  return {};
}

// What the protocol thread sends keeps sessions up: it has sockets of its own, so that it waits behind no bulk; where there
// are none, the first worker's.
Result<void> Engine::Protocol::take_senders(UnderlaySockets& sockets) {
  sends_first_ = sockets.control_v4.has_value() || sockets.control_v6.has_value();
  const auto take = [](std::optional<UdpSocket>& control, const std::vector<UdpSocket>& group,
                       std::optional<UdpSocket>& out) -> Result<void> {
    if (control) {
      out.emplace(std::move(*control));
    } else if (!group.empty()) {
      auto twin = group.front().duplicate();
      if (!twin) return twin.error();
      out.emplace(std::move(*twin));
    }
    return {};
  };
  if (auto ok = take(sockets.control_v4, sockets.v4, send_v4_); !ok) return ok;
  return take(sockets.control_v6, sockets.v6, send_v6_);
}

void Engine::Protocol::suspend() {
  if (suspended_) return;
  suspended_ = true;
  device_.stop();
  send_v4_.reset();
  send_v6_.reset();
  icmp_.clear();
  workers_.front()->set_handshake_sockets({});
  for (auto& worker : workers_) {
    worker->set_sockets({});
    worker->set_routing_sockets({}, {});
  }
}

Result<void> Engine::Protocol::resume() {
  if (!suspended_) return {};
  suspended_ = false;
  const std::uint16_t port = std::exchange(port_, std::uint16_t{0});
  if (auto ok = listen(port); !ok) {
    suspended_ = true;
    port_ = port;
    return ok;
  }
  device_.start(now());
  return {};
}

std::optional<PeerId> Engine::Protocol::find_peer(const PublicKey& key) {
  const wireguard::Peer* peer = device_.find(key);
  return peer == nullptr ? std::nullopt : std::optional(peer->id);
}

void Engine::Protocol::set_inner_mtu(Mtu mtu) {
  default_inner_mtu_ = mtu;
  for (auto& [id, state] : peers_) {
    state.policy.inner_mtu = mtu;
    device_.find(id)->shared->inner_mtu.store(mtu.bytes, std::memory_order_relaxed);
  }
}

void Engine::Protocol::set_endpoints(PeerId id, const std::vector<Endpoint>& candidates) {
  if (wireguard::Peer* peer = device_.find(id); peer != nullptr) device_.set_endpoints(*peer, candidates, now());
}

void Engine::Protocol::initiate_all() {
  for (const auto& [id, peer] : device_.peers()) {
    if (peer->shared->has_endpoint()) device_.initiate(*peer, now());
  }
}

void Engine::Protocol::initiate(PeerId id) {
  wireguard::Peer* peer = device_.find(id);
  if (peer != nullptr && peer->shared->has_endpoint()) device_.initiate(*peer, now());
}

std::uint64_t Engine::Protocol::dropped(DropReason reason) {
  std::uint64_t sum = device_.drops().get(reason);
  for (const auto& worker : workers_) sum += worker->drops().get(reason);
  return sum;
}

}  // namespace greywire::engine
