#include "router/forwarder/next_hop_group.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "tests/unit/router/packet/packets.h"

namespace greywire {
namespace {

constexpr WeightedPeer kA{PeerId{1}, 1}, kB{PeerId{2}, 1}, kC{PeerId{3}, 1};

std::map<PeerId, int> shares(const NextHopGroup& group) {
  std::map<PeerId, int> out;
  for (std::uint32_t hash = 0; hash < 256; ++hash) ++out[group.pick(hash)];
  return out;
}

TEST(NextHopGroup, SpreadsOverAllMembersByWeight) {
  const std::vector<WeightedPeer> even{kA, kB, kC};
  for (const auto& [peer, share] : shares({even, even})) EXPECT_NEAR(share, 85, 25) << peer.value;
  const std::vector<WeightedPeer> uneven{{PeerId{1}, 1}, {PeerId{2}, 3}};
  auto parts = shares({uneven, uneven});
  EXPECT_NEAR(parts[PeerId{2}], 192, 25);
  EXPECT_EQ(parts[PeerId{1}] + parts[PeerId{2}], 256);
}

TEST(NextHopGroup, ADeadPeerLeavesAtOnceAndOnlyItsFlowsMove) {
  const std::vector<WeightedPeer> all{kA, kB, kC}, alive{kA, kC};
  const NextHopGroup before(all, all), after(all, alive);
  for (std::uint32_t hash = 0; hash < 1000; ++hash) {
    EXPECT_NE(after.pick(hash), kB.peer);
    if (before.pick(hash) == kB.peer) continue;
    EXPECT_EQ(before.pick(hash), after.pick(hash)) << hash;
  }
  EXPECT_TRUE(after.contains(kB.peer)) << "it may still send";
  EXPECT_FALSE(after.contains(PeerId{4}));
}

TEST(NextHopGroup, WithoutAnybodyAliveAllAreTried) {
  const std::vector<WeightedPeer> all{kA, kB};
  EXPECT_EQ(shares({all, {}}).size(), 2U);
}

TEST(FlowHash, IsOfTheFlowAlone) {
  const auto hash = [](const test::Bytes& packet) {
    IpPacketInfo info;
    EXPECT_TRUE(parse_ip(packet, info));
    return flow_hash(packet, info);
  };
  for (const Family family : {Family::kV4, Family::kV6}) {
    const auto first = test::tcp_packet({.family = family, .source_port = 1, .sequence = 1, .payload = test::Bytes(10, 1)});
    const auto later = test::tcp_packet({.family = family, .source_port = 1, .sequence = 99, .payload = test::Bytes(900, 2)});
    EXPECT_EQ(hash(first), hash(later));
    std::map<std::uint32_t, int> buckets;
    for (std::uint16_t port = 1; port <= 2560; ++port) {
      ++buckets[hash(test::tcp_packet({.family = family, .source_port = port})) % 256];
    }
    EXPECT_GT(buckets.size(), 250U) << "ports spread";
  }
}

}  // namespace
}  // namespace greywire
