#include "overlay/daemon/reload_trial.h"

#include <algorithm>
#include <utility>

namespace greywire::daemon {

void ReloadTrial::begin(ConfigPointer before, std::chrono::seconds wait, TimePoint now) {
  if (!waiting()) before_ = std::move(before);
  deadline_ = now + std::clamp(wait, std::chrono::seconds(1), kLongest);
}

void ReloadTrial::resume(ConfigPointer before, TimePoint deadline) {
  before_ = std::move(before);
  deadline_ = deadline;
}

ReloadTrial::ConfigPointer ReloadTrial::end() { return std::exchange(before_, nullptr); }

TimePoint ReloadTrial::deadline() const { return waiting() ? deadline_ : kNever; }

std::optional<std::chrono::seconds> ReloadTrial::left(TimePoint now) const {
  if (!waiting()) return std::nullopt;
  return std::chrono::ceil<std::chrono::seconds>(std::max<Duration>(deadline_ - now, Duration::zero()));
}

}  // namespace greywire::daemon
