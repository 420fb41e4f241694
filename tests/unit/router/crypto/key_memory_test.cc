#include "router/crypto/key_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <thread>

#include "router/crypto/keys.h"

namespace greywire {
namespace {

struct TwoKeys {
  SymmetricKey sending;
  SymmetricKey receiving;
};

bool all_zero(const void* slot, std::size_t size) {
  return constant_time_is_zero({static_cast<const std::uint8_t*>(slot), size});
}

TEST(KeyMemory, SlotsAreZeroedAlignedAndDistinct) {
  KeyMemory memory(60);
  EXPECT_EQ(memory.slot_bytes(), 64U);
  EXPECT_EQ(memory.memory_bytes(), 0U);
  std::set<void*> slots;
  for (int i = 0; i < 3000; ++i) {
    void* slot = memory.allocate();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(slot) % KeyMemory::kSlotAlignment, 0U);
    EXPECT_TRUE(all_zero(slot, memory.slot_bytes()));
    std::memset(slot, 0xaa, memory.slot_bytes());
    EXPECT_TRUE(slots.insert(slot).second);
  }
  EXPECT_EQ(memory.in_use(), 3000U);
  EXPECT_EQ(memory.memory_bytes(), 3 * KeyMemory::kSlabBytes);
  for (void* slot : slots) memory.free(slot);
  EXPECT_EQ(memory.in_use(), 0U);
  void* again = memory.allocate();
  EXPECT_TRUE(slots.contains(again));
  EXPECT_TRUE(all_zero(again, memory.slot_bytes()));
  memory.free(again);
  memory.free(nullptr);
  EXPECT_EQ(memory.memory_bytes(), 3 * KeyMemory::kSlabBytes);
}

TEST(KeyMemory, FreeWipesAtOnce) {
  KeyMemory memory(64);
  auto keys = memory.make<TwoKeys>();
  keys->sending.writable_bytes()[0] = 1;
  const void* slot = keys.get();
  EXPECT_FALSE(all_zero(slot, 64));
  keys.reset();
  EXPECT_TRUE(all_zero(slot, 64));  // the slab is still mapped
}

TEST(KeyMemory, HundredThousandSessions) {
  KeyMemory memory(sizeof(TwoKeys));
  std::vector<KeyMemory::Ptr<TwoKeys>> sessions;
  for (int i = 0; i < 100'000; ++i) sessions.push_back(memory.make<TwoKeys>());
  EXPECT_EQ(memory.in_use(), 100'000U);
  EXPECT_LE(memory.memory_bytes(), 100'000 * sizeof(TwoKeys) + KeyMemory::kSlabBytes);
  sessions.clear();
  EXPECT_EQ(memory.in_use(), 0U);
}

TEST(KeyMemory, AConstructorThatThrowsGivesTheSlotBack) {
  struct Throws {
    Throws() { throw std::runtime_error("no"); }
  };
  KeyMemory memory(64);
  EXPECT_THROW(memory.make<Throws>(), std::runtime_error);
  EXPECT_EQ(memory.in_use(), 0U);
  struct Large {
    std::array<std::uint8_t, 65> bytes;
  };
  EXPECT_THROW(memory.make<Large>(), std::bad_alloc);
  EXPECT_THROW(KeyMemory(KeyMemory::kSlabBytes + 1), std::bad_alloc);
}

// Runs in a child: the limit, and the right to be above it, are given up for good.
TEST(KeyMemoryDeathTest, WithoutTheRightToLockItStillServes) {
  const auto child = [] {
    const rlimit none = {0, 0};
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0) std::_Exit(1);
    KeyMemory memory(64);
    auto keys = memory.make<TwoKeys>();
    // A process with CAP_IPC_LOCK may lock whatever the limit says.
    const bool right = mlock(keys.get(), 64) == 0;
    std::_Exit(keys->sending.is_zero() && memory.locked() == right ? 42 : 2);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(42), "");
}

TEST(KeyMemory, ManyThreads) {
  KeyMemory memory(64);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&memory] {
      std::vector<KeyMemory::Ptr<TwoKeys>> mine;
      for (int i = 0; i < 5000; ++i) {
        mine.push_back(memory.make<TwoKeys>());
        mine.back()->sending.writable_bytes()[5] = 7;
        if (i % 3 == 0) mine.erase(mine.begin() + i % static_cast<int>(mine.size()));
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(memory.in_use(), 0U);
}

}  // namespace
}  // namespace greywire
