#include "router/forwarder/next_hop_group.h"

#include <algorithm>
#include <cmath>

#include "router/base/byte_order.h"

namespace greywire {
namespace {

// The finalizer of MurmurHash3.
constexpr std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ x >> 33;
}

// -weight / ln(u), u uniform in (0, 1): the peer with the greatest score has the bucket with a probability that is its
// share of the weights.
double score(std::size_t bucket, const WeightedPeer& member) {
  const std::uint64_t bits = mix(mix(member.peer.value + 1) ^ bucket * 0x9e3779b97f4a7c15ULL) >> 11;
  const double u = (static_cast<double>(bits) + 0.5) / 9007199254740992.0;  // 2^53
  return -static_cast<double>(std::max(member.weight, 1U)) / std::log(u);
}

}  // namespace

NextHopGroup::NextHopGroup(std::span<const WeightedPeer> members, std::span<const WeightedPeer> alive) {
  for (const WeightedPeer& member : members) members_.push_back(member.peer);
  const auto candidates = alive.empty() ? members : alive;
  if (candidates.empty()) return;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    double best = -1;
    for (const WeightedPeer& member : candidates) {
      const double s = score(bucket, member);
      if (s <= best) continue;
      best = s;
      buckets_[bucket] = member.peer;
    }
  }
}

bool NextHopGroup::contains(PeerId peer) const {
  return std::find(members_.begin(), members_.end(), peer) != members_.end();
}

std::uint32_t flow_hash(std::span<const std::uint8_t> packet, const IpPacketInfo& info) {
  std::uint64_t h = info.protocol;
  const bool v4 = info.family == Family::kV4;
  const std::uint8_t* addresses = packet.data() + (v4 ? 12 : 8);  // source, then destination
  for (std::size_t i = 0; i < (v4 ? 8U : 32U); i += 8) h = mix(h ^ load_be64(addresses + i));
  const bool has_ports = (info.protocol == kProtocolTcp || info.protocol == kProtocolUdp) && !info.is_fragment &&
                         packet.size() >= info.header_size + 4U;
  if (has_ports) h = mix(h ^ load_be32(packet.data() + info.header_size));
  return static_cast<std::uint32_t>(h ^ h >> 32);
}

}  // namespace greywire
