// The TAI64N stamps of initiations (whitepaper §5.1). A peer refuses a stamp that is not greater than the last one it
// took from us, so ours grow whatever the clock does: within a run, and across a restart with the clock set back.
//
// Protocol thread only; no clock and no file here. What must outlive the process is handed to `keep`, ahead of time
// and in coarse steps, so that few handshakes cause a write and no initiation waits for one.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>

#include "router/base/time.h"
#include "router/wireguard/messages.h"

namespace greywire::wireguard {

// 8 bytes of seconds and 4 of nanoseconds, big-endian, so that they compare as bytes. All zero: none.
using Timestamp = std::array<std::uint8_t, kTimestampSize>;

// Nanoseconds are whitened to 2^24, some 17 ms, so that the stamp does not tell the clock's detail.
inline constexpr std::uint32_t kTimestampUnit = 1U << 24;
Timestamp tai64n(WallTime time);

// The stamp a unit later; `later` of seconds. Whitened as its argument is.
Timestamp next_unit(const Timestamp& stamp);
Timestamp later(const Timestamp& stamp, std::chrono::seconds by);

class TimestampSource {
 public:
  // While stamps follow the clock one write covers kKeepAhead. While they run ahead of it they grow by a unit an
  // initiation, and so little is kept ahead that a daemon that crashes in a loop does not run away from the clock.
  static constexpr std::chrono::seconds kKeepAhead{300};
  static constexpr std::chrono::seconds kKeepAheadOfClock{2};
  using Keep = std::function<void(const Timestamp&)>;

  // `kept` is what an earlier run handed to its Keep last: it sent nothing greater.
  void start_beyond(const Timestamp& kept) { rise(kept); }
  // `keep` gets a stamp that is not sent yet and, until the next call, no greater one is sent; it returns at once.
  void set_keep(Keep keep) { keep_ = std::move(keep); }

  // For an initiation now, to somebody who got `last` from us before (zero: nothing).
  Timestamp next(WallTime now, const Timestamp& last);
  // `last` of a peer is not known any more, but by that peer.
  void forget(const Timestamp& last) { rise(last); }

  const Timestamp& greatest() const { return greatest_; }  // of all that were given out

 private:
  void rise(const Timestamp& beyond);

  Keep keep_;
  Timestamp least_{};     // of all that are given out from now on
  Timestamp greatest_{};
  Timestamp kept_{};
};

}  // namespace greywire::wireguard
