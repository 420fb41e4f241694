// Several peers that share the traffic to a prefix (equal-cost multipath): each flow keeps to one of them.
//
// A flow's hash picks one of 256 buckets, a bucket is a peer's. Buckets are given out by weighted rendezvous hashing
// (Thaler, Ravishankar 1998): when a peer leaves, only its own flows move, and when it comes back, only those go back.
//
// Values; pick() from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "router/base/ids.h"
#include "router/packet/ip_header.h"

namespace greywire {

class NextHopGroup {
 public:
  // `alive` are those of `members` that take traffic; where it is empty, all do: a dead peer is no worse than none.
  NextHopGroup(std::span<const WeightedPeer> members, std::span<const WeightedPeer> alive);

  PeerId pick(std::uint32_t flow_hash) const { return buckets_[flow_hash % kBuckets]; }
  // May this peer send from what the group leads to? Dead ones as well: they may be so in one direction only.
  bool contains(PeerId peer) const;

 private:
  static constexpr std::size_t kBuckets = 256;
  std::array<PeerId, kBuckets> buckets_;
  std::vector<PeerId> members_;
};

// Of source, destination, protocol and, where there are, ports: never of what differs between packets of one flow, so
// fragments go without ports. `packet` begins with the IP header that `info` describes.
std::uint32_t flow_hash(std::span<const std::uint8_t> packet, const IpPacketInfo& info);

}  // namespace greywire
