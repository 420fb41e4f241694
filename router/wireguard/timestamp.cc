#include "router/wireguard/timestamp.h"

#include <algorithm>

#include "router/base/byte_order.h"

namespace greywire::wireguard {

Timestamp tai64n(WallTime time) {
  constexpr std::uint64_t kTaiBase = 0x400000000000000aULL;
  Timestamp stamp;
  store_be64(stamp.data(), kTaiBase + static_cast<std::uint64_t>(time.seconds));
  store_be32(stamp.data() + 8, time.nanoseconds & ~(kTimestampUnit - 1));
  return stamp;
}

Timestamp next_unit(const Timestamp& stamp) {
  const std::uint32_t nanoseconds = load_be32(stamp.data() + 8) + kTimestampUnit;
  if (nanoseconds < 1'000'000'000) {
    Timestamp next = stamp;
    store_be32(next.data() + 8, nanoseconds);
    return next;
  }
  Timestamp next{};
  store_be64(next.data(), load_be64(stamp.data()) + 1);
  return next;
}

Timestamp later(const Timestamp& stamp, std::chrono::seconds by) {
  Timestamp out = stamp;
  store_be64(out.data(), load_be64(stamp.data()) + static_cast<std::uint64_t>(by.count()));
  return out;
}

void TimestampSource::rise(const Timestamp& beyond) {
  if (beyond != Timestamp{}) least_ = std::max(least_, next_unit(beyond));
}

Timestamp TimestampSource::next(WallTime now, const Timestamp& last) {
  const Timestamp clock = tai64n(now);
  const Timestamp stamp = std::max({clock, least_, next_unit(last)});
  greatest_ = std::max(greatest_, stamp);
  const auto ahead = stamp == clock ? kKeepAhead : kKeepAheadOfClock;
  // Asked for when half of the reserve is used up, so that the write has the time of the other half.
  if (keep_ && later(stamp, ahead / 2) > kept_) {
    kept_ = later(stamp, ahead);
    keep_(kept_);
  }
  return stamp;
}

}  // namespace greywire::wireguard
