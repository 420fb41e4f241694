#include "router/engine/boot_clock.h"

#include <gtest/gtest.h>

#include <ctime>

namespace greywire::engine {
namespace {

TEST(BootClock, NeverRunsBackwardsAndFollowsTheKernels) {
  const auto first = boot_now();
  timespec kernel{};
  ASSERT_EQ(clock_gettime(CLOCK_BOOTTIME, &kernel), 0);
  const auto second = boot_now();
  const TimePoint between(std::chrono::seconds(kernel.tv_sec) + std::chrono::nanoseconds(kernel.tv_nsec));
  EXPECT_LE(first, between);
  EXPECT_LE(between, second);
}

TEST(WallClock, FollowsTheKernels) {
  const auto first = wall_now();
  const auto seconds = std::time(nullptr);
  const auto second = wall_now();
  EXPECT_LT(first.nanoseconds, 1'000'000'000U);
  EXPECT_LE(first.seconds, seconds + 1);  // time() may read a coarser clock, a tick behind
  EXPECT_LE(seconds, second.seconds);
  EXPECT_LE(first, second);
}

}  // namespace
}  // namespace greywire::engine
