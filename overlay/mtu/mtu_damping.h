// Keeps a device's MTU from following every wobble of a path: down at once, up only after the path has held.
//
// Each change of a device's MTU makes the kernel drop cached routes and routing daemons look at the interface
// again. A smaller path must be followed at once, or packets are lost; a larger one is only an improvement
// and can wait.
#pragma once

#include <optional>

#include "router/base/ids.h"
#include "router/base/time.h"

namespace greywire::mtu {

class MtuDamping {
 public:
  // `hold`: how long a larger value must have been wanted without a break.
  explicit MtuDamping(Duration hold) : hold_(hold) {}

  // What the device should have now. The first value is taken at once. During a hold, the smallest value
  // above the current one that was wanted is what it rises to.
  Mtu update(Mtu wanted, TimePoint now);

  // When update() would rise by itself, or kNever.
  TimePoint next_expiry() const { return raise_at_; }

 private:
  Duration hold_;
  std::optional<Mtu> current_;
  Mtu pending_;
  TimePoint raise_at_ = kNever;
};

}  // namespace greywire::mtu
