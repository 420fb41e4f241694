#include "overlay/mtu/mtu_damping.h"

#include <gtest/gtest.h>

#include <vector>

namespace greywire::mtu {
namespace {

using std::chrono::seconds;

TimePoint at(int s) {
  return TimePoint(seconds(s));
}

TEST(MtuDamping, FallsAtOnceAndRisesAfterTheHold) {
  struct Step {
    int second;
    std::uint32_t wanted, expected;
  };
  const std::vector<Step> steps = {
      {0, 1440, 1440},                     // the first value
      {1, 1400, 1400},                     // down at once
      {2, 1440, 1400},                     // up: wait
      {11, 1440, 1400},                    // 9 s later
      {12, 1440, 1440},                    // 10 s later
      {13, 1400, 1400},                    // down again
      {14, 1440, 1400}, {20, 1390, 1390},  // a wobble restarts the hold
      {21, 1440, 1390}, {30, 1440, 1390}, {31, 1440, 1440},
  };
  MtuDamping damping(seconds(10));
  for (const auto& step : steps) {
    EXPECT_EQ(damping.update(Mtu{step.wanted}, at(step.second)).bytes, step.expected)
        << "at " << step.second << " s";
  }
}

TEST(MtuDamping, RisesToTheSmallestThatHeld) {
  MtuDamping damping(seconds(10));
  damping.update(Mtu{1300}, at(0));
  damping.update(Mtu{1440}, at(1));
  damping.update(Mtu{1360}, at(5));
  EXPECT_EQ(damping.update(Mtu{1440}, at(11)).bytes, 1360U);
  EXPECT_EQ(damping.next_expiry(), at(21));
  EXPECT_EQ(damping.update(Mtu{1440}, at(21)).bytes, 1440U);
}

TEST(MtuDamping, TellsWhenToLookAgain) {
  MtuDamping damping(seconds(10));
  EXPECT_EQ(damping.next_expiry(), kNever);
  damping.update(Mtu{1300}, at(0));
  EXPECT_EQ(damping.next_expiry(), kNever);
  damping.update(Mtu{1400}, at(3));
  EXPECT_EQ(damping.next_expiry(), at(13));
  damping.update(Mtu{1300}, at(4));
  EXPECT_EQ(damping.next_expiry(), kNever);
}

}  // namespace
}  // namespace greywire::mtu
