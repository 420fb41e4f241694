// Keeps the learned allowed-IPs of the engine equal to the desired ones: a diff, in batches.
//
// Changes gather until the first of them is 10 ms old or 10,000 wait; what came and went in between is never
// seen. A prefix that moves from one peer to another is one change. Wanting the same twice changes nothing.
// Control thread only.
#pragma once

#include <cstddef>
#include <span>
#include <unordered_map>
#include <vector>

#include "router/base/ids.h"
#include "router/base/ip_address.h"
#include "router/base/time.h"

namespace greywire::routing {

struct LearnedChange {
  enum class Action : std::uint8_t { kPeer, kDiscard, kRemove };

  Prefix prefix;
  Action action = Action::kRemove;
  PeerId peer;  // kPeer only

  friend bool operator==(const LearnedChange&, const LearnedChange&) = default;
};

// Where learned prefixes go. Implementations mark what they put in as learned, never touch entries of another
// origin, and take kPeer or kDiscard for a prefix that is there already as its replacement.
class AllowedIpsSink {
 public:
  virtual ~AllowedIpsSink() = default;
  virtual void apply(std::span<const LearnedChange> changes) = 0;  // valid during the call; at most kMaxBatch
};

inline constexpr std::size_t kMaxBatch = 10'000;
inline constexpr Duration kFlushDelay = std::chrono::milliseconds(10);

class AllowedIpsSync {
 public:
  explicit AllowedIpsSync(AllowedIpsSink& sink) : sink_(sink) {}

  // The desired state of a prefix: kPeer, kDiscard, or kRemove for none. May flush when many wait.
  void want(const LearnedChange& desired, TimePoint now);

  TimePoint next_deadline() const { return flush_at_; }
  void handle_expiry(TimePoint now);
  void flush();

  // Compares the learned entries that the sink really has (kPeer and kDiscard) with what was applied so far,
  // and returns what apply() would have to get to make them equal. Nothing is changed here.
  std::vector<LearnedChange> audit(std::span<const LearnedChange> actual) const;

  std::size_t applied() const { return applied_; }  // entries that the sink should have
  std::size_t waiting() const { return dirty_.size(); }

 private:
  struct Target {
    LearnedChange::Action action = LearnedChange::Action::kRemove;
    PeerId peer;
    friend bool operator==(const Target&, const Target&) = default;
  };
  struct Entry {
    Target desired;
    Target applied;
    bool dirty = false;
  };

  AllowedIpsSink& sink_;
  std::unordered_map<Prefix, Entry> entries_;
  std::vector<Prefix> dirty_;  // in the order of first change
  std::vector<LearnedChange> batch_;
  std::size_t applied_ = 0;
  TimePoint flush_at_ = kNever;
};

}  // namespace greywire::routing
