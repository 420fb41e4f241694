#include "overlay/daemon/reachability.h"

#include <gtest/gtest.h>

namespace greywire::daemon {
namespace {

using std::chrono::seconds;

constexpr TimePoint kStart = TimePoint{} + std::chrono::hours(1);
TimePoint at(double second) {
  return kStart + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(second));
}

TEST(Reachability, TheFirstAnswerWaitsForNothing) {
  Reachability peer({seconds(5), seconds(60)});
  EXPECT_FALSE(peer.usable());
  EXPECT_FALSE(peer.heard(false, at(3)));  // nobody there yet: no loss
  EXPECT_TRUE(peer.heard(true, at(4)));
  EXPECT_TRUE(peer.usable());
  EXPECT_EQ(peer.next_deadline(), kNever);
}

TEST(Reachability, ALossCountsAtOnceAndAReturnAfterTheHoldUp) {
  Reachability peer({seconds(5), std::nullopt});
  peer.heard(true, at(0));
  EXPECT_TRUE(peer.heard(false, at(10)));
  EXPECT_FALSE(peer.usable());
  EXPECT_EQ(peer.next_deadline(), kNever);
  EXPECT_FALSE(peer.heard(true, at(20)));
  EXPECT_TRUE(peer.alive());
  EXPECT_EQ(peer.next_deadline(), at(25));
  EXPECT_FALSE(peer.advance(at(24.9)));
  EXPECT_TRUE(peer.advance(at(25)));
  EXPECT_TRUE(peer.usable());
}

TEST(Reachability, ALossDuringTheHoldUpStartsItAnew) {
  Reachability peer({seconds(5), std::nullopt});
  peer.heard(true, at(0));
  peer.heard(false, at(10));
  peer.heard(true, at(20));
  EXPECT_FALSE(peer.heard(false, at(23)));
  EXPECT_EQ(peer.next_deadline(), kNever);
  EXPECT_FALSE(peer.advance(at(26)));
  peer.heard(true, at(30));
  EXPECT_EQ(peer.next_deadline(), at(35));
}

TEST(Reachability, WithoutHoldUpItIsUsedAtOnce) {
  Reachability peer;
  peer.heard(true, at(0));
  for (int i = 1; i < 50; ++i) {
    EXPECT_TRUE(peer.heard(false, at(i)));
    EXPECT_TRUE(peer.heard(true, at(i + 0.5)));
  }
  EXPECT_FALSE(peer.damped());
}

TEST(Reachability, TheThirdLossInARowIsDampedUntilThePenaltyHasDecayed) {
  Reachability peer({seconds(0), seconds(60)});
  peer.heard(true, at(0));
  for (const double second : {10.0, 20.0}) {
    peer.heard(false, at(second));
    EXPECT_FALSE(peer.damped()) << second;
    EXPECT_TRUE(peer.heard(true, at(second + 1)));
  }
  peer.heard(false, at(30));
  EXPECT_TRUE(peer.damped());
  EXPECT_FALSE(peer.heard(true, at(31)));
  EXPECT_FALSE(peer.usable());
  // 1000 * (2^(-20/60) + 2^(-10/60) + 1) = 2684.6, below 1000 after 60 s * log2(2.6846) = 85.48 s.
  EXPECT_GE(peer.next_deadline(), at(30 + 85.4));
  EXPECT_LE(peer.next_deadline(), at(30 + 85.5));
  EXPECT_FALSE(peer.advance(at(115)));
  EXPECT_TRUE(peer.advance(peer.next_deadline()));
  EXPECT_FALSE(peer.damped());
}

TEST(Reachability, LossesFarApartAreNeverDamped) {
  Reachability peer({seconds(0), seconds(60)});
  peer.heard(true, at(0));
  for (int i = 1; i <= 100; ++i) {
    peer.heard(false, at(60.0 * i));
    EXPECT_FALSE(peer.damped()) << i;
    peer.heard(true, at(60.0 * i + 3));
  }
}

TEST(Reachability, FlappingWithoutEndIsKeptDownAndFreeThreeHalfLivesAfterItEnded) {
  Reachability peer({seconds(1), seconds(60)});
  peer.heard(true, at(0));
  double second = 10;
  for (int i = 0; i < 1000; ++i, second += 2) {
    peer.heard(false, at(second));
    if (i > 2) EXPECT_FALSE(peer.heard(true, at(second + 1))) << i;
    else peer.heard(true, at(second + 1));
  }
  EXPECT_TRUE(peer.damped());
  EXPECT_LE(peer.next_deadline(), at(second + 180));
  EXPECT_GE(peer.next_deadline(), at(second + 170));
}

TEST(Reachability, ADampedPeerThatIsDeadWaitsForItsAnswer) {
  Reachability peer({seconds(1), seconds(10)});
  peer.heard(true, at(0));
  for (int i = 1; i <= 3; ++i) {
    peer.heard(false, at(i));
    peer.heard(true, at(i + 0.5));
  }
  peer.heard(false, at(4));
  EXPECT_EQ(peer.next_deadline(), kNever);
  EXPECT_FALSE(peer.heard(true, at(100)));
  EXPECT_FALSE(peer.damped());
  EXPECT_EQ(peer.next_deadline(), at(101));  // the hold-up alone
}

TEST(Reachability, WhatWasAssumedStandsUntilALoss) {
  Reachability peer({seconds(5), seconds(60)});
  peer.assume_alive();
  EXPECT_TRUE(peer.usable());
  EXPECT_FALSE(peer.heard(true, at(1)));
  EXPECT_TRUE(peer.heard(false, at(4)));
  peer.heard(true, at(5));
  EXPECT_EQ(peer.next_deadline(), at(10));
}

TEST(Reachability, SwitchingDampingOffFreesThePeer) {
  Reachability peer({seconds(0), seconds(60)});
  peer.heard(true, at(0));
  for (int i = 1; i <= 4; ++i) {
    peer.heard(false, at(i));
    peer.heard(true, at(i + 0.5));
  }
  EXPECT_TRUE(peer.damped());
  peer.set_config({seconds(0), std::nullopt}, at(5));
  EXPECT_TRUE(peer.advance(at(5)));
  EXPECT_TRUE(peer.usable());
}

}  // namespace
}  // namespace greywire::daemon
