// Time as the engine sees it. Nothing under router/ but engine/ reads a clock: `now` is always handed in.
#pragma once

#include <chrono>
#include <cstdint>

namespace greywire {

using Duration = std::chrono::nanoseconds;

// CLOCK_BOOTTIME: monotonic, counts while the machine is suspended. It has no now() on purpose.
struct BootClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock, duration>;
  static constexpr bool is_steady = true;
};
using TimePoint = BootClock::time_point;
inline constexpr TimePoint kNever = TimePoint::max();  // "no deadline"

// CLOCK_REALTIME, as seconds and nanoseconds since 1970 (UTC). Used for TAI64N stamps and for what people read.
struct WallTime {
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;
  friend auto operator<=>(const WallTime&, const WallTime&) = default;
};

}  // namespace greywire
