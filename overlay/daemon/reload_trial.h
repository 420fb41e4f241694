// `greywire reload --confirm`: a configuration on trial. The one that ran before is held, with its keys as they were loaded,
// until the new one is confirmed; else it is to be gone back to. Pure: time comes in, a deadline comes out.
//
// A further trial while one waits takes over: the time starts anew, and what is gone back to stays what ran before the
// first, since nothing in between was ever confirmed.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "overlay/config/config.h"
#include "router/base/time.h"

namespace greywire::daemon {

class ReloadTrial {
 public:
  using ConfigPointer = std::shared_ptr<const config::Config>;
  static constexpr std::chrono::seconds kLongest = std::chrono::hours(24);

  bool waiting() const { return before_ != nullptr; }
  // `before` runs still; it counts only where none waits already.
  void begin(ConfigPointer before, std::chrono::seconds wait, TimePoint now);
  // One that another process began.
  void resume(ConfigPointer before, TimePoint deadline);
  // Confirmed, or gone back: what ran before the trial; null where none waits.
  ConfigPointer end();
  const ConfigPointer& before() const { return before_; }

  TimePoint deadline() const;  // kNever: none waits
  bool due(TimePoint now) const { return waiting() && now >= deadline_; }
  // Rounded up; absent: none waits.
  std::optional<std::chrono::seconds> left(TimePoint now) const;

 private:
  ConfigPointer before_;
  TimePoint deadline_{};
};

}  // namespace greywire::daemon
