#include "router/wireguard/index_table.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "router/wireguard/peer_data.h"
#include "tests/sim/seed.h"

namespace greywire::wireguard {
namespace {

TEST(IndexTable, FindsWhatIsPublishedAndOnlyThat) {
  QuiescentDomain domain;
  IndexTable table(domain);
  test::SeededRandom random(test::draw_seed("FindsWhatIsPublishedAndOnlyThat"));
  PeerData peer{PeerId{3}};
  std::map<std::uint32_t, std::unique_ptr<Session>> sessions;
  for (int i = 0; i < 5000; ++i) {
    const std::uint32_t index = table.reserve(PeerId{static_cast<std::uint32_t>(i)}, random);
    ASSERT_FALSE(sessions.contains(index));
    EXPECT_EQ(table.find(index), nullptr) << "reserved is not published";
    PeerId owner;
    ASSERT_TRUE(table.owner_of(index, owner));
    EXPECT_EQ(owner.value, static_cast<std::uint32_t>(i));
    sessions[index] = std::make_unique<Session>(peer, TransportKeys{}, index, 0, true, TimePoint{});
    table.publish(sessions[index].get());
    if (i % 3 == 0) {
      const auto victim = sessions.begin();
      table.free(victim->first);
      table.free(victim->first);
      EXPECT_EQ(table.find(victim->first), nullptr);
      sessions.erase(victim);
    }
  }
  EXPECT_EQ(table.used(), sessions.size());
  for (const auto& [index, session] : sessions) {
    ASSERT_EQ(table.find(index), session.get());
    EXPECT_NE(table.find(index ^ 0x80000000U), session.get()) << "the whole index counts";
  }
}

TEST(IndexTable, GrowsWhileReadersLookUp) {
  QuiescentDomain domain;
  IndexTable table(domain);
  test::SeededRandom random(test::draw_seed("GrowsWhileReadersLookUp"));
  PeerData peer{PeerId{3}};
  Session fixed{peer, {}, table.reserve(PeerId{0}, random), 0, true, TimePoint{}};
  table.publish(&fixed);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> lookups{0};
  std::vector<std::thread> threads;
  std::vector<QuiescentDomain::Reader*> readers = {&domain.add_reader(), &domain.add_reader()};
  for (auto* reader : readers) {
    threads.emplace_back([&, reader] {
      while (!stop.load()) {
        reader->online();
        for (int i = 0; i < 64; ++i) {
          if (table.find(fixed.local_index) != &fixed) std::abort();
        }
        lookups.fetch_add(64);
        reader->quiescent();
      }
      reader->offline();
    });
  }
  std::vector<std::uint32_t> indices;
  for (int i = 0; i < 3000; ++i) {
    indices.push_back(table.reserve(PeerId{1}, random));
    if (i % 100 == 0) domain.reclaim();
  }
  while (lookups.load() < 1000) std::this_thread::yield();
  stop = true;
  for (auto& t : threads) t.join();
  for (const auto index : indices) table.free(index);
  EXPECT_EQ(table.used(), 1U);
  EXPECT_EQ(domain.reclaim(), 0U);
}

}  // namespace
}  // namespace greywire::wireguard
