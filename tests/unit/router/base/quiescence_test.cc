#include "router/base/quiescence.h"

#include <gtest/gtest.h>

#include <thread>

#include "router/base/byte_order.h"
#include "router/base/drop_reason.h"
#include "router/base/spin_lock.h"

#include <set>

namespace greywire {
namespace {

TEST(QuiescentDomain, FreesAtOnceWithoutReaders) {
  QuiescentDomain domain;
  int freed = 0;
  domain.retire([&] { ++freed; });
  EXPECT_EQ(freed, 1);
}

TEST(QuiescentDomain, WaitsForEveryReaderOnline) {
  QuiescentDomain domain;
  auto& one = domain.add_reader();
  auto& two = domain.add_reader();
  int freed = 0;
  one.online();
  two.online();
  domain.retire([&] { ++freed; });
  one.quiescent();
  EXPECT_EQ(domain.reclaim(), 1U);
  EXPECT_EQ(freed, 0);
  two.offline();
  EXPECT_EQ(domain.reclaim(), 0U) << "asleep is quiescent";
  EXPECT_EQ(freed, 1);
  two.online();
  domain.retire([&] { ++freed; });
  one.offline();
  EXPECT_EQ(domain.reclaim(), 1U);
  two.quiescent();
  domain.retire([&] { ++freed; });
  EXPECT_EQ(freed, 2) << "the older one is free, the newer is not";
  two.quiescent();
  EXPECT_EQ(domain.reclaim(), 0U);
  EXPECT_EQ(freed, 3);
}

TEST(QuiescentDomain, AnObjectThatRetiresAnotherIsFine) {
  int freed = 0;
  {
    QuiescentDomain domain;
    auto& reader = domain.add_reader();
    reader.online();
    domain.retire([&] { domain.retire([&] { ++freed; }); });
    reader.quiescent();
    EXPECT_LE(domain.reclaim(), 1U);
    reader.quiescent();
    EXPECT_EQ(domain.reclaim(), 0U);
    EXPECT_EQ(freed, 1);
    domain.retire([&] { ++freed; });
  }
  EXPECT_EQ(freed, 2) << "the end of the domain frees all";
}

// A reader that follows a published pointer never finds it freed.
TEST(QuiescentDomain, ReadersAndOwnerTogether) {
  QuiescentDomain domain;
  struct Value {
    explicit Value(int n) : a(n), b(n) {}
    ~Value() { a = b = -1; }
    int a, b;
  };
  std::atomic<Value*> published{new Value(0)};
  std::atomic<bool> stop{false};
  std::atomic<int> bad{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    auto& reader = domain.add_reader();
    threads.emplace_back([&, r = &reader] {
      unsigned n = 0;
      while (!stop.load()) {
        r->online();
        for (int k = 0; k < 10; ++k) {
          const Value* v = published.load(std::memory_order_seq_cst);
          if (v->a != v->b || v->a < 0) bad.fetch_add(1);
        }
        if (++n % 3 == 0) r->offline();
      }
      r->offline();
    });
  }
  for (int i = 1; i < 20000; ++i) {
    Value* old = published.exchange(new Value(i), std::memory_order_seq_cst);
    domain.retire([old] { delete old; });
  }
  stop = true;
  for (auto& t : threads) t.join();
  EXPECT_EQ(bad.load(), 0);
  EXPECT_EQ(domain.reclaim(), 0U);
  delete published.load();
}

TEST(SpinLock, ExcludesOthers) {
  SpinLock lock;
  int count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 5000; ++k) {
        lock.lock();
        ++count;
        lock.unlock();
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(count, 10000);
  EXPECT_TRUE(lock.try_lock());
  EXPECT_FALSE(lock.try_lock());
  lock.unlock();
}

TEST(ByteOrder, LoadsAndStoresAtAnyAlignment) {
  std::uint8_t b[16] = {};
  for (std::size_t at = 0; at < 8; ++at) {
    store_be64(b + at, 0x0102030405060708ULL);
    EXPECT_EQ(b[at], 1);
    EXPECT_EQ(load_be64(b + at), 0x0102030405060708ULL);
    EXPECT_EQ(load_le64(b + at), 0x0807060504030201ULL);
    EXPECT_EQ(load_be32(b + at), 0x01020304U);
    EXPECT_EQ(load_le16(b + at), 0x0201U);
    store_le32(b + at, 0x0a0b0c0dU);
    EXPECT_EQ(b[at], 0x0d);
    store_be16(b + at, 0x0a0bU);
    EXPECT_EQ(load_be16(b + at), 0x0a0b);
  }
}

TEST(DropReasons, EachHasItsOwnNameAndMeaning) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    const auto reason = static_cast<DropReason>(i);
    EXPECT_TRUE(names.insert(drop_reason_name(reason)).second);
    EXPECT_EQ(drop_reason_name(reason).find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"),
              std::string_view::npos);
    EXPECT_GT(drop_reason_meaning(reason).size(), 10U);
  }
  EXPECT_EQ(drop_reason_name(DropReason::kBadTag), "bad_tag");
  DropCounters counters;
  counters.count(DropReason::kBadTag);
  counters.count(DropReason::kBadTag, 4);
  EXPECT_EQ(counters.get(DropReason::kBadTag), 5U);
  EXPECT_EQ(counters.get(DropReason::kReplay), 0U);
}

}  // namespace
}  // namespace greywire
