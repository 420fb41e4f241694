// Whose turn a worker's time is: deficit round robin (Shreedhar and Varghese, 1995) over the sockets in which data waits. One
// thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace greywire::engine {

class TurnBudget {
 public:
  static constexpr std::int64_t kTurn = 256 << 10;      // of cost; a batch that goes beyond is owed
  static constexpr std::int64_t kDatagramCost = 512;    // what a datagram costs beside its bytes

  // What one datagram, or a train of them as UDP_GRO makes it (`segment` bytes each; 0: one), costs.
  static std::int64_t cost(std::uint32_t bytes, std::uint16_t segment) {
    const std::int64_t datagrams = segment == 0 ? 1 : (bytes + segment - 1) / segment;
    return static_cast<std::int64_t>(bytes) + datagrams * kDatagramCost;
  }

  // Before each turn. `alone`: nobody else waits, so nothing is owed to anybody.
  void begin(bool alone) { credit_ = alone ? kTurn : std::min(credit_ + kTurn, kTurn); }
  // False ends the turn, also one that has just begun.
  bool left() const { return credit_ > 0; }
  void spend(std::int64_t cost) { credit_ -= cost; }

 private:
  std::int64_t credit_ = 0;
};

}  // namespace greywire::engine
