// Stamps that only ever grow: whitened as TAI64N, through steps of the clock and across runs.
#include "router/wireguard/timestamp.h"

#include <gtest/gtest.h>

#include "router/base/byte_order.h"

namespace greywire::wireguard {
namespace {

using namespace std::chrono_literals;

std::uint64_t seconds_of(const Timestamp& stamp) {
  return load_be64(stamp.data()) - 0x400000000000000aULL;
}
std::uint32_t nanoseconds_of(const Timestamp& stamp) {
  return load_be32(stamp.data() + 8);
}

TEST(TimestampSource, FollowsTheClockWhitened) {
  TimestampSource source;
  const Timestamp stamp = source.next({1'700'000'000, 123'456'789}, {});
  EXPECT_EQ(seconds_of(stamp), 1'700'000'000U);
  EXPECT_EQ(nanoseconds_of(stamp), 123'456'789U & 0xff000000U);
  EXPECT_EQ(source.greatest(), stamp);
}

TEST(TimestampSource, GrowsByAUnitWhereTheClockDoesNot) {
  TimestampSource source;
  const WallTime now{1'700'000'000, 999'000'000};
  Timestamp last = source.next(now, {});
  for (int i = 0; i < 200; ++i) {
    const Timestamp stamp = source.next(now, last);
    ASSERT_GT(stamp, last);
    ASSERT_LT(nanoseconds_of(stamp), 1'000'000'000U);
    ASSERT_EQ(nanoseconds_of(stamp) % kTimestampUnit, 0U);
    last = stamp;
  }
  // 60 units a second.
  EXPECT_EQ(seconds_of(last), 1'700'000'004U);
  const Timestamp back = source.next({1'600'000'000, 0}, last);
  EXPECT_EQ(back, next_unit(last)) << "the clock was set back";
  EXPECT_EQ(source.next({1'800'000'000, 0}, back), tai64n({1'800'000'000, 0})) << "and forward";
}

TEST(TimestampSource, PeersDoNotPushEachOtherAheadOfTheClock) {
  TimestampSource source;
  const WallTime now{1'700'000'000, 0};
  for (int peer = 0; peer < 10'000; ++peer) EXPECT_EQ(source.next(now, {}), tai64n(now));
}

TEST(TimestampSource, StaysBeyondWhatAPeerMayRememberOfUs) {
  TimestampSource source;
  const Timestamp sent = source.next({1'700'000'000, 0}, {});
  source.forget(sent);
  EXPECT_GT(source.next({1'600'000'000, 0}, {}), sent)
      << "removed, added again, and the clock set back between";
  TimestampSource untouched;
  untouched.forget({});
  EXPECT_EQ(untouched.next({5, 0}, {}), tai64n({5, 0})) << "a peer that got nothing remembers nothing";
}

TEST(TimestampSource, NothingIsSentBeyondWhatIsKept) {
  TimestampSource source;
  Timestamp kept{}, last{};
  int writes = 0;
  source.set_keep([&](const Timestamp& stamp) {
    EXPECT_GT(stamp, kept);
    kept = stamp;
    ++writes;
  });
  // An initiation each 5 s of an hour.
  for (std::int64_t s = 0; s < 3600; s += 5) {
    last = source.next({1'700'000'000 + s, 0}, last);
    ASSERT_LE(last, kept);
  }
  EXPECT_EQ(writes, 24) << "one each half of the reserve";
}

TEST(TimestampSource, TheNextRunBeginsBeyondTheLast) {
  Timestamp kept{};
  const auto keep = [&](const Timestamp& stamp) { kept = stamp; };
  Timestamp last{};
  {
    TimestampSource first;
    first.set_keep(keep);
    last = first.next({1'700'000'000, 0}, {});
  }
  TimestampSource second;
  second.start_beyond(kept);
  second.set_keep(keep);
  const Timestamp stamp = second.next({1'000'000'000, 0}, {});
  EXPECT_GT(stamp, last) << "the clock was set back by decades";
  EXPECT_LE(stamp, kept);
}

// Each run takes little of the future, so that a daemon that crashes in a loop stays near the clock.
TEST(TimestampSource, ManyShortRunsStayNearTheClock) {
  Timestamp kept{}, last{};
  for (int run = 0; run < 100; ++run) {
    TimestampSource source;
    source.start_beyond(kept);
    source.set_keep([&](const Timestamp& stamp) { kept = stamp; });
    const Timestamp stamp = source.next({1'700'000'000, 0}, {});
    ASSERT_GT(stamp, last);
    last = stamp;
  }
  EXPECT_LE(seconds_of(last), 1'700'000'000U + 300 + 100 * 2 + 2);
}

}  // namespace
}  // namespace greywire::wireguard
