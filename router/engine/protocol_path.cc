// Path MTU of each peer: probes, what routers report, and the limit that workers keep.
#include <algorithm>
#include <cerrno>

#include "router/engine/boot_clock.h"
#include "router/engine/protocol.h"
#include "router/forwarder/probe.h"
#include "router/pmtu/icmp_report.h"
#include "router/pmtu/overhead.h"

namespace greywire::engine {
namespace {

// Probes of the path are told from those of liveness by their sequence number.
constexpr std::uint64_t kPathProbe = std::uint64_t{1} << 63;

// A peer without a session is looked at again so often; the session itself also says so.
constexpr Duration kSessionWait = std::chrono::seconds(5);

// Reports beyond this many a second are left unread: they are hints, and probing finds out without them.
constexpr unsigned kReportsPerSecond = 50;

Family family_of(const wireguard::Route& route) { return route.remote.address.family(); }

}  // namespace

void Engine::Protocol::configure_path(PeerId id, PeerState& state) {
  const wireguard::Peer& peer = *device_.find(id);
  const auto& options = state.policy.path;
  if (!options) {
    if (state.path) path_deadlines_.erase({state.path->at, id});
    state.path.reset();
    peer.shared->watch_large.store(false, std::memory_order_relaxed);
    return apply_path(id, state);
  }
  const bool fresh = !state.path || state.path->options != *options;
  if (fresh) {
    if (state.path) path_deadlines_.erase({state.path->at, id});
    const wireguard::Route route = peer.shared->route();
    auto limits = pmtu::path_limits(route.remote.port == 0 ? Family::kV6 : family_of(route), options->max);
    limits.raise_after = options->raise_after;
    state.path.emplace(*options, pmtu::PathSearch(limits), route.remote);
  }
  if (!probe_ends(state)) state.path->search.give_up_probing(boot_now());
  schedule_path(id, state, boot_now());
  apply_path(id, state);
}

void Engine::Protocol::schedule_path(PeerId id, PeerState& state, TimePoint at) {
  path_deadlines_.erase({state.path->at, id});
  state.path->at = std::max(at, state.path->search.next_deadline());
  if (state.path->at != kNever) path_deadlines_.emplace(state.path->at, id);
}

void Engine::Protocol::advance_paths(wireguard::Now at) {
  while (!path_deadlines_.empty() && path_deadlines_.begin()->first <= at.boot) {
    const PeerId id = path_deadlines_.begin()->second;
    path_deadlines_.erase(path_deadlines_.begin());
    PeerState& state = peers_.at(id);
    state.path->at = kNever;
    advance_path(*device_.find(id), state, at);
  }
}

void Engine::Protocol::advance_path(wireguard::Peer& peer, PeerState& state, wireguard::Now at) {
  pmtu::PathSearch& search = state.path->search;
  if (!peer.current || peer.current->expired(at.boot)) return schedule_path(peer.id, state, at.boot + kSessionWait);
  // A size that the system refuses is followed by the next at once; halving ends that.
  while (search.next_deadline() <= at.boot) {
    const auto step = search.advance(at.boot);
    if (step.watch) peer.shared->watch_large.store(true, std::memory_order_relaxed);
    if (!step.send) continue;
    const auto overhead = pmtu::wireguard_overhead(family_of(peer.shared->route()));
    ++path_totals_.probes;
    send_error_ = 0;
    send_path_probe(peer, state, step.send->id, pmtu::less(step.send->size, overhead).bytes, at);
    if (send_error_ == EMSGSIZE) search.refused(step.send->id, at.boot);
    send_path_probe(peer, state, step.send->id + 1, 0, at);
  }
  schedule_path(peer.id, state, at.boot);
  apply_path(peer.id, state);
}

void Engine::Protocol::send_path_probe(wireguard::Peer& peer, const PeerState& state, std::uint32_t id,
                                       std::size_t padded, wireguard::Now at) {
  std::uint8_t packet[128];
  const std::size_t size = write_probe(state, kPathProbe | id, at.boot, packet);
  if (size == 0) return;
  constexpr std::size_t kUnit = pmtu::kPaddingUnit;
  device_.send_padded(peer, {packet, size}, std::max(padded, (size + kUnit - 1) / kUnit * kUnit), at);
}

// True when the answer was one of these.
bool Engine::Protocol::path_probe_answered(const ProbeReply& reply, TimePoint at) {
  if ((reply.sequence & kPathProbe) == 0) return false;
  const auto it = peers_.find(reply.peer);
  if (it == peers_.end() || !it->second.path) return true;
  it->second.path->search.answered(static_cast<std::uint32_t>(reply.sequence), at);
  schedule_path(reply.peer, it->second, at);
  apply_path(reply.peer, it->second);
  return true;
}

void Engine::Protocol::path_heard(PeerId id, TimePoint at) {
  const auto it = peers_.find(id);
  if (it == peers_.end() || !it->second.path) return;
  follow_endpoint(id, it->second, at);
  if (it->second.path->search.next_deadline() > at) it->second.path->search.heard(at);
  schedule_path(id, it->second, at);
}

// What a worker noticed: the peer moved, or a datagram went out (or did not) for which the MTU matters.
void Engine::Protocol::path_attention(PeerId id, std::uint32_t wanted, TimePoint at) {
  const auto it = peers_.find(id);
  if (it == peers_.end() || !it->second.path) return;
  if ((wanted & static_cast<std::uint32_t>(wireguard::Attention::kLargeSent)) != 0) {
    it->second.path->search.large_packet_sent(at);
    schedule_path(id, it->second, at);
  }
  follow_endpoint(id, it->second, at);
}

void Engine::Protocol::follow_endpoint(PeerId id, PeerState& state, TimePoint at) {
  const wireguard::Route route = device_.find(id)->shared->route();
  if (route.remote.port == 0 || route.remote == state.path->remote) return;
  auto limits = pmtu::path_limits(family_of(route), state.path->options.max);
  limits.raise_after = state.path->options.raise_after;
  const bool first = state.path->remote.port == 0;
  state.path->remote = route.remote;
  device_.find(id)->shared->watch_large.store(false, std::memory_order_relaxed);
  if (first) {
    state.path->search = pmtu::PathSearch(limits);
  } else {
    state.path->search.moved(limits, at);
  }
  if (!probe_ends(state)) state.path->search.give_up_probing(at);
  schedule_path(id, state, at);
  apply_path(id, state);
}

// Gives the workers what was found, and tells the control side when anything is new.
void Engine::Protocol::apply_path(PeerId id, PeerState& state) {
  wireguard::PeerData& shared = *device_.find(id)->shared;
  Mtu inner = state.policy.inner_mtu;
  if (state.path) {
    const wireguard::Route route = shared.route();
    inner = pmtu::max_inner(state.path->search.plpmtu(), route.remote.port == 0 ? Family::kV6 : family_of(route));
  }
  const bool changed = shared.inner_mtu.exchange(inner.bytes, std::memory_order_relaxed) != inner.bytes;
  const bool another_state = state.path && state.path->told != state.path->search.state();
  if (state.path) state.path->told = state.path->search.state();
  if ((changed || another_state) && events_.path) events_.path(id);
}

void Engine::Protocol::open_icmp() {
  icmp_.clear();
  for (const Family family : {Family::kV4, Family::kV6}) {
    auto socket = IcmpSocket::open(family, port_, options_.bind_device);
    if (socket) {
      icmp_.push_back(std::move(*socket));
    } else if (events_.no_icmp && socket.error().code != EAFNOSUPPORT) {
      events_.no_icmp(socket.error().text);
    }
  }
}

void Engine::Protocol::read_icmp(TimePoint at) {
  if (at - reports_window_ >= std::chrono::seconds(1)) {
    reports_window_ = at;
    reports_read_ = 0;
  }
  std::uint8_t buffer[IcmpSocket::kMaxMessage];
  for (IcmpSocket& socket : icmp_) {
    for (auto message = socket.receive(buffer); !message.empty(); message = socket.receive(buffer)) {
      if (++reports_read_ > kReportsPerSecond) {
        ++path_totals_.reports_ignored;
        continue;
      }
      const auto report = pmtu::parse_too_big(socket.family(), message);
      if (!report || report->source_port != port_ || !take_report(*report, at)) ++path_totals_.reports_ignored;
    }
  }
}

// False unless it quotes transport data that we sent: the receiver index is random and known on the path alone.
bool Engine::Protocol::take_report(const pmtu::TooBigReport& report, TimePoint at) {
  const auto sent_by_us = [&](const wireguard::SessionPtr& session) {
    return session && session->remote_index == report.receiver_index && report.counter < session->sent();
  };
  for (auto& [id, state] : peers_) {
    if (!state.path || state.path->remote.port != report.destination.port ||
        state.path->remote.address != report.destination.address) {
      continue;
    }
    const wireguard::Peer& peer = *device_.find(id);
    if (!sent_by_us(peer.current) && !sent_by_us(peer.previous)) continue;
    ++path_totals_.reports;
    state.path->search.reported(report.mtu, at);
    schedule_path(id, state, at);
    apply_path(id, state);
    return true;
  }
  return false;
}

std::vector<PathStatus> Engine::Protocol::paths() const {
  std::vector<PathStatus> out;
  for (const auto& [id, state] : peers_) {
    const auto& shared = *device_.peers().at(id)->shared;
    PathStatus& status = out.emplace_back();
    status.peer = id;
    status.inner = Mtu{shared.inner_mtu.load(std::memory_order_relaxed)};
    const wireguard::Route route = shared.route();
    if (route.remote.port != 0) status.underlay = family_of(route);
    if (!state.path) continue;
    const pmtu::PathSearch& search = state.path->search;
    status.search = PathStatus::Search{search.state(),  search.reason(),     search.limits().max, search.plpmtu(),
                                       search.probed(), search.changed_at(), search.black_holes()};
  }
  return out;
}

PathTotals Engine::Protocol::path_totals() const {
  PathTotals totals = path_totals_;
  for (const auto& worker : workers_) {
    for (std::size_t i = 0; i < kPathEventCount; ++i) {
      totals.events[i] += worker->path_counters().get(static_cast<PathEvent>(i));
    }
  }
  return totals;
}

}  // namespace greywire::engine
