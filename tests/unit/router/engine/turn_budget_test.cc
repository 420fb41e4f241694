#include "router/engine/turn_budget.h"

#include <gtest/gtest.h>

#include <array>

namespace greywire::engine {
namespace {

constexpr int kBatch = 16;

// A socket in which something always waits: batches of messages that look like this.
struct Flood {
  std::uint32_t bytes;
  std::uint16_t segment;
  TurnBudget budget;
  std::int64_t got = 0;

  void turn(bool alone) {
    budget.begin(alone);
    while (budget.left()) {
      const std::int64_t cost = kBatch * TurnBudget::cost(bytes, segment);
      budget.spend(cost);
      got += cost;
    }
  }
};

TEST(TurnBudget, SharesByCostWhateverComesInABatch) {
  for (const auto& other : {Flood{1452, 0, {}}, Flood{96, 0, {}}, Flood{30000, 1452, {}}, Flood{9600, 96, {}}}) {
    std::array sockets{Flood{64000, 1452, {}}, other};
    for (int round = 0; round < 1000; ++round) {
      for (Flood& socket : sockets) socket.turn(false);
    }
    const double share = static_cast<double>(sockets[1].got) / static_cast<double>(sockets[0].got);
    EXPECT_NEAR(share, 1, 0.02) << other.bytes << " bytes in pieces of " << other.segment;
  }
}

TEST(TurnBudget, OwesNothingWhileAlone) {
  Flood socket{64000, 1452, {}};
  for (int round = 0; round < 3; ++round) {
    const auto before = socket.got;
    socket.turn(true);
    EXPECT_GT(socket.got, before);
  }
  // Another one comes: what was taken alone is not held against it for longer than a batch goes beyond a turn.
  int idle = 0;
  for (auto before = socket.got; socket.got == before; ++idle) socket.turn(false);
  EXPECT_LE(idle, 1 + kBatch * TurnBudget::cost(64000, 1452) / TurnBudget::kTurn);
}

TEST(TurnBudget, CountsEveryDatagramOfATrain) {
  EXPECT_EQ(TurnBudget::cost(1452, 0), 1452 + TurnBudget::kDatagramCost);
  EXPECT_EQ(TurnBudget::cost(1452 * 3 + 1, 1452), 1452 * 3 + 1 + 4 * TurnBudget::kDatagramCost);
  EXPECT_EQ(TurnBudget::cost(0, 0), TurnBudget::kDatagramCost);
}

}  // namespace
}  // namespace greywire::engine
