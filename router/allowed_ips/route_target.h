// What a prefix of the allowed-IPs table leads to.
#pragma once

#include <compare>
#include <cstdint>

#include "router/base/ids.h"

namespace greywire {

// The number of a NextHopGroupId, or one of the two special values: NextHopGroupIds stay below them.
struct RouteTarget {
  std::uint32_t value = 0;

  static constexpr RouteTarget of(NextHopGroupId group) { return {group.value}; }
  constexpr NextHopGroupId group() const { return {value}; }  // meaningless for the special values
  friend constexpr auto operator<=>(RouteTarget, RouteTarget) = default;
};

inline constexpr RouteTarget kNone{0xffffffff};  // no prefix covers the address
inline constexpr RouteTarget kDiscard{
    0xfffffffe};  // routed but refused: drop, never fall through to a shorter prefix

}  // namespace greywire
