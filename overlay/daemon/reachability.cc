#include "overlay/daemon/reachability.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace greywire::daemon {

void Reachability::assume_alive() {
  alive_ = true;
  usable_ = true;
  damped_ = false;
}

bool Reachability::heard(bool alive, TimePoint now) {
  const bool lost = alive_ && !alive;
  const bool was_lost = penalty_since_ != TimePoint{};
  if (alive == alive_) return false;
  alive_ = alive;
  if (lost) {
    penalty_ = std::min(penalty_at(now) + kPenalty, kMost);
    penalty_since_ = now;
    if (config_.half_life && penalty_ > kSuppress) damped_ = true;
  } else if (was_lost) {
    up_at_ = now + config_.hold_up;
  }
  return advance(now);
}

bool Reachability::advance(TimePoint now) {
  if (damped_ && now >= reuse_at()) damped_ = false;
  return std::exchange(usable_, alive_ && !damped_ && now >= up_at_) != usable_;
}

TimePoint Reachability::next_deadline() const {
  if (!alive_ || usable_) return kNever;
  return damped_ ? std::max(up_at_, reuse_at()) : up_at_;
}

void Reachability::set_config(const ReachabilityConfig& config, TimePoint now) {
  penalty_ = penalty_at(now);
  if (penalty_since_ != TimePoint{}) penalty_since_ = now;
  config_ = config;
  if (!config_.half_life) damped_ = false;
}

double Reachability::penalty_at(TimePoint now) const {
  if (penalty_ == 0 || !config_.half_life) return 0;
  const std::chrono::duration<double> passed = now - penalty_since_;
  return penalty_ * std::exp2(-passed / std::chrono::duration<double>(*config_.half_life));
}

TimePoint Reachability::reuse_at() const {
  if (!config_.half_life || penalty_ <= kReuse) return penalty_since_;
  const std::chrono::duration<double> wait(std::chrono::duration<double>(*config_.half_life).count() *
                                           std::log2(penalty_ / kReuse));
  return penalty_since_ + std::chrono::ceil<std::chrono::milliseconds>(wait);
}

}  // namespace greywire::daemon
