// PLPMTUD in virtual time, against a path with an MTU, a round trip and loss.
#include "router/pmtu/path_search.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/sim/seed.h"

namespace greywire::pmtu {
namespace {

using namespace std::chrono_literals;

class Path {
 public:
  explicit Path(Mtu max = Mtu{1500}, Family family = Family::kV4, std::uint64_t seed = 1)
      : search(path_limits(family, max)), random_(seed) {}

  PathSearch search;
  std::uint32_t mtu = 1500;        // of the way there
  std::uint32_t interface = 9000;  // what our own system sends at all
  Duration round_trip = 20ms;
  double loss = 0;  // each way
  bool dead = false;
  bool under_load = false;  // large packets all the time
  unsigned probes = 0;
  std::uint32_t largest_seen = 0;

  TimePoint now() const { return now_; }
  void run(Duration how_long) { run_until([] { return false; }, how_long); }
  // The time until `done`, or the whole of `limit`.
  template <class Done>
  Duration run_until(Done&& done, Duration limit = 100s) {
    const TimePoint start = now_, end = now_ + limit;
    while (!done()) {
      TimePoint next = std::min(search.next_deadline(), answers_.empty() ? kNever : answers_.begin()->first);
      if (next > end) {
        now_ = end;
        break;
      }
      now_ = std::max(now_, next);
      if (!answers_.empty() && answers_.begin()->first <= now_) {
        const auto id = answers_.begin()->second;
        answers_.erase(answers_.begin());
        search.answered(id, now_);
        continue;
      }
      const auto step = search.advance(now_);
      if (step.watch && under_load) search.large_packet_sent(now_);
      if (step.send) send(*step.send);
    }
    return now_ - start;
  }
  Duration until(PathState state, Duration limit = 100s) {
    return run_until([&] { return search.state() == state; }, limit);
  }

 private:
  void send(const PathSearch::Attempt& attempt) {
    ++probes;
    largest_seen = std::max(largest_seen, attempt.size.bytes);
    if (attempt.size.bytes > interface) {
      search.refused(attempt.id, now_);
    } else if (!dead && attempt.size.bytes <= mtu && passes()) {
      answers_.emplace(now_ + round_trip, attempt.id);
    }
    if (!dead && passes()) answers_.emplace(now_ + round_trip, attempt.id + 1);
  }
  bool passes() { return !random_.chance(loss) && !random_.chance(loss); }

  test::SeededRandom random_;
  TimePoint now_{1000s};
  std::multimap<TimePoint, std::uint32_t> answers_;
};

// RFC 8899 §5.2: from Base by way of Searching to Search Complete, for every MTU a path may have.
TEST(PathSearch, FindsTheExactSizeOfAnyPath) {
  for (const Family family : {Family::kV4, Family::kV6}) {
    const std::uint32_t least = family == Family::kV4 ? 577 : 1280;
    for (std::uint32_t mtu = least; mtu <= 1500; ++mtu) {
      Path path(Mtu{1500}, family);
      path.mtu = mtu;
      const Duration took = path.until(PathState::kSearchComplete, 20s);
      ASSERT_EQ(path.search.state(), PathState::kSearchComplete) << mtu;
      ASSERT_EQ(path.search.plpmtu(), Mtu{mtu});
      ASSERT_EQ(path.search.probed(), Mtu{mtu});
      ASSERT_LE(took, mtu >= 1280 ? 2s : 3s) << mtu << ": 3 s are allowed at a round trip of 20 ms";
      ASSERT_LE(path.largest_seen, 1500U);
      ASSERT_EQ(path.search.black_holes(), 0U) << "nothing had been confirmed";
    }
  }
}

TEST(PathSearch, TheLargestIsTriedFirstAndTakesOneRoundTrip) {
  Path path;
  EXPECT_EQ(path.search.state(), PathState::kBase);
  EXPECT_EQ(path.search.plpmtu(), Mtu{1500}) << "assumed";
  EXPECT_EQ(path.search.reason(), PathReason::kAssumed);
  EXPECT_EQ(path.until(PathState::kSearchComplete), Duration{20ms});
  EXPECT_EQ(path.search.reason(), PathReason::kConfirmed);
  EXPECT_EQ(path.probes, 1U);
}

TEST(PathSearch, LargerPathsThanEthernetAreFoundWhereTheyAreAllowed) {
  Path path(Mtu{9000});
  path.mtu = 8952;
  path.until(PathState::kSearchComplete);
  EXPECT_EQ(path.search.plpmtu(), Mtu{8952});
}

// §5.1.1: only the raise timer runs when nothing is sent.
TEST(PathSearch, AnIdlePathIsLeftAlone) {
  for (const std::uint32_t mtu : {1500U, 1400U}) {
    Path path;
    path.mtu = mtu;
    path.until(PathState::kSearchComplete);
    const unsigned before = path.probes;
    path.run(599s);
    EXPECT_EQ(path.probes, before) << mtu;
    path.run(3600s);
    EXPECT_LE(path.probes - before, mtu == 1500 ? 0U : 7U * 2 * PathSearch::kMaxProbes)
        << "a round of two sizes each ten minutes";
    EXPECT_EQ(path.search.plpmtu(), Mtu{mtu});
  }
}

// §4.3, §5.2: black hole detection by confirming the size in use while it is used.
TEST(PathSearch, ADropUnderLoadIsNoticedWithinThreeSeconds) {
  for (const std::uint32_t to : {1499U, 1492U, 1420U, 1296U, 1000U}) {
    Path path;
    path.under_load = true;
    path.run(10s);
    path.mtu = to;
    const Duration lower = path.run_until([&] { return path.search.plpmtu() <= Mtu{to}; });
    EXPECT_LE(lower, to < 1280 ? 2500ms : 1300ms) << to;
    path.until(PathState::kSearchComplete);
    EXPECT_EQ(path.search.plpmtu(), Mtu{to});
    EXPECT_EQ(path.search.reason(), PathReason::kBlackHole);
    EXPECT_EQ(path.search.black_holes(), 1U);
    ASSERT_TRUE(path.search.changed_at());
  }
}

TEST(PathSearch, ADropWhileIdleIsNoticedWithTheFirstLargePacket) {
  Path path;
  path.until(PathState::kSearchComplete);
  path.run(3600s);
  path.mtu = 1400;
  path.search.large_packet_sent(path.now());
  EXPECT_LE(path.run_until([&] { return path.search.plpmtu() <= Mtu{1400}; }), Duration{800ms});
}

// §5.1.1 PMTU_RAISE_TIMER.
TEST(PathSearch, ARaiseIsFoundWithinTheRaiseTimer) {
  for (const std::uint32_t to : {1401U, 1450U, 1500U}) {
    Path path;
    path.mtu = 1400;
    path.under_load = true;
    path.until(PathState::kSearchComplete);
    path.run(10s);
    path.mtu = to;
    EXPECT_LE(path.run_until([&] { return path.search.plpmtu() == Mtu{to}; }, 700s), Duration{605s}) << to;
    EXPECT_EQ(path.search.reason(), PathReason::kRaised);
    EXPECT_EQ(path.search.black_holes(), 0U);
  }
}

TEST(PathSearch, ARaiseThatFindsNothingChangesNothing) {
  Path path;
  path.mtu = 1400;
  path.until(PathState::kSearchComplete);
  const auto changed = path.search.changed_at();
  path.run(3600s);
  EXPECT_EQ(path.search.state(), PathState::kSearchComplete);
  EXPECT_EQ(path.search.plpmtu(), Mtu{1400});
  EXPECT_EQ(path.search.changed_at(), changed);
}

// A false black hole would lower devices' MTUs for ten minutes. Fixed seeds: chance is part of it.
TEST(PathSearch, LossIsNoBlackHole) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Path path(Mtu{1500}, Family::kV4, seed);
    path.loss = 0.05;
    path.mtu = 1420;
    path.under_load = true;
    path.until(PathState::kSearchComplete);
    path.run(600s);
    EXPECT_EQ(path.search.black_holes(), 0U) << "two checks a second for ten minutes, seed " << seed;
    EXPECT_EQ(path.search.plpmtu(), Mtu{1420});
    EXPECT_GE(path.probes, 1100U);
  }
}

TEST(PathSearch, ADropIsFoundUnderLossToo) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Path path(Mtu{1500}, Family::kV4, seed);
    path.loss = 0.05;
    path.under_load = true;
    path.run(10s);
    path.mtu = 1400;
    EXPECT_LE(path.run_until([&] { return path.search.plpmtu() <= Mtu{1400}; }), Duration{3s});
  }
}

TEST(PathSearch, ADeadPeerIsNoBlackHole) {
  Path path;
  path.under_load = true;
  path.run(10s);
  path.dead = true;
  path.run(60s);
  EXPECT_EQ(path.search.state(), PathState::kSearchComplete);
  EXPECT_EQ(path.search.plpmtu(), Mtu{1500});
  EXPECT_EQ(path.search.black_holes(), 0U);
  path.dead = false;
  path.mtu = 1400;
  path.search.heard(path.now());
  EXPECT_LE(path.run_until([&] { return path.search.plpmtu() <= Mtu{1400}; }, 10s), Duration{5s});
}

TEST(PathSearch, APeerThatDiesInTheMiddleOfASearchIsGoneOnWith) {
  Path path;
  path.mtu = 1400;
  path.until(PathState::kSearching);
  path.dead = true;
  path.run(120s);
  const unsigned probes = path.probes;
  path.run(600s);
  EXPECT_EQ(path.probes, probes) << "silence towards the dead";
  path.dead = false;
  path.search.heard(path.now());
  path.until(PathState::kSearchComplete, 10s);
  EXPECT_EQ(path.search.plpmtu(), Mtu{1400});
}

TEST(PathSearch, APeerThatAnswersNoneIsUnprobeable) {
  Path path;
  path.dead = true;
  path.under_load = true;
  path.run(30s);
  EXPECT_EQ(path.search.state(), PathState::kUnprobeable);
  EXPECT_EQ(path.search.plpmtu(), Mtu{1500}) << "the fixed value";
  const unsigned probes = path.probes;
  path.run(500s);
  EXPECT_EQ(path.probes, probes);
  path.search.reported(Mtu{1400}, path.now());
  EXPECT_EQ(path.search.plpmtu(), Mtu{1400}) << "routers are all there is";
  path.search.reported(Mtu{500}, path.now());
  path.search.reported(Mtu{1450}, path.now());
  EXPECT_EQ(path.search.plpmtu(), Mtu{1400}) << "never below the minimum, never up";
  path.run(620s);
  EXPECT_EQ(path.search.plpmtu(), Mtu{1500}) << "the raise timer forgets it";
  path.dead = false;
  path.search.heard(path.now());
  path.until(PathState::kSearchComplete, 10s);
  EXPECT_EQ(path.search.state(), PathState::kSearchComplete);
}

// §4.6: reports of routers.
TEST(PathSearch, ATrueReportIsConfirmedAndUsed) {
  Path path;
  path.under_load = true;
  path.run(10s);
  path.mtu = 1437;
  path.search.reported(Mtu{1437}, path.now());
  EXPECT_LE(path.run_until([&] { return path.search.plpmtu() <= Mtu{1437}; }), Duration{300ms});
  EXPECT_LE(path.until(PathState::kSearchComplete), Duration{500ms});
  EXPECT_EQ(path.search.plpmtu(), Mtu{1437});
  EXPECT_EQ(path.search.reason(), PathReason::kReported);
}

TEST(PathSearch, AForgedReportCostsOneAttempt) {
  Path path;
  path.until(PathState::kSearchComplete);
  const unsigned before = path.probes;
  for (const std::uint32_t lie : {1300U, 600U, 68U, 0U, 1500U, 65535U}) {
    path.search.reported(Mtu{lie}, path.now());
    path.run(1s);
    EXPECT_EQ(path.search.plpmtu(), Mtu{1500}) << lie;
    EXPECT_EQ(path.search.state(), PathState::kSearchComplete) << lie;
  }
  EXPECT_EQ(path.probes - before, 2U) << "only what is possible is looked at";
}

TEST(PathSearch, ForgedReportsDuringTheSearchDoNotMisleadIt) {
  for (std::uint32_t lie = 580; lie < 1500; lie += 20) {
    Path path;
    path.mtu = 1400;
    path.search.reported(Mtu{lie}, path.now());
    path.run(100ms);
    path.search.reported(Mtu{lie}, path.now());
    path.until(PathState::kSearchComplete, 10s);
    EXPECT_EQ(path.search.plpmtu(), Mtu{1400}) << lie;
  }
}

TEST(PathSearch, TheInterfacesOwnLimitIsFoundAtOnce) {
  Path path;
  path.interface = 1400;
  const Duration took = path.until(PathState::kSearchComplete);
  EXPECT_EQ(path.search.plpmtu(), Mtu{1400});
  EXPECT_EQ(path.search.reason(), PathReason::kInterface);
  EXPECT_LE(took, Duration{200ms});
}

// §5.2 Error: not even BASE_PLPMTU is answered.
TEST(PathSearch, BelowTheBaseThePathIsInErrorUntilASizeIsFound) {
  Path path;
  path.mtu = 1000;
  bool was_in_error = false;
  path.run_until([&] {
    was_in_error = was_in_error || path.search.state() == PathState::kError;
    return path.search.state() == PathState::kSearchComplete;
  });
  EXPECT_TRUE(was_in_error);
  EXPECT_EQ(path.search.plpmtu(), Mtu{1000});
  Path narrow(Mtu{1500}, Family::kV6);
  narrow.mtu = 1279;  // no IPv6 path may be so
  narrow.run(30s);
  EXPECT_EQ(narrow.search.state(), PathState::kError);
  EXPECT_EQ(narrow.search.plpmtu(), Mtu{1280});
  const unsigned probes = narrow.probes;
  narrow.run(500s);
  EXPECT_EQ(narrow.probes, probes);
  narrow.mtu = 1500;
  narrow.until(PathState::kSearchComplete, 700s);
  EXPECT_EQ(narrow.search.plpmtu(), Mtu{1500}) << "the raise timer looks again";
}

TEST(PathSearch, AnotherEndpointIsAnotherPath) {
  Path path;
  path.mtu = 1400;
  path.until(PathState::kSearchComplete);
  path.mtu = 1480;
  path.search.moved(path_limits(Family::kV6, Mtu{1500}), path.now());
  EXPECT_EQ(path.search.plpmtu(), Mtu{1500});
  EXPECT_EQ(path.search.reason(), PathReason::kMoved);
  path.until(PathState::kSearchComplete, 10s);
  EXPECT_EQ(path.search.plpmtu(), Mtu{1480});
}

TEST(PathSearch, LongRoundTripsOnlyTakeLonger) {
  for (const Duration round_trip : {Duration{1ms}, Duration{200ms}, Duration{900ms}, Duration{2500ms}}) {
    Path path;
    path.round_trip = round_trip;
    path.mtu = 1450;
    path.until(PathState::kSearchComplete, 300s);
    EXPECT_EQ(path.search.plpmtu(), Mtu{1450}) << round_trip.count();
    path.under_load = true;
    path.run(100s);
    EXPECT_EQ(path.search.black_holes(), 0U);
  }
}

}  // namespace
}  // namespace greywire::pmtu
