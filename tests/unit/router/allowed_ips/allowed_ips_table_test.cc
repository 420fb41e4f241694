#include "router/allowed_ips/allowed_ips_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "router/allowed_ips/prefix_set.h"

namespace greywire {
namespace {

IpAddress ip(const char* text) {
  return IpAddress::parse(text).value();
}
Prefix prefix(const char* text) {
  return Prefix::parse(text).value();
}
RouteTarget target(std::uint32_t value) {
  return {value};
}

RouteTarget look_up(const AllowedIpsTable& table, const IpAddress& address) {
  return table.root().load(std::memory_order_acquire)->lookup(address);
}

// The trivial reference: every prefix by its length, longest first.
class Reference {
 public:
  void apply(const AllowedIpsUpdate& update) {
    if (update.target == kNone)
      entries_.erase(update.prefix);
    else
      entries_[update.prefix] = update.target;
  }
  RouteTarget lookup(const IpAddress& address) const {
    for (unsigned length = address.bits() + 1; length > 0; --length) {
      const auto found = entries_.find(Prefix(address, length - 1));
      if (found != entries_.end()) return found->second;
    }
    return kNone;
  }
  const std::map<Prefix, RouteTarget>& entries() const { return entries_; }

 private:
  std::map<Prefix, RouteTarget> entries_;
};

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

  // `spread` bits of each byte vary: few of them make prefixes meet, nest and share chains.
  IpAddress address(bool v4, unsigned spread) {
    std::array<std::uint8_t, 16> bytes{};
    for (auto& byte : bytes)
      if (below(3) != 0) byte = static_cast<std::uint8_t>(random_() & ((1U << spread) - 1));
    return v4 ? IpAddress::v4(std::span(bytes).first<4>()) : IpAddress::v6(bytes);
  }
  Prefix prefix(unsigned spread) {
    const IpAddress a = address(below(2) == 0, spread);
    return Prefix(a, static_cast<unsigned>(below(a.bits() + 1)));
  }

 private:
  std::mt19937_64 random_;
};

void expect_same_entries(const AllowedIpsTable& table, const Reference& reference) {
  std::vector<std::pair<Prefix, RouteTarget>> walked;
  table.for_each([&](const Prefix& p, RouteTarget t) { walked.emplace_back(p, t); });
  const std::vector<std::pair<Prefix, RouteTarget>> expected(reference.entries().begin(),
                                                             reference.entries().end());
  ASSERT_EQ(walked.size(), expected.size());
  for (std::size_t i = 0; i < walked.size(); ++i) {
    ASSERT_EQ(walked[i].first, expected[i].first)
        << i << ": " << walked[i].first.to_string() << " for " << expected[i].first.to_string();
    ASSERT_EQ(walked[i].second, expected[i].second) << expected[i].first.to_string();
  }
  ASSERT_EQ(table.size(), expected.size());
}

TEST(AllowedIpsTable, EmptyMatchesNothing) {
  QuiescentDomain domain;
  const AllowedIpsTable table(domain);
  EXPECT_EQ(look_up(table, ip("192.0.2.1")), kNone);
  EXPECT_EQ(look_up(table, ip("2001:db8::1")), kNone);
  EXPECT_EQ(table.size(), 0U);
}

TEST(AllowedIpsTable, LongestMatchOfNestedPrefixes) {
  QuiescentDomain domain;
  AllowedIpsTable table(domain);
  const AllowedIpsUpdate updates[] = {{prefix("0.0.0.0/0"), target(1)},
                                      {prefix("10.0.0.0/8"), target(2)},
                                      {prefix("10.1.0.0/16"), target(3)},
                                      {prefix("10.1.2.0/23"), target(4)},
                                      {prefix("10.1.2.3/32"), target(5)},
                                      {prefix("10.1.2.2/31"), kDiscard},
                                      {prefix("::/0"), target(6)},
                                      {prefix("2001:db8::/32"), target(7)},
                                      {prefix("2001:db8:0:1::/64"), target(8)},
                                      {prefix("2001:db8:0:1::5/128"), target(9)},
                                      {prefix("2001:db8:0:1::4/127"), kDiscard}};
  table.apply(updates);
  const struct {
    const char* address;
    RouteTarget expected;
  } cases[] = {{"192.0.2.1", target(1)},
               {"10.2.0.0", target(2)},
               {"10.255.255.255", target(2)},
               {"11.0.0.0", target(1)},
               {"10.1.255.255", target(3)},
               {"10.1.2.0", target(4)},
               {"10.1.3.255", target(4)},
               {"10.1.4.0", target(3)},
               {"10.1.2.3", target(5)},
               {"10.1.2.2", kDiscard},
               {"255.255.255.255", target(1)},
               {"0.0.0.0", target(1)},
               {"::", target(6)},
               {"2001:db8::1", target(7)},
               {"2001:db9::1", target(6)},
               {"2001:db8:0:1::6", target(8)},
               {"2001:db8:0:1::5", target(9)},
               {"2001:db8:0:1::4", kDiscard},
               {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", target(6)}};
  for (const auto& c : cases) EXPECT_EQ(look_up(table, ip(c.address)), c.expected) << c.address;
  for (const auto& update : updates)
    EXPECT_EQ(table.exact(update.prefix), update.target) << update.prefix.to_string();
  EXPECT_EQ(table.exact(prefix("10.0.0.0/9")), kNone);
  EXPECT_EQ(table.exact(prefix("10.0.0.0/7")), kNone);
  EXPECT_EQ(table.exact(prefix("2001:db8:0:1::5/126")), kNone);
  EXPECT_EQ(table.size(), std::size(updates));
}

TEST(AllowedIpsTable, RemovalUncoversTheShorterPrefix) {
  QuiescentDomain domain;
  AllowedIpsTable table(domain);
  table.apply(
      std::vector<AllowedIpsUpdate>{{prefix("10.0.0.0/8"), target(1)}, {prefix("10.1.2.3/32"), target(2)}});
  table.apply(std::vector<AllowedIpsUpdate>{{prefix("10.1.2.3/32"), kNone}});
  EXPECT_EQ(look_up(table, ip("10.1.2.3")), target(1));
  table.apply(std::vector<AllowedIpsUpdate>{{prefix("10.0.0.0/8"), kNone}});
  EXPECT_EQ(look_up(table, ip("10.1.2.3")), kNone);
  EXPECT_EQ(table.size(), 0U);
}

TEST(AllowedIpsTable, EveryLengthAloneAndTogether) {
  for (const char* text : {"170.170.170.170", "255.255.255.255", "2001:db8:1234:5678:9abc:def0:aaaa:5555",
                           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::1", "0.0.0.1"}) {
    const IpAddress address = ip(text);
    QuiescentDomain domain;
    AllowedIpsTable all(domain);
    for (unsigned length = 0; length <= address.bits(); ++length) {
      const AllowedIpsUpdate update[] = {{Prefix(address, length), target(length)}};
      AllowedIpsTable one(domain);
      one.apply(update);
      EXPECT_EQ(look_up(one, address), target(length)) << length;
      if (length != 0) {  // the last bit of the prefix turned round
        std::array<std::uint8_t, 16> bytes{};
        std::copy(address.bytes().begin(), address.bytes().end(), bytes.begin());
        bytes[(length - 1) / 8] =
            static_cast<std::uint8_t>(bytes[(length - 1) / 8] ^ 0x80U >> (length - 1) % 8);
        const IpAddress outside =
            address.is_v4() ? IpAddress::v4(std::span(bytes).first<4>()) : IpAddress::v6(bytes);
        EXPECT_EQ(look_up(one, outside), kNone) << length;
      }
      all.apply(update);
      EXPECT_EQ(look_up(all, address), target(length)) << length;
    }
    for (unsigned length = address.bits(); length > 0; --length) {
      all.apply(std::vector<AllowedIpsUpdate>{{Prefix(address, length), kNone}});
      EXPECT_EQ(look_up(all, address), target(length - 1)) << length;
    }
  }
}

TEST(AllowedIpsTable, NothingIsPublishedWhenNothingChanges) {
  QuiescentDomain domain;
  AllowedIpsTable table(domain);
  const AllowedIpsUpdate updates[] = {{prefix("10.0.0.0/8"), target(1)}, {prefix("fd00::/8"), target(2)}};
  table.apply(updates);
  const AllowedIpsRoot* root = table.root().load();
  table.apply(updates);
  table.apply(std::vector<AllowedIpsUpdate>{{prefix("192.0.2.0/24"), kNone}, {prefix("10.0.0.0/9"), kNone}});
  table.apply({});
  EXPECT_EQ(table.root().load(), root);
  // The last update of a prefix wins, within a batch too.
  table.apply(std::vector<AllowedIpsUpdate>{
      {prefix("10.0.0.0/8"), target(5)}, {prefix("10.0.0.0/8"), kNone}, {prefix("10.0.0.0/8"), target(6)}});
  EXPECT_EQ(table.exact(prefix("10.0.0.0/8")), target(6));
  EXPECT_EQ(table.size(), 2U);
}

TEST(AllowedIpsTable, APublishedRootNeverChanges) {
  QuiescentDomain domain;
  auto& reader = domain.add_reader();
  AllowedIpsTable table(domain);
  table.apply(
      std::vector<AllowedIpsUpdate>{{prefix("10.0.0.0/8"), target(1)}, {prefix("10.1.0.0/16"), target(2)}});
  reader.online();
  const AllowedIpsRoot* old = table.root().load(std::memory_order_acquire);
  for (std::uint32_t i = 0; i < 200; ++i)
    table.apply(std::vector<AllowedIpsUpdate>{
        {Prefix(IpAddress::v4(0x0a010000 + i * 77), 24 + i % 9), target(i + 10)},
        {prefix("10.1.0.0/16"), i % 2 == 0 ? kNone : target(i)}});
  EXPECT_EQ(old->lookup(ip("10.1.2.3")), target(2));
  EXPECT_EQ(old->lookup(ip("10.2.2.3")), target(1));
  EXPECT_GT(domain.reclaim(), 0U);
  reader.quiescent();
  EXPECT_EQ(domain.reclaim(), 0U);
}

class RandomOperations : public ::testing::TestWithParam<unsigned> {};

TEST_P(RandomOperations, AgreeWithTheReference) {
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed) + ", spread " + std::to_string(GetParam()));
  Generator generate(seed);
  QuiescentDomain domain;
  AllowedIpsTable table(domain);
  Reference reference;
  std::size_t operations = 0;
  while (operations < 10'000) {
    std::vector<AllowedIpsUpdate> batch;
    const std::size_t count = generate.below(30);
    const bool removing = generate.below(3) == 0;
    for (std::size_t i = 0; i < count; ++i) {
      AllowedIpsUpdate update{generate.prefix(GetParam()), kNone};
      if (removing && !reference.entries().empty()) {
        auto entry = reference.entries().lower_bound(update.prefix);
        if (entry == reference.entries().end()) entry = reference.entries().begin();
        update.prefix = entry->first;
      } else {
        update.target =
            generate.below(10) == 0 ? kDiscard : target(static_cast<std::uint32_t>(generate.below(1000)));
      }
      batch.push_back(update);
      reference.apply(update);
    }
    operations += count;
    table.apply(batch);
    std::vector<IpAddress> addresses;
    for (int i = 0; i < 30; ++i) {
      addresses.push_back(generate.address(generate.below(2) == 0, GetParam()));
      ASSERT_EQ(look_up(table, addresses.back()), reference.lookup(addresses.back())) << addresses.back().to_string();
    }
    for (const Family family : {Family::kV4, Family::kV6}) {
      std::vector<const std::uint8_t*> bytes;
      std::vector<RouteTarget> found(AllowedIpsRoot::kMaxBatch), expected;
      for (const auto& address : addresses) {
        if (address.family() != family) continue;
        bytes.push_back(address.data());
        expected.push_back(reference.lookup(address));
      }
      table.root().load()->lookup_batch(bytes, family, found.data());
      found.resize(bytes.size());
      ASSERT_EQ(found, expected) << "in a batch";
    }
    for (const auto& update : batch) {
      const auto entry = reference.entries().find(update.prefix);
      ASSERT_EQ(table.exact(update.prefix), entry == reference.entries().end() ? kNone : entry->second);
      ASSERT_EQ(look_up(table, update.prefix.address()), reference.lookup(update.prefix.address()));
    }
  }
  expect_same_entries(table, reference);
  // Everything away again: the trie folds up to its empty roots.
  std::vector<AllowedIpsUpdate> rest;
  for (const auto& entry : reference.entries()) rest.push_back({entry.first, kNone});
  const std::size_t memory = table.memory_bytes();
  table.apply(rest);
  expect_same_entries(table, Reference());
  for (int i = 0; i < 5; ++i) {
    for (auto& update : rest) update.target = target(3);
    table.apply(rest);
    for (auto& update : rest) update.target = kNone;
    table.apply(rest);
  }
  EXPECT_LE(table.memory_bytes(), 4 * memory + 65'536) << "freed blocks are not used again";
}

INSTANTIATE_TEST_SUITE_P(Spread, RandomOperations, ::testing::Values(1U, 2U, 4U, 8U));

// A worker looks up while the owner changes the table. Two prefixes always change together, in one batch: a
// worker that sees one without the other has seen a root half made.
TEST(AllowedIpsTable, AReaderSeesWholeBatchesOnly) {
  QuiescentDomain domain;
  auto& reader = domain.add_reader();
  AllowedIpsTable table(domain);
  const Prefix a = prefix("10.1.2.0/24");
  const Prefix b = prefix("2001:db8:1:2::/64");
  table.apply(std::vector<AllowedIpsUpdate>{{a, target(0)}, {b, target(0)}});
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> torn = 0;
  std::atomic<std::uint64_t> rounds = 0;
  std::thread worker([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      reader.online();
      const AllowedIpsRoot* root = table.root().load(std::memory_order_acquire);
      for (int i = 0; i < 16; ++i)
        if (root->lookup(ip("10.1.2.9")) != root->lookup(ip("2001:db8:1:2::9"))) torn.fetch_add(1);
      rounds.fetch_add(1, std::memory_order_relaxed);
      if (rounds.load(std::memory_order_relaxed) % 64 == 0) reader.offline();
    }
    reader.offline();
  });
  Generator generate(7);
  std::uint32_t value = 1;
  while (value < 3000 || rounds.load(std::memory_order_relaxed) < 200) {
    std::vector<AllowedIpsUpdate> batch = {{a, target(value)}, {b, target(value)}};
    for (int i = 0; i < 8; ++i) {
      const IpAddress noise = generate.address(generate.below(2) == 0, 3);
      batch.push_back({Prefix(noise, noise.bits()), generate.below(2) == 0 ? kNone : target(value)});
    }
    table.apply(batch);
    ++value;
  }
  stop = true;
  worker.join();
  EXPECT_EQ(torn.load(), 0U);
  EXPECT_EQ(domain.reclaim(), 0U);
}

TEST(PrefixSet, CoversWhatItsPrefixesCover) {
  const std::vector<Prefix> prefixes = {prefix("10.2.0.0/16"), prefix("10.2.3.0/24"), prefix("10.255.0.2/32"),
                                        prefix("fd00:2::/48"), prefix("fd00:255::2/128")};
  const PrefixSet set(prefixes);
  const struct {
    const char* address;
    bool covered;
  } cases[] = {{"10.1.255.255", false},    {"10.2.0.0", true},    {"10.2.3.4", true},
               {"10.2.255.255", true},     {"10.3.0.0", false},   {"10.255.0.2", true},
               {"10.255.0.3", false},      {"10.255.0.1", false}, {"fd00:2::", true},
               {"fd00:2:0:ffff::1", true}, {"fd00:2:1::", false}, {"fd00:255::2", true},
               {"fd00:255::3", false},     {"::", false},         {"0.0.0.0", false},
               {"255.255.255.255", false}};
  for (const auto& c : cases) EXPECT_EQ(set.contains(ip(c.address)), c.covered) << c.address;
  EXPECT_TRUE(PrefixSet().empty());
  EXPECT_FALSE(PrefixSet().contains(ip("10.0.0.1")));
  const PrefixSet everything(std::vector<Prefix>{prefix("0.0.0.0/0"), prefix("::/0"), prefix("10.0.0.0/8")});
  for (const auto& c : cases) EXPECT_TRUE(everything.contains(ip(c.address))) << c.address;
}

TEST(PrefixSet, RandomSetsAgreeWithTheReference) {
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Generator generate(seed);
  for (int round = 0; round < 200; ++round) {
    std::vector<Prefix> prefixes;
    Reference reference;
    for (std::uint64_t i = generate.below(20); i > 0; --i) {
      Prefix p = generate.prefix(2);
      if (p.length() < 4) continue;
      prefixes.push_back(p);
      reference.apply({p, target(1)});
    }
    const PrefixSet set(prefixes);
    for (int i = 0; i < 100; ++i) {
      const IpAddress address = generate.address(generate.below(2) == 0, 2);
      ASSERT_EQ(set.contains(address), reference.lookup(address) != kNone) << address.to_string();
    }
  }
}

}  // namespace
}  // namespace greywire
