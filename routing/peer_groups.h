// Sets of peers over which prefixes are spread: each distinct set has a number, counted by the routes that use it. One peer
// alone has its own number and is not kept here.
//
// A set whose last route has gone is given out by take_unused(), for the engine to forget once no prefix leads there. Control
// thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <unordered_map>
#include <vector>

#include "router/base/ids.h"

namespace greywire::routing {

class PeerGroups {
 public:
  // Beyond so many sets, which a peer could make up at will, a prefix goes to the first peer alone.
  static constexpr std::size_t kMaxGroups = 4096;

  // Sorted by peer, none twice, not empty.
  NextHopGroupId intern(std::span<const WeightedPeer> members);
  // A route uses the group, or does no more.
  void add(NextHopGroupId group);
  void remove(NextHopGroupId group);

  // Those that intern() made since the last call.
  std::vector<NextHopGroupId> take_new();
  std::vector<NextHopGroupId> take_unused();

  // The members; of a single peer's number that peer. Valid until take_unused(), and until the next call for a single one.
  std::span<const WeightedPeer> members(NextHopGroupId group) const;

 private:
  struct Group {
    std::vector<WeightedPeer> members;
    std::size_t routes = 0;
  };
  std::map<std::vector<WeightedPeer>, NextHopGroupId> numbers_;
  std::unordered_map<NextHopGroupId, Group> groups_;
  std::vector<NextHopGroupId> new_;
  std::vector<NextHopGroupId> empty_;  // had no route at some time since take_unused()
  std::uint32_t next_ = NextHopGroupId::kFirstShared;
  mutable WeightedPeer single_;
};

}  // namespace greywire::routing
