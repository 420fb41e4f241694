#include "overlay/mtu/device_mtu.h"

#include <gtest/gtest.h>

namespace greywire::mtu {
namespace {

constexpr PeerId kFra{1}, kNyc{2}, kTyo{3};
const std::vector<PeerMtu> kPeers = {{kFra, Mtu{1440}}, {kNyc, Mtu{1420}}, {kTyo, Mtu{0}}};

TEST(GatewayMtu, TakesTheLargestPeerWithinTheFloor) {
  struct Case {
    const char* name;
    std::vector<PeerMtu> peers;
    std::optional<Mtu> configured;
    std::uint32_t expected;
  };
  const std::vector<Case> cases = {
      {"largest of several", kPeers, std::nullopt, 1440},
      {"never below IPv6's minimum", {{kFra, Mtu{1180}}}, std::nullopt, 1280},
      {"a configured value wins", kPeers, Mtu{1400}, 1400},
      {"a configured value keeps the floor", kPeers, Mtu{1000}, 1280},
      {"no peers: what an IPv6 underlay of 1500 leaves", {}, std::nullopt, 1420},
      {"only an unknown peer", {{kTyo, Mtu{0}}}, std::nullopt, 1420},
      {"jumbo underlay", {{kFra, Mtu{8940}}}, std::nullopt, 8940},
  };
  for (const auto& c : cases)
    EXPECT_EQ(gateway_mtu(c.peers, c.configured, Mtu{1500}).bytes, c.expected) << c.name;
}

TEST(TunnelMtus, FollowPeerOverheadOrBridge) {
  struct Case {
    const char* name;
    TunnelMtuInput tunnel;
    std::uint32_t expected;
  };
  const auto routed = TunnelDevice::kRouted;
  const auto ethernet = TunnelDevice::kEthernet;
  const std::vector<Case> cases = {
      {"GRE over IPv4", {TunnelId{1}, routed, {kFra}, Family::kV4, {}, {}, {}}, 1416},
      {"GRE over IPv6 with a key",
       {TunnelId{1}, routed, {kNyc}, Family::kV6, {true, false, false}, {}, {}},
       1372},
      {"GRE to an unknown peer", {TunnelId{1}, routed, {kTyo}, Family::kV4, {}, {}, {}}, 1280},
      {"configured", {TunnelId{1}, routed, {kFra}, Family::kV4, {}, Mtu{1300}, {}}, 1300},
      {"configured below the floor", {TunnelId{1}, routed, {kFra}, Family::kV4, {}, Mtu{576}, {}}, 1280},
      {"GRETAP without a bridge", {TunnelId{1}, ethernet, {kFra}, Family::kV4, {}, {}, {}}, 1402},
      {"GRETAP in a bridge", {TunnelId{1}, ethernet, {kFra}, Family::kV4, {}, {}, Mtu{1500}}, 1500},
      {"a bridge beats a configured value",
       {TunnelId{1}, ethernet, {kFra}, Family::kV4, {}, Mtu{1400}, Mtu{9000}},
       9000},
      {"a segment follows its narrowest",
       {TunnelId{1}, ethernet, {kFra, kNyc, kTyo}, Family::kV4, {}, {}, {}},
       1382},
  };
  for (const auto& c : cases) {
    const auto mtus = tunnel_mtus(std::vector{c.tunnel}, kPeers);
    ASSERT_EQ(mtus.size(), 1U) << c.name;
    EXPECT_EQ(mtus[0], (TunnelMtu{TunnelId{1}, Mtu{c.expected}})) << c.name;
  }
}

}  // namespace
}  // namespace greywire::mtu
