#include "router/forwarder/liveness.h"

#include <gtest/gtest.h>

namespace greywire {
namespace {

using namespace std::chrono_literals;

TimePoint at(Duration since_start) { return TimePoint{1000s + since_start}; }

TEST(LivenessStates, DiesAfterCountUnansweredAndLivesWithTheFirst) {
  Liveness liveness({.interval = 1s, .count = 3});
  EXPECT_EQ(liveness.state(), Liveness::State::kUnknown);
  for (unsigned i = 1; i <= 3; ++i) {
    const auto step = liveness.advance(at(1s * (i - 1)));
    EXPECT_TRUE(step.send_probe);
    EXPECT_EQ(step.sequence, i);
    EXPECT_FALSE(step.changed);
    EXPECT_EQ(liveness.next_deadline(), at(1s * i));
    EXPECT_FALSE(liveness.advance(at(1s * i) - 1ns).send_probe);
  }
  auto step = liveness.advance(at(3s));
  EXPECT_TRUE(step.changed);
  EXPECT_TRUE(step.send_probe) << "a dead peer is probed on";
  EXPECT_EQ(liveness.state(), Liveness::State::kDead);
  EXPECT_FALSE(liveness.advance(at(4s)).changed);
  EXPECT_FALSE(liveness.answered(1, at(0s), at(4s))) << "too old to tell anything";
  EXPECT_EQ(liveness.state(), Liveness::State::kDead);
  EXPECT_TRUE(liveness.answered(5, at(4s), at(4s + 30ms)));
  EXPECT_EQ(liveness.state(), Liveness::State::kAlive);
  EXPECT_EQ(liveness.round_trip(), Duration{30ms});
  EXPECT_FALSE(liveness.answered(5, at(4s), at(4s + 31ms))) << "no change";
  EXPECT_FALSE(liveness.answered(6, at(4s), at(4s + 31ms))) << "never sent";
  for (int i = 5; i < 8; ++i) EXPECT_FALSE(liveness.advance(at(1s * i)).changed) << i;
  EXPECT_TRUE(liveness.advance(at(8s)).changed) << "three in a row";
  EXPECT_FALSE(liveness.round_trip());
}

TEST(LivenessStates, ALateAnswerInTheMiddleResetsTheCount) {
  Liveness liveness({.interval = 1s, .count = 3});
  for (int i = 0; i < 30; ++i) {
    const auto step = liveness.advance(at(1s * i));
    EXPECT_NE(liveness.state(), Liveness::State::kDead);
    if (i % 2 == 1) liveness.answered(step.sequence - 1, at(1s * (i - 1)), at(1s * i + 1ms));
  }
  EXPECT_EQ(liveness.state(), Liveness::State::kAlive);
}

}  // namespace
}  // namespace greywire
