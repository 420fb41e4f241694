#include "router/gre/mac_table.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

namespace greywire::gre {
namespace {

using namespace std::chrono_literals;

TimePoint at(Duration since_start) {
  return TimePoint{5000s + since_start};
}
MacKey key(std::uint64_t number, std::uint16_t vlan = 0) {
  MacKey out{{}, vlan};
  for (int i = 5; i >= 0; --i, number >>= 8) out.mac.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(number);
  out.mac.bytes[0] = 2;
  return out;
}
using Result = MacTable::Result;

TEST(MacTable, LearnsByVlanMovesAndForgets) {
  MacTable table({}, 3, 1);
  EXPECT_EQ(table.find(key(1), at(0s)), std::nullopt);
  EXPECT_EQ(table.learn(key(1), 1, at(0s)).result, Result::kNew);
  EXPECT_EQ(table.learn(key(1), 1, at(1s)).result, Result::kKnown);
  EXPECT_EQ(table.find(key(1), at(1s)), 1);
  EXPECT_EQ(table.find(key(1, 7), at(1s)), std::nullopt);
  EXPECT_EQ(table.learn(key(1, 7), 2, at(1s)).result, Result::kNew);
  const auto moved = table.learn(key(1), 0, at(2s));
  EXPECT_EQ(moved.result, Result::kMoved);
  EXPECT_EQ(moved.from, 1);
  EXPECT_EQ(moved.moves, 1U);
  EXPECT_EQ(table.find(key(1), at(2s)), 0);
  EXPECT_EQ(table.find(key(1, 7), at(2s)), 2);
  EXPECT_EQ(table.size(), 2U);
  EXPECT_EQ(table.count(1), 0U);
  table.forget(2);
  EXPECT_EQ(table.find(key(1, 7), at(2s)), std::nullopt);
  EXPECT_EQ(table.size(), 1U);
}

TEST(MacTable, IsListedInOrderWithAgesAndWithoutWhatIsOver) {
  MacTable table({.age = 100s}, 3, 7);
  table.fix(key(9).mac, 2);
  table.learn(key(3), 1, at(0s));
  table.learn(key(2, 4094), 2, at(50s));
  table.learn(key(2), 0, at(60s));
  const auto all = table.entries(at(70s));
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[0].key.mac, key(2).mac);
  EXPECT_EQ(all[0].key.vlan, 0);
  EXPECT_EQ(all[0].port, 0);
  EXPECT_EQ(all[0].age, Duration(10s));
  EXPECT_EQ(all[1].key.vlan, 4094);
  EXPECT_EQ(all[1].port, 2);
  EXPECT_EQ(all[2].key.mac, key(3).mac);
  EXPECT_EQ(all[3].key.mac, key(9).mac);
  EXPECT_EQ(all[3].age, std::nullopt);
  EXPECT_EQ(table.entries(at(120s)).size(), 3U);
}

TEST(MacTable, WhatIsSilentForTheAgeIsUnknown) {
  MacTable table({.age = 300s}, 2, 2);
  table.learn(key(1), 1, at(0s));
  table.learn(key(2), 1, at(0s));
  table.learn(key(1), 1, at(200s));
  EXPECT_EQ(table.find(key(2), at(299s)), 1);
  EXPECT_EQ(table.find(key(2), at(300s)), std::nullopt);
  EXPECT_EQ(table.find(key(1), at(499s)), 1);
  table.sweep(at(499s));
  EXPECT_EQ(table.size(), 1U);
  EXPECT_EQ(table.learn(key(1), 0, at(501s)).result, Result::kNew) << "that is no move any more";
}

TEST(MacTable, MovesAreCountedWhileTheyFollowEachOther) {
  MacTable table({}, 3, 3);
  table.learn(key(1), 1, at(0s));
  for (unsigned i = 1; i <= 300; ++i) {
    const auto moved = table.learn(key(1), i % 2 == 0 ? 1 : 2, at(std::chrono::seconds(i / 10)));
    ASSERT_EQ(moved.result, Result::kMoved);
    EXPECT_EQ(moved.moves, std::min(i, 255U));
  }
  EXPECT_EQ(table.learn(key(1), 0, at(60s)).moves, 1U) << "after a pause it is the first again";
}

TEST(MacTable, LimitsAreKeptAndTheOldMakesRoom) {
  MacTable table({.total = 100, .per_port = 40, .age = 300s}, 4, 4);
  unsigned learned = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) learned += table.learn(key(i), 1, at(0s)).result == Result::kNew ? 1U : 0U;
  EXPECT_LE(learned, 40U);
  EXPECT_GE(learned, 35U) << "a bucket may be full before";
  EXPECT_EQ(table.count(1), learned);
  for (std::uint64_t i = 2000; i < 3000; ++i) table.learn(key(i), 0, at(1s));
  EXPECT_LE(table.size(), 100U);
  EXPECT_GT(table.count(0), 40U) << "the TAP has only the total";
  EXPECT_EQ(table.learn(key(0), 0, at(1s)).result, Result::kMoved) << "what is known may move, also at the limit";
  table.learn(key(1), 1, at(200s));
  EXPECT_EQ(table.learn(key(5000), 2, at(302s)).result, Result::kNew);
  table.sweep(at(302s));
  EXPECT_LE(table.size(), 2U) << "the new one, and the one that was heard again where it had been learned";
}

TEST(MacTable, FixedAddressesBelongWhereTheConfigSays) {
  MacTable table({}, 3, 5);
  table.fix(key(9).mac, 2);
  EXPECT_EQ(table.find(key(9), at(0s)), 2);
  EXPECT_EQ(table.find(key(9, 44), at(9999s)), 2);
  EXPECT_EQ(table.learn(key(9), 2, at(0s)).result, Result::kStatic);
  const auto foreign = table.learn(key(9), 1, at(0s));
  EXPECT_EQ(foreign.result, Result::kForeign);
  EXPECT_EQ(foreign.from, 2);
  EXPECT_EQ(table.size(), 0U);
}

// Against a table that is a plain map, over random addresses, ports and pauses.
TEST(MacTable, AgreesWithAPlainModel) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  MacTable table({.total = 4096, .per_port = 4096, .age = 20s}, 4, seed);
  struct Seen {
    SegmentPort port;
    TimePoint when;
  };
  std::map<std::uint64_t, Seen> model;
  TimePoint now = at(0s);
  for (int i = 0; i < 50'000; ++i) {
    if (random() % 100 == 0) now += std::chrono::seconds(random() % 8);
    const std::uint64_t number = random() % 300;
    const auto port = static_cast<SegmentPort>(random() % 4);
    const auto it = model.find(number);
    const bool fresh = it != model.end() && now - it->second.when < 20s;
    ASSERT_EQ(table.find(key(number), now), fresh ? std::optional(it->second.port) : std::nullopt);
    const auto learned = table.learn(key(number), port, now);
    ASSERT_EQ(learned.result, !fresh                    ? Result::kNew
                              : it->second.port == port ? Result::kKnown
                                                        : Result::kMoved);
    model[number] = {port, now};
  }
}

TEST(MacTable, ManyThreadsLearnAndLook) {
  MacTable table({.total = 256, .per_port = 200, .age = 3s}, 3, 6);
  std::atomic<bool> wrong{false};
  std::vector<std::thread> threads;
  for (unsigned n = 0; n < 4; ++n) {
    threads.emplace_back([&, n] {
      std::mt19937_64 random(n);
      for (int i = 0; i < 20'000; ++i) {
        const TimePoint now = at(std::chrono::milliseconds(i));
        const std::uint64_t number = random() % 400;
        // Odd addresses are at port 1, even ones at 2: a look-up never says otherwise.
        table.learn(key(number), static_cast<SegmentPort>(1 + number % 2), now);
        const auto found = table.find(key(random() % 400 * 2), now);
        if (found && *found != 1) wrong = wrong || *found != 1;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_FALSE(wrong);
  EXPECT_LE(table.count(1) + table.count(2), 256U + 4U);
  EXPECT_EQ(table.size(), table.count(0) + table.count(1) + table.count(2));
}

TEST(MacAddress, Text) {
  EXPECT_EQ(MacAddress::parse("02:00:5E:10:00:01")->to_string(), "02:00:5e:10:00:01");
  EXPECT_EQ(MacAddress::parse("02-00-5e-10-00-01")->number(), 0x02005e100001ULL);
  for (const char* text : {"", "02:00:5e:10:00", "02:00:5e:10:00:0g", "02:00:5e:10:00:011", "0200.5e10.0001.."}) {
    EXPECT_FALSE(MacAddress::parse(text)) << text;
  }
}

}  // namespace
}  // namespace greywire::gre
