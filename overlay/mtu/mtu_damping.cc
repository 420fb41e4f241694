#include "overlay/mtu/mtu_damping.h"

#include <algorithm>

namespace greywire::mtu {

Mtu MtuDamping::update(Mtu wanted, TimePoint now) {
  if (!current_ || wanted <= *current_) {
    current_ = wanted;
    raise_at_ = kNever;
    return *current_;
  }
  if (raise_at_ == kNever) {
    pending_ = wanted;
    raise_at_ = now + hold_;
  }
  pending_ = std::min(pending_, wanted);
  if (now < raise_at_) return *current_;
  current_ = pending_;
  raise_at_ = pending_ < wanted ? now + hold_ : kNever;
  pending_ = wanted;
  return *current_;
}

}  // namespace greywire::mtu
