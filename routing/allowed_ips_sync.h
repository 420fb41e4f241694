// Keeps the learned allowed-IPs of the engine equal to the desired ones: a diff, in batches.
//
// Changes gather until the first of them is 10 ms old or kMaxBatch wait; what came and went in between is never
// seen. What comes after 10 ms of quiet and takes nothing away is due at once: with what was read together, no more. A prefix that moves from one peer to another is one change. Wanting the same twice changes nothing. Only
// what waits takes memory: the caller knows what it wanted before. Control thread only.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "router/base/ids.h"
#include "router/base/ip_address.h"
#include "router/base/time.h"

namespace greywire::routing {

struct LearnedChange {
  enum class Action : std::uint8_t { kPeer, kDiscard, kRemove, kGroup };

  Prefix prefix;
  Action action = Action::kRemove;
  PeerId peer;            // kPeer only
  NextHopGroupId group{};  // kGroup only: several peers

  friend bool operator==(const LearnedChange&, const LearnedChange&) = default;
};

// Where learned prefixes go. Implementations mark what they put in as learned, never touch entries of another
// origin, and take kPeer, kGroup or kDiscard for a prefix that is there already as its replacement.
class AllowedIpsSink {
 public:
  virtual ~AllowedIpsSink() = default;
  virtual void apply(std::span<const LearnedChange> changes) = 0;  // valid during the call; at most kMaxBatch
  // The peers of a group, before the first change that leads to it, and the end of it, after the last has left it.
  virtual void define_group(NextHopGroupId group, std::span<const WeightedPeer> members) = 0;
  virtual void drop_group(NextHopGroupId group) = 0;
  // What really stands there as learned: kPeer, kGroup and kDiscard.
  virtual void for_each_learned(const std::function<void(const LearnedChange&)>& visit) = 0;
};

// One batch keeps the engine's protocol thread from handshakes for some 2 ms.
inline constexpr std::size_t kMaxBatch = 2'000;
inline constexpr Duration kFlushDelay = std::chrono::milliseconds(10);

class AllowedIpsSync {
 public:
  explicit AllowedIpsSync(AllowedIpsSink& sink) : sink_(sink) {}

  // What a prefix was to be and what it is to be now; kRemove for none. May flush when many wait.
  void want(const LearnedChange& before, const LearnedChange& desired, TimePoint now);

  TimePoint next_deadline() const { return flush_at_; }
  void handle_expiry(TimePoint now);
  void flush();
  // Repairs: given to the sink as they are, in batches. Nothing may wait.
  void apply(std::span<const LearnedChange> repairs);

  std::size_t applied() const { return applied_; }  // entries that the sink should have
  std::size_t waiting() const { return order_.size(); }

 private:
  struct Waiting {
    LearnedChange applied;
    LearnedChange desired;
  };

  AllowedIpsSink& sink_;
  std::unordered_map<Prefix, Waiting> waiting_;
  std::vector<Prefix> order_;  // of the first change
  std::vector<LearnedChange> batch_;
  std::size_t applied_ = 0;
  TimePoint flush_at_ = kNever;
  TimePoint flushed_at_{};
};

}  // namespace greywire::routing
