// Sets of next hops, each kept once however many routes have it: a full table has some hundred. Control thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "routing/route.h"

namespace greywire::routing {

// Valid as long as a route has the set.
struct NextHopSetId {
  std::uint32_t value = 0;  // 0: none
  friend bool operator==(NextHopSetId, NextHopSetId) = default;
};

class NextHopSets {
 public:
  // Counts one more route. The order of the next hops does not matter; it may be changed.
  NextHopSetId acquire(std::vector<NextHop>& next_hops);
  void release(NextHopSetId set);
  std::span<const NextHop> operator[](NextHopSetId set) const { return *sets_[set.value].next_hops; }
  std::size_t size() const { return numbers_.size(); }

 private:
  struct Hash {
    std::size_t operator()(const std::vector<NextHop>& next_hops) const noexcept;
  };
  struct Set {
    const std::vector<NextHop>* next_hops = nullptr;  // a key of numbers_
    std::size_t routes = 0;
  };
  std::unordered_map<std::vector<NextHop>, std::uint32_t, Hash> numbers_;
  std::vector<Set> sets_{Set{}};
  std::vector<std::uint32_t> free_;
  std::uint32_t last_ = 0;  // asked for last: most likely the next one, too
};

}  // namespace greywire::routing
