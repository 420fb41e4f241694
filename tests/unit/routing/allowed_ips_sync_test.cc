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

// A table as the engine has it, with what the contract of AllowedIpsSink promises to it.
class Table final : public AllowedIpsSink {
 public:
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
  std::vector<LearnedChange> content() const {
    std::vector<LearnedChange> out;
    for (const auto& [p, change] : entries) out.push_back(change);
    return out;
  }

  std::map<Prefix, LearnedChange> entries;
  std::vector<LearnedChange> all;
  int batches = 0;
};

TEST(AllowedIpsSync, GathersForTenMilliseconds) {
  Table table;
  AllowedIpsSync sync(table);
  const TimePoint start(1h);
  EXPECT_EQ(sync.next_deadline(), kNever);
  sync.want(to_peer(prefix("10.1.0.0/16"), 1), start);
  sync.want(discard(prefix("10.2.0.0/16")), start + 9ms);
  EXPECT_EQ(sync.next_deadline(), start + 10ms);
  sync.handle_expiry(start + 9ms);
  EXPECT_TRUE(table.all.empty());
  sync.handle_expiry(start + 10ms);
  EXPECT_EQ(table.all, (std::vector{to_peer(prefix("10.1.0.0/16"), 1), discard(prefix("10.2.0.0/16"))}));
  EXPECT_EQ(table.batches, 1);
  EXPECT_EQ(sync.next_deadline(), kNever);
  EXPECT_EQ(sync.applied(), 2U);
}

TEST(AllowedIpsSync, AMoveIsOneChange) {
  Table table;
  AllowedIpsSync sync(table);
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
  AllowedIpsSync sync(table);
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

TEST(AllowedIpsSync, TenThousandDoNotWait) {
  Table table;
  AllowedIpsSync sync(table);
  for (std::uint32_t i = 0; i < 25'000; ++i) {
    sync.want(to_peer(Prefix(IpAddress::v4(0x0a000000U + (i << 8)), 24), 1), {});
  }
  EXPECT_EQ(table.batches, 2);
  EXPECT_EQ(sync.waiting(), 5'000U);
  sync.flush();
  EXPECT_EQ(table.entries.size(), 25'000U);
}

TEST(AllowedIpsSync, AuditFindsEveryKindOfDifference) {
  Table table;
  AllowedIpsSync sync(table);
  const auto a = prefix("10.1.0.0/16");
  const auto b = prefix("10.2.0.0/16");
  const auto c = prefix("10.3.0.0/16");
  for (const auto& p : {a, b, c}) sync.want(to_peer(p, 1), {});
  sync.flush();
  EXPECT_TRUE(sync.audit(table.content()).empty());

  table.entries.erase(a);
  table.entries[b] = discard(b);
  table.entries[prefix("10.9.0.0/16")] = to_peer(prefix("10.9.0.0/16"), 3);
  sync.want(to_peer(prefix("10.4.0.0/16"), 1), {});  // not applied yet: no difference
  auto repairs = sync.audit(table.content());
  EXPECT_EQ(repairs.size(), 3U);
  table.apply(repairs);
  EXPECT_TRUE(sync.audit(table.content()).empty());
  sync.flush();
  EXPECT_TRUE(sync.audit(table.content()).empty());
  EXPECT_EQ(table.entries.size(), 4U);
}

TEST(AllowedIpsSync, AgreesWithANaiveModelOverRandomHistories) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto roll = [&](std::uint32_t sides) { return static_cast<std::uint32_t>(random() % sides); };
  for (int run = 0; run < 20; ++run) {
    Table table;
    AllowedIpsSync sync(table);
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
    ASSERT_TRUE(sync.audit(table.content()).empty());
  }
}

}  // namespace
}  // namespace greywire::routing
