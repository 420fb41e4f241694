// One pair of transport keys (whitepaper §5.4.5), shared by every thread that seals or opens with it.
//
// Life: made by Device on the protocol thread, found by workers through PeerData::current (sending) and IndexTable
// (receiving), retired through the QuiescentDomain. A worker may keep a pointer until its next quiescent state.
#pragma once

#include <atomic>
#include <cstdint>

#include "router/base/spin_lock.h"
#include "router/base/time.h"
#include "router/crypto/keys.h"
#include "router/wireguard/constants.h"
#include "router/wireguard/replay_window.h"

namespace greywire::wireguard {

struct PeerData;

struct TransportKeys {
  SymmetricKey send;
  SymmetricKey receive;
};

// A device has one identity, and beside it the previous one while its key is being exchanged.
enum class IdentitySlot : std::uint8_t { kOwn, kPrevious };

class Session {
 public:
  Session(PeerData& owner, const TransportKeys& keys, std::uint32_t local, std::uint32_t remote, bool is_initiator,
          TimePoint now)
      : peer(owner), local_index(local), remote_index(remote), initiator(is_initiator), created(now), keys_(keys) {}

  PeerData& peer;
  const std::uint32_t local_index;
  const std::uint32_t remote_index;
  const bool initiator;
  const TimePoint created;
  IdentitySlot made_under = IdentitySlot::kOwn;  // of ours; the protocol thread's

  const SymmetricKey& send_key() const { return keys_.send; }
  const SymmetricKey& receive_key() const { return keys_.receive; }

  // Claims `count` consecutive counters for sending. False past Reject-After-Messages or Reject-After-Time.
  // Thread-safe; a batch claims once.
  bool claim_counters(std::uint32_t count, TimePoint now, std::uint64_t& first) {
    if (expired(now) || next_counter_.load(std::memory_order_relaxed) >= kRejectAfterMessages - count) return false;
    first = next_counter_.fetch_add(count, std::memory_order_relaxed);
    return first < kRejectAfterMessages - count;
  }
  bool expired(TimePoint now) const { return now - created >= kRejectAfterTime; }

  // The initiator renews when it sends past Rekey-After-Time or -Messages.
  bool wants_rekey_on_send(TimePoint now) const {
    return (initiator && now - created >= kRekeyAfterTime) ||
           next_counter_.load(std::memory_order_relaxed) > kRekeyAfterMessages;
  }
  bool wants_rekey_on_receive(TimePoint now) const { return initiator && now - created >= kRekeyOnReceiveAfter; }

  // Held around a batch of accept() calls.
  SpinLock receive_lock;
  ReplayWindow replay;

  // Set once something authentic arrived under this session: the responder may send from then on.
  std::atomic<bool> confirmed{false};

  std::uint64_t sent() const { return next_counter_.load(std::memory_order_relaxed); }
  // For tests of the message limits: the counter that the next packet gets.
  void set_next_counter(std::uint64_t counter) { next_counter_.store(counter, std::memory_order_relaxed); }

 private:
  TransportKeys keys_;
  alignas(64) std::atomic<std::uint64_t> next_counter_{0};
};

}  // namespace greywire::wireguard
