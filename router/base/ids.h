// Small integers that must not be mixed up.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace greywire {

template <class Tag>
struct StrongId {
  std::uint32_t value = 0;
  friend constexpr auto operator<=>(StrongId, StrongId) = default;
};

using PeerId = StrongId<struct PeerIdTag>;      // a WireGuard peer; never used again within a process
using LinkId = StrongId<struct LinkIdTag>;      // a TUN/TAP device of ours: gw0 is 0
using TunnelId = StrongId<struct TunnelIdTag>;  // a GRE or GRETAP tunnel
// What an allowed-IPs leaf holds: a set of peers over which a prefix is spread. A group with one peer has that peer's number;
// the others are numbered from kFirstShared on, and no number is used again within a process.
struct NextHopGroupId {
  static constexpr std::uint32_t kFirstShared = 0x80000000;
  std::uint32_t value = 0;

  constexpr bool is_shared() const { return value >= kFirstShared; }
  friend constexpr auto operator<=>(NextHopGroupId, NextHopGroupId) = default;
};

// Where a peer, a prefix or a link came from. A reload or `wg syncconf` touches only its own.
enum class Origin : std::uint8_t { kConfig = 1, kWg = 2, kLearned = 4 };

// One of several peers over which a prefix is spread; the weight is relative to the others'.
struct WeightedPeer {
  PeerId peer;
  std::uint32_t weight = 1;
  friend constexpr auto operator<=>(const WeightedPeer&, const WeightedPeer&) = default;
};

// A length in bytes of a packet at the layer that the name beside it says.
struct Mtu {
  std::uint32_t bytes = 0;
  friend constexpr auto operator<=>(Mtu, Mtu) = default;
};

}  // namespace greywire

template <>
struct std::hash<greywire::NextHopGroupId> {
  std::size_t operator()(greywire::NextHopGroupId id) const noexcept { return std::hash<std::uint32_t>{}(id.value); }
};
template <class Tag>
struct std::hash<greywire::StrongId<Tag>> {
  std::size_t operator()(greywire::StrongId<Tag> id) const noexcept { return std::hash<std::uint32_t>{}(id.value); }
};
