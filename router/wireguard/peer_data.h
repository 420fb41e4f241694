// The part of a peer that data workers touch. One a peer, published to them; they read and write it as said beside
// each member, the protocol thread the rest.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <vector>

#include "router/base/ids.h"
#include "router/base/ip_address.h"
#include "router/base/spin_lock.h"
#include "router/base/time.h"
#include "router/wireguard/session.h"

namespace greywire::wireguard {

// Where a peer is, and which of our addresses it talks to ("sticky source").
struct Route {
  Endpoint remote;
  IpAddress local;             // meaningful when has_local
  std::uint32_t local_ifindex = 0;
  bool has_local = false;
  friend bool operator==(const Route&, const Route&) = default;
};

// A packet that waits for a session, with the DS field that its outer header will have.
struct StagedPacket {
  std::vector<std::uint8_t> bytes;
  std::uint8_t ds_field = 0;
};

// Why a worker wants the protocol thread to look at a peer. Bits.
enum class Attention : std::uint32_t { kHandshake = 1, kConfirmed = 2, kStaged = 4, kRoamed = 8, kLargeSent = 16 };

struct alignas(64) PeerData {
  explicit PeerData(PeerId peer_id) : id(peer_id) {}

  const PeerId id;

  // Session for sending; null when there is none. Workers load it, the protocol thread stores it.
  std::atomic<Session*> current{nullptr};
  // Largest inner packet: padding never pushes a datagram past the path MTU that this stands for.
  std::atomic<std::uint32_t> inner_mtu{1420};
  // The protocol thread wants to know of the next large datagram, to confirm the path's MTU while it matters. A worker
  // that sends one takes the wish back and asks for attention (kLargeSent).
  std::atomic<bool> watch_large{false};

  // Time stamps in BootClock nanoseconds, 0 = none. Left by whoever sends or receives, once a batch; the protocol
  // thread derives the keepalive and new-handshake timers from them.
  std::atomic<std::int64_t> unanswered_since{0};       // first data sent after the last authentic packet received
  std::atomic<std::int64_t> keepalive_owed_since{0};   // first data received after the last packet sent
  std::atomic<std::int64_t> last_traffic{0};           // anything authentic, either way
  std::atomic<std::int64_t> last_received{0};          // anything authentic

  std::atomic<std::uint64_t> rx_bytes{0};
  std::atomic<std::uint64_t> tx_bytes{0};

  // Set bits once, then queue the peer once: see request().
  std::atomic<std::uint32_t> attention{0};

  // Returns true when the caller must queue this peer for the protocol thread.
  bool request(Attention what) { return attention.fetch_or(static_cast<std::uint32_t>(what), std::memory_order_acq_rel) == 0; }

  // Events, named after what happened. Thread-safe; once a batch.
  void data_sent(TimePoint now) {
    std::int64_t none = 0;
    if (unanswered_since.load(std::memory_order_relaxed) == 0) {
      unanswered_since.compare_exchange_strong(none, stamp(now), std::memory_order_relaxed);
    }
    any_sent(now);
  }
  void any_sent(TimePoint now) {
    if (keepalive_owed_since.load(std::memory_order_relaxed) != 0) {
      keepalive_owed_since.store(0, std::memory_order_relaxed);
    }
    last_traffic.store(stamp(now), std::memory_order_relaxed);
  }
  void data_received(TimePoint now) {
    std::int64_t none = 0;
    if (keepalive_owed_since.load(std::memory_order_relaxed) == 0) {
      keepalive_owed_since.compare_exchange_strong(none, stamp(now), std::memory_order_relaxed);
    }
    any_received(now);
  }
  void any_received(TimePoint now) {
    if (unanswered_since.load(std::memory_order_relaxed) != 0) unanswered_since.store(0, std::memory_order_relaxed);
    last_traffic.store(stamp(now), std::memory_order_relaxed);
    last_received.store(stamp(now), std::memory_order_relaxed);
  }

  Route route() const {
    std::lock_guard guard(route_lock_);
    return route_;
  }
  // False when there is no endpoint yet.
  bool has_endpoint() const { return has_endpoint_.load(std::memory_order_acquire); }
  // Roaming: only authentic packets that are no replay may call this.
  void set_route(const Route& route) {
    std::lock_guard guard(route_lock_);
    route_ = route;
    has_endpoint_.store(route.remote.port != 0, std::memory_order_release);
  }
  // True when it changed.
  bool roam(const Route& route) {
    std::lock_guard guard(route_lock_);
    if (route_ == route) return false;
    const bool moved = route_.remote != route.remote;
    route_ = route;
    has_endpoint_.store(true, std::memory_order_release);
    return moved;
  }
  void clear_source() {
    std::lock_guard guard(route_lock_);
    route_.has_local = false;
    route_.local = {};
    route_.local_ifindex = 0;
  }

  // Packets that wait for a session: the newest 128, and of urgent ones as many. `dropped` is how many old ones fell out.
  // With a current session it refuses (returns false) and the caller sends right away, so that order is kept.
  bool stage(std::span<const std::uint8_t> packet, std::size_t& dropped, std::uint8_t ds_field = 0,
             bool urgent = false) {
    std::lock_guard guard(staged_mutex_);
    dropped = 0;
    if (current.load(std::memory_order_acquire) != nullptr) return false;
    auto& line = urgent ? staged_urgent_ : staged_;
    if (line.size() >= kMaxStagedPackets) {
      line.pop_front();
      dropped = 1;
    }
    line.push_back({{packet.begin(), packet.end()}, ds_field});
    return true;
  }
  // Takes what is staged, urgent ones first; when nothing is, publishes `session` for sending under the same lock and returns empty.
  std::deque<StagedPacket> take_staged_or_publish(Session* session) {
    std::lock_guard guard(staged_mutex_);
    auto& line = staged_urgent_.empty() ? staged_ : staged_urgent_;
    if (line.empty()) current.store(session, std::memory_order_seq_cst);
    return std::exchange(line, {});
  }
  std::size_t clear_staged() {
    std::lock_guard guard(staged_mutex_);
    return std::exchange(staged_, {}).size() + std::exchange(staged_urgent_, {}).size();
  }
  bool has_staged() const {
    std::lock_guard guard(staged_mutex_);
    return !staged_.empty() || !staged_urgent_.empty();
  }

  static std::int64_t stamp(TimePoint now) { return now.time_since_epoch().count(); }
  static TimePoint time_of(std::int64_t stamp) { return TimePoint{Duration{stamp}}; }

 private:
  mutable SpinLock route_lock_;
  Route route_;
  std::atomic<bool> has_endpoint_{false};
  mutable std::mutex staged_mutex_;
  std::deque<StagedPacket> staged_;
  std::deque<StagedPacket> staged_urgent_;
};

}  // namespace greywire::wireguard
