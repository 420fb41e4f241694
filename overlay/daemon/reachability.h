// Whether a peer's next hops and links are to be used: what its probes say, held back. A peer that comes back waits for
// `hold_up` first, without another loss. One that keeps going and coming is kept down by flap damping, as RFC 2439 has it
// for routes: each loss costs a penalty that decays by half each half-life; past kSuppress the peer is not used until the
// penalty has fallen below kReuse. The first answer after a start waits for nothing. Pure: time comes in, deadlines come out.
#pragma once

#include <optional>

#include "router/base/time.h"

namespace greywire::daemon {

struct ReachabilityConfig {
  Duration hold_up{0};
  std::optional<Duration> half_life;  // none: no damping
  friend bool operator==(const ReachabilityConfig&, const ReachabilityConfig&) = default;
};

class Reachability {
 public:
  static constexpr double kPenalty = 1000;   // a loss
  static constexpr double kSuppress = 2500;  // the third loss within half a half-life, or so
  static constexpr double kReuse = 1000;
  static constexpr double kMost = 8000;      // three half-lives at most until it is used again

  explicit Reachability(const ReachabilityConfig& config = {}) : config_(config) {}

  bool alive() const { return alive_; }    // as heard last
  bool usable() const { return usable_; }
  bool damped() const { return damped_; }  // alive or not, kept down

  // Without probes, or from an earlier run: usable from now on until heard() says otherwise.
  void assume_alive();
  // The outcome of the probes changed. True when usable() did.
  bool heard(bool alive, TimePoint now);
  // At or after next_deadline(). True when usable() changed.
  bool advance(TimePoint now);
  TimePoint next_deadline() const;  // kNever: nothing is held back
  void set_config(const ReachabilityConfig& config, TimePoint now);

 private:
  double penalty_at(TimePoint now) const;
  TimePoint reuse_at() const;

  ReachabilityConfig config_;
  bool alive_ = false;
  bool usable_ = false;
  bool damped_ = false;
  TimePoint up_at_{};  // not usable before
  double penalty_ = 0;
  TimePoint penalty_since_{};
};

}  // namespace greywire::daemon
