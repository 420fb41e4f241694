// A limit in frames a second that many threads share: the Generic Cell Rate Algorithm (ITU-T I.371), which is a token
// bucket in one number. Up to a fifth of a second's frames may come at once.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "router/base/time.h"

namespace greywire::gre {

class StormLimit {
 public:
  // 0: no limit. Before any other call.
  void set(std::uint32_t frames_per_second) {
    cost_ = frames_per_second == 0 ? 0 : std::max<std::int64_t>(1, kSecond / frames_per_second);
  }

  // Whether `frames` more may pass at `now`.
  bool take(std::uint32_t frames, TimePoint now) {
    if (cost_ == 0) return true;
    const std::int64_t at = now.time_since_epoch().count();
    std::int64_t booked = booked_until_.load(std::memory_order_relaxed);
    for (;;) {
      const std::int64_t next = std::max(booked, at) + cost_ * frames;
      if (next - at > std::max(kBurst, cost_)) return false;
      if (booked_until_.compare_exchange_weak(booked, next, std::memory_order_relaxed)) return true;
    }
  }

 private:
  static constexpr std::int64_t kSecond = 1'000'000'000;
  static constexpr std::int64_t kBurst = kSecond / 5;
  std::int64_t cost_ = 0;  // nanoseconds a frame
  std::atomic<std::int64_t> booked_until_{0};
};

}  // namespace greywire::gre
