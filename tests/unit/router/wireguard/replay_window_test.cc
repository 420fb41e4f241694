#include "router/wireguard/replay_window.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "tests/sim/seed.h"

namespace greywire::wireguard {
namespace {

constexpr std::uint64_t kW = ReplayWindow::kWindow, kB = ReplayWindow::kBits;
static_assert(kW == 32704);

struct Case {
  std::uint64_t counter;
  bool accepted;
};

void run(const std::vector<Case>& cases) {
  ReplayWindow window;
  int number = 0;
  for (const auto& c : cases) {
    ++number;
    EXPECT_EQ(window.accept(c.counter), c.accepted) << "case " << number << ", counter " << c.counter;
  }
}

TEST(ReplayWindow, StartsAtZeroAndTakesNothingTwice) {
  run({{0, true},
       {0, false},
       {1, true},
       {1, false},
       {9, true},
       {8, true},
       {7, true},
       {7, false},
       {8, false},
       {9, false}});
}

TEST(ReplayWindow, ReachesExactly32704BelowTheHighest) {
  const std::uint64_t high = 3 * kB + 17;
  run({{high, true},
       {high - kW, true},
       {high - kW, false},
       {high - kW - 1, false},
       {high - kW + 1, true},
       {high - kW + 1, false},
       {high, false},
       {high + 1, true},
       {high - kW, false},
       {high - kW + 2, true},
       {0, false}});
}

TEST(ReplayWindow, FirstPacketsAroundTheWindow) {
  run({{kW, true},
       {kW, false},
       {0, true},
       {0, false},
       {kW + 1, true},
       {1, true},
       {0, false},
       {2, true},
       {2, false}});
  run({{kW + 1, true}, {0, false}, {1, true}, {1, false}});
}

TEST(ReplayWindow, EveryHighestWordAlignment) {
  for (std::uint64_t high = 3 * kB; high < 3 * kB + 130; ++high) {
    run({{high, true},
         {high - kW, true},
         {high - kW - 1, false},
         {high - kW, false},
         {high - 64, true},
         {high - 64, false}});
  }
}

TEST(ReplayWindow, JumpsForgetWhatTheyPass) {
  run({{5, true}, {kB, true}, {5, false}, {kB - 1, true}, {kB + 64, true}, {128, true}, {127, false}});
  run({{5, true},
       {5 + kB, true},
       {5 + kB - kW, true},
       {5 + 3 * kB, true},
       {5 + 2 * kB, false},
       {5 + 3 * kB - kW, true}});
  run({{100, true}, {std::uint64_t{1} << 60, true}, {(std::uint64_t{1} << 60) - kW, true}, {100, false}});
}

TEST(ReplayWindow, EndsAtRejectAfterMessages) {
  run({{kRejectAfterMessages, false},
       {kRejectAfterMessages - 1, true},
       {kRejectAfterMessages, false},
       {kRejectAfterMessages - 1, false},
       {kRejectAfterMessages - 2, true},
       {kRejectAfterMessages + 1, false},
       {kRejectAfterMessages + 2, false},
       {kRejectAfterMessages - 2, false},
       {kRejectAfterMessages - 3, true},
       {~std::uint64_t{0}, false},
       {kRejectAfterMessages - 1 - kW, true},
       {kRejectAfterMessages - 2 - kW, false},
       {0, false}});
}

TEST(ReplayWindow, FullRunsInBothDirections) {
  ReplayWindow up;
  for (std::uint64_t i = 0; i < 2 * kB; ++i) ASSERT_TRUE(up.accept(i));
  for (std::uint64_t i = 0; i < 2 * kB; ++i) ASSERT_FALSE(up.accept(i));
  ReplayWindow down;
  ASSERT_TRUE(down.accept(kW));
  for (std::uint64_t i = kW; i-- > 0;) ASSERT_TRUE(down.accept(i)) << i;
  for (std::uint64_t i = 0; i <= kW; ++i) ASSERT_FALSE(down.accept(i));
}

// Against a set of all counters ever taken.
TEST(ReplayWindow, AgreesWithATrivialReference) {
  test::SeededRandom random(test::draw_seed("AgreesWithATrivialReference"));
  for (int round = 0; round < 20; ++round) {
    ReplayWindow window;
    std::set<std::uint64_t> taken;
    std::uint64_t high = 0;
    bool any = false;
    for (int i = 0; i < 20000; ++i) {
      const std::uint64_t step = random.below(20) == 0 ? random.below(kB * 3 / 2) : random.below(100);
      const std::uint64_t back = random.below(kB + 8);
      const std::uint64_t counter = random.below(2) == 0 ? high + step : high - std::min(high, back);
      const bool fresh = (!any || counter + kW >= high) && taken.insert(counter).second;
      ASSERT_EQ(window.accept(counter), fresh) << counter << " with " << high;
      if (fresh) high = std::max(high, counter);
      any = true;
    }
  }
}

}  // namespace
}  // namespace greywire::wireguard
