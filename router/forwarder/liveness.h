// Whether a peer can be reached through its tunnel, by our own probes: one each interval, dead when `count` of them in a
// row were not answered, alive with the first answer. Pure: time comes in, deadlines come out. Protocol thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "router/base/time.h"

namespace greywire {

struct LivenessConfig {
  Duration interval = std::chrono::seconds(1);
  unsigned count = 3;  // at least 1
  friend bool operator==(const LivenessConfig&, const LivenessConfig&) = default;
};

class Liveness {
 public:
  enum class State : std::uint8_t { kUnknown, kAlive, kDead };

  explicit Liveness(const LivenessConfig& config) : config_(config) {}

  State state() const { return state_; }
  std::optional<Duration> round_trip() const { return round_trip_; }
  TimePoint next_deadline() const { return next_probe_; }

  struct Step {
    bool send_probe = false;
    std::uint64_t sequence = 0;
    bool changed = false;  // state() is another than before
  };
  // At or after next_deadline(); the first call starts it.
  Step advance(TimePoint now) {
    if (now < next_probe_) return {};
    Step step;
    if (unanswered_ >= config_.count && state_ != State::kDead) {
      state_ = State::kDead;
      round_trip_.reset();
      step.changed = true;
    }
    step.send_probe = true;
    step.sequence = ++sequence_;
    ++unanswered_;
    next_probe_ = now + config_.interval;
    return step;
  }

  // True when the state changed. An answer that is older than the dead interval tells nothing about now.
  bool answered(std::uint64_t sequence, TimePoint sent, TimePoint now) {
    if (sequence > sequence_ || sequence + config_.count <= sequence_) return false;
    unanswered_ = static_cast<unsigned>(std::min<std::uint64_t>(unanswered_, sequence_ - sequence));
    round_trip_ = now - sent;
    if (state_ == State::kAlive) return false;
    state_ = State::kAlive;
    return true;
  }

 private:
  LivenessConfig config_;
  State state_ = State::kUnknown;
  std::uint64_t sequence_ = 0;
  unsigned unanswered_ = 0;
  TimePoint next_probe_{};
  std::optional<Duration> round_trip_;
};

}  // namespace greywire
