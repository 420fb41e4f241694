#include "routing/allowed_ips_sync.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace greywire::routing {
namespace {

using namespace std::chrono_literals;
using Action = LearnedChange::Action;

Prefix prefix(const char* text) {
  return Prefix::parse(text).value();
}
LearnedChange to_peer(const Prefix& p, std::uint32_t peer) {
  return {p, Action::kPeer, PeerId{peer}};
}
LearnedChange discard(const Prefix& p) {
  return {p, Action::kDiscard, {}};
}
LearnedChange remove(const Prefix& p) {
  return {p, Action::kRemove, {}};
}

// A sync whose caller remembers what it wanted.
class Sync : public AllowedIpsSync {
 public:
  using AllowedIpsSync::AllowedIpsSync;
  void want(const LearnedChange& change, TimePoint now) {
    const auto [it, is_new] = last_.try_emplace(change.prefix, remove(change.prefix));
    const auto before = it->second;
    it->second = change;
    AllowedIpsSync::want(before, change, now);
  }

 private:
  std::map<Prefix, LearnedChange> last_;
};

// A table as the engine has it, with what the contract of AllowedIpsSink promises to it.
class Table final : public AllowedIpsSink {
 public:
  void define_group(NextHopGroupId, std::span<const WeightedPeer>) override {}
  void drop_group(NextHopGroupId) override {}
  void for_each_learned(const std::function<void(const LearnedChange&)>&) override {}
  void apply(std::span<const LearnedChange> changes) override {
    ++batches;
    EXPECT_LE(changes.size(), kMaxBatch);
    EXPECT_FALSE(changes.empty());
    std::map<Prefix, int> seen;
    for (const auto& change : changes) {
      EXPECT_EQ(++seen[change.prefix], 1) << "a prefix stands twice in a batch";
      if (change.action == Action::kRemove) {
        EXPECT_EQ(entries.erase(change.prefix), 1U) << "a removal of what is not there";
      } else {
        const auto [it, is_new] = entries.try_emplace(change.prefix, change);
        EXPECT_TRUE(is_new || it->second != change) << "a change that changes nothing";
        it->second = change;
      }
      all.push_back(change);
    }
  }
  std::map<Prefix, LearnedChange> entries;
  std::vector<LearnedChange> all;
  int batches = 0;
};

TEST(AllowedIpsSync, GathersForTenMilliseconds) {
  Table table;
  Sync sync(table);
  const TimePoint start(1h);
  sync.want(to_peer(prefix("10.9.0.0/16"), 1), start - 1ms);
  sync.handle_expiry(start - 1ms);
  table.all.clear();
  table.batches = 0;
  EXPECT_EQ(sync.next_deadline(), kNever);
  sync.want(to_peer(prefix("10.1.0.0/16"), 1), start);
  sync.want(discard(prefix("10.2.0.0/16")), start + 8ms);
  EXPECT_EQ(sync.next_deadline(), start + 9ms);
  sync.handle_expiry(start + 8ms);
  EXPECT_TRUE(table.all.empty());
  sync.handle_expiry(start + 9ms);
  EXPECT_EQ(table.all, (std::vector{to_peer(prefix("10.1.0.0/16"), 1), discard(prefix("10.2.0.0/16"))}));
  EXPECT_EQ(table.batches, 1);
  EXPECT_EQ(sync.next_deadline(), kNever);
  EXPECT_EQ(sync.applied(), 3U);
}

TEST(AllowedIpsSync, WhatComesAfterQuietIsDueAtOnceUnlessItTakesAway) {
  Table table;
  Sync sync(table);
  const TimePoint start(1h);
  sync.want(to_peer(prefix("10.1.0.0/16"), 1), start);
  sync.want(to_peer(prefix("10.2.0.0/16"), 1), start);
  EXPECT_EQ(sync.next_deadline(), start);
  sync.handle_expiry(start);
  EXPECT_EQ(table.batches, 1);
  EXPECT_EQ(sync.applied(), 2U);

  sync.want(remove(prefix("10.1.0.0/16")), start + 1s);
  EXPECT_EQ(sync.next_deadline(), start + 1s + 10ms) << "it may come again, from another peer";
  sync.want(to_peer(prefix("10.1.0.0/16"), 2), start + 1s + 1ms);
  sync.handle_expiry(start + 1s + 10ms);
  EXPECT_EQ(table.all.back(), to_peer(prefix("10.1.0.0/16"), 2));
  EXPECT_EQ(table.all.size(), 3U) << "one change";
}

TEST(AllowedIpsSync, AMoveIsOneChange) {
  Table table;
  Sync sync(table);
  const auto p = prefix("10.1.0.0/16");
  sync.want(to_peer(p, 1), {});
  sync.flush();
  sync.want(remove(p), {});
  sync.want(to_peer(p, 2), {});
  sync.flush();
  EXPECT_EQ(table.all, (std::vector{to_peer(p, 1), to_peer(p, 2)}));
  sync.want(discard(p), {});
  sync.flush();
  EXPECT_EQ(table.all.back(), discard(p));
  EXPECT_EQ(sync.applied(), 1U);
}

TEST(AllowedIpsSync, WhatChangesBackIsNoChange) {
  Table table;
  Sync sync(table);
  const auto p = prefix("10.1.0.0/16");
  sync.want(to_peer(p, 1), {});
  sync.flush();
  sync.want(to_peer(p, 1), {});
  EXPECT_EQ(sync.next_deadline(), kNever);
  sync.want(remove(p), {});
  sync.want(to_peer(p, 1), {});
  sync.flush();
  sync.want(to_peer(prefix("10.2.0.0/16"), 1), {});
  sync.want(remove(prefix("10.2.0.0/16")), {});
  sync.want(remove(prefix("10.3.0.0/16")), {});
  sync.flush();
  EXPECT_EQ(table.batches, 1);
  EXPECT_EQ(table.all.size(), 1U);
}

TEST(AllowedIpsSync, ABatchFullDoesNotWait) {
  Table table;
  Sync sync(table);
  for (std::uint32_t i = 0; i < 5'000; ++i) {
    sync.want(to_peer(Prefix(IpAddress::v4(0x0a000000U + (i << 8)), 24), 1), {});
  }
  EXPECT_EQ(table.batches, 2);
  EXPECT_EQ(sync.waiting(), 1'000U);
  sync.flush();
  EXPECT_EQ(table.entries.size(), 5'000U);
}

TEST(AllowedIpsSync, AgreesWithANaiveModelOverRandomHistories) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto roll = [&](std::uint32_t sides) { return static_cast<std::uint32_t>(random() % sides); };
  for (int run = 0; run < 20; ++run) {
    Table table;
    Sync sync(table);
    std::map<Prefix, LearnedChange> model;
    TimePoint now(1h);
    for (int step = 0; step < 2'000; ++step) {
      const Prefix p(IpAddress::v4(0x0a000000U + (roll(40) << 16)), 8 + roll(3) * 8);
      const LearnedChange change = roll(3) == 0   ? remove(p)
                                   : roll(4) == 0 ? discard(p)
                                                  : to_peer(p, 1 + roll(3));
      if (change.action == Action::kRemove) {
        model.erase(p);
      } else {
        model[p] = change;
      }
      sync.want(change, now);
      now += std::chrono::milliseconds(roll(4));
      if (sync.next_deadline() <= now) {
        sync.handle_expiry(now);
        ASSERT_EQ(table.entries, model);
        ASSERT_EQ(sync.applied(), model.size());
      }
    }
    sync.flush();
    ASSERT_EQ(table.entries, model);
  }
}

}  // namespace
}  // namespace greywire::routing
