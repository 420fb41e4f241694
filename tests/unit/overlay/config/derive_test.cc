#include "overlay/config/derive.h"

#include <gtest/gtest.h>

#include <vector>

namespace greywire::config {
namespace {

using std::chrono::seconds;

IpAddress address(const char* text) { return IpAddress::parse(text).value(); }
PublicKey key(const char* text) { return PublicKey::from_base64(text).value(); }

Peer peer_at(const char* endpoint) {
  Peer peer;
  peer.name = "fra";
  peer.public_key = key("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=");
  peer.overlay_addresses = {address("10.255.0.2"), address("fd00:255::2")};
  if (*endpoint != '\0') peer.endpoints = {PeerEndpoint::parse(endpoint).value()};
  return peer;
}

Config config_with(Peer peer) {
  Config config;
  config.site.name = "ams";
  config.site.overlay_addresses = {address("10.255.0.1"), address("fd00:255::1")};
  config.peers = {std::move(peer)};
  return config;
}

Tunnel tunnel_of(TunnelKind kind) {
  Tunnel tunnel;
  tunnel.name = "t";
  tunnel.kind = kind;
  tunnel.peer = "fra";
  return tunnel;
}

TEST(LinkLocal, IsFixedByTheKeyAndAnOpaqueIdentifier) {
  // First 8 bytes of BLAKE2s-256 of the key, computed apart with Python's hashlib; & 0xfc on the first.
  EXPECT_EQ(link_local_of(key("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=")).to_string(), "fe80::849b:3b89:c483:1cd3");
  EXPECT_EQ(link_local_of(key("HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=")).to_string(), "fe80::30ea:e151:cff5:b8d2");
  for (std::uint8_t i = 0; i < 255; ++i) {
    std::array<std::uint8_t, kKeySize> bytes{};
    bytes[0] = i;
    const auto found = link_local_of(PublicKey(bytes));
    EXPECT_TRUE(Prefix::parse("fe80::/64")->contains(found));
    EXPECT_EQ(found.data()[8] & 0x03, 0);
  }
}

TEST(PeerMtu, FollowsUnderlayAndFamily) {
  struct Row {
    const char* endpoint;
    std::uint32_t underlay;
    std::uint32_t inner;
  };
  const std::vector<Row> rows{{"192.0.2.2:51820", 1500, 1440}, {"[2001:db8::2]:51820", 1500, 1420},
                              {"fra.example.net:51820", 1500, 1420}, {"", 1500, 1420},
                              {"192.0.2.2:51820", 1492, 1432}, {"192.0.2.2:51820", 1280, 1220},
                              {"192.0.2.2:51820", 9000, 8940}};
  for (const auto& row : rows) {
    auto config = config_with(peer_at(row.endpoint));
    config.underlay.mtu = Mtu{row.underlay};
    EXPECT_EQ(derive(config).peers.at(0).inner_mtu, Mtu{row.inner}) << row.endpoint << " " << row.underlay;
  }
  auto config = config_with(peer_at("fra.example.net:51820"));
  const auto resolved = [](const Peer&) { return KnownPath{.family = Family::kV4}; };
  EXPECT_EQ(derive(config, resolved).peers.at(0).inner_mtu, Mtu{1440});
  config.peers[0].mtu = Mtu{1300};
  EXPECT_EQ(derive(config, resolved).peers.at(0).inner_mtu, Mtu{1300}) << "by hand";
}

TEST(PeerMtu, FollowsWhatWasFoundUnlessItIsFixed) {
  auto config = config_with(peer_at("192.0.2.2:51820"));
  const auto found = [](const Peer&) { return KnownPath{.family = Family::kV4, .inner = Mtu{1340}}; };
  EXPECT_TRUE(finds_path_mtu(config.peers[0]));
  EXPECT_EQ(derive(config, found).peers.at(0).inner_mtu, Mtu{1340});
  EXPECT_EQ(derive(config, found).device_mtu, Mtu{1340});
  config.peers[0].pmtu = false;
  EXPECT_FALSE(finds_path_mtu(config.peers[0]));
  EXPECT_EQ(derive(config, found).peers.at(0).inner_mtu, Mtu{1440});
  config.peers[0].pmtu = true;
  config.peers[0].mtu = Mtu{1300};
  EXPECT_FALSE(finds_path_mtu(config.peers[0]));
  EXPECT_EQ(derive(config, found).peers.at(0).inner_mtu, Mtu{1300});
}

TEST(DeviceMtu, IsTheLargestOfEnabledPeersAndAtLeast1280) {
  auto config = config_with(peer_at("[2001:db8::2]:51820"));
  config.peers.push_back(peer_at("192.0.2.3:51820"));
  config.peers[1].name = "nyc";
  EXPECT_EQ(derive(config).device_mtu, Mtu{1440});
  config.peers[1].enabled = false;
  EXPECT_EQ(derive(config).device_mtu, Mtu{1420});
  config.underlay.mtu = Mtu{1280};
  EXPECT_EQ(derive(config).device_mtu, Mtu{1280});
  config.site.mtu = Mtu{1400};
  EXPECT_EQ(derive(config).device_mtu, Mtu{1400});
  config = config_with(peer_at(""));
  config.peers.clear();
  EXPECT_EQ(derive(config).device_mtu, Mtu{1420});
}

TEST(Keepalive, IsOnOnlyWhereThePeerCalls) {
  EXPECT_EQ(effective_keepalive(peer_at("192.0.2.2:51820")), seconds(0));
  EXPECT_EQ(effective_keepalive(peer_at("")), seconds(25));
  auto peer = peer_at("");
  peer.keepalive = seconds(0);
  EXPECT_EQ(effective_keepalive(peer), seconds(0)) << "\"off\" is meant";
  peer.keepalive = seconds(7);
  EXPECT_EQ(effective_keepalive(peer), seconds(7));
}

TEST(TunnelMtu, OfEveryKindFamilyAndKey) {
  struct Row {
    TunnelKind kind;
    Family delivery;
    bool key;
    bool bridged;
    std::uint32_t inner, payload, device;
  };
  constexpr auto kGre = TunnelKind::kGre;
  constexpr auto kTap = TunnelKind::kGretap;
  const std::vector<Row> rows{
      {kGre, Family::kV4, false, false, 1440, 1416, 1416}, {kGre, Family::kV4, true, false, 1440, 1412, 1412},
      {kGre, Family::kV6, false, false, 1420, 1376, 1376}, {kGre, Family::kV6, true, false, 1420, 1372, 1372},
      {kGre, Family::kV4, false, false, 1300, 1276, 1280}, {kTap, Family::kV4, false, false, 1440, 1402, 1402},
      {kTap, Family::kV4, true, true, 1440, 1398, 1500},   {kTap, Family::kV6, true, true, 1420, 1358, 1500}};
  for (const auto& row : rows) {
    auto tunnel = tunnel_of(row.kind);
    if (row.key) tunnel.key = 42;
    if (row.bridged) tunnel.bridge = "br-lan";
    EXPECT_EQ(tunnel_payload_mtu(tunnel, Mtu{row.inner}, row.delivery), Mtu{row.payload});
    EXPECT_EQ(tunnel_device_mtu(tunnel, Mtu{row.inner}, row.delivery), Mtu{row.device});
    tunnel.mtu = Mtu{1390};
    EXPECT_EQ(tunnel_device_mtu(tunnel, Mtu{row.inner}, row.delivery), Mtu{1390}) << "by hand";
  }
}

TEST(Delivery, ChoosesWhatBothEndsHave) {
  const auto config = config_with(peer_at("192.0.2.2:51820"));
  auto v6_only = config.peers[0];
  v6_only.overlay_addresses = {address("fd00:255::2")};
  auto tunnel = tunnel_of(TunnelKind::kGre);
  const Delivery v4{address("10.255.0.1"), address("10.255.0.2")};
  const Delivery v6{address("fd00:255::1"), address("fd00:255::2")};
  EXPECT_EQ(delivery_of(config.site, config.peers[0], tunnel).value(), v4);
  EXPECT_EQ(delivery_of(config.site, v6_only, tunnel).value(), v6);
  tunnel.delivery = Family::kV6;
  EXPECT_EQ(delivery_of(config.site, config.peers[0], tunnel).value(), v6);
  tunnel.delivery = Family::kV4;
  EXPECT_TRUE(delivery_of(config.site, v6_only, tunnel).has_error());
  tunnel.delivery.reset();
  tunnel.remote = address("fd00:255::2");
  EXPECT_EQ(delivery_of(config.site, config.peers[0], tunnel).value(), v6) << "the written end decides";
  tunnel.remote.reset();
  tunnel.local = address("10.9.9.9");
  EXPECT_EQ(delivery_of(config.site, config.peers[0], tunnel).value(),
            (Delivery{address("10.9.9.9"), address("10.255.0.2")}));
}

TEST(Mss, IsClampedForRoutedLinksByDefault) {
  auto config = config_with(peer_at("192.0.2.2:51820"));
  auto tap = tunnel_of(TunnelKind::kGretap);
  tap.bridge = "br-lan";
  config.tunnels = {tunnel_of(TunnelKind::kGre), tap};
  auto derived = derive(config);
  EXPECT_EQ(derived.peers.at(0).mss, (MssLimits{1400, 1380}));
  EXPECT_EQ(derived.tunnels.at(0).mss, (MssLimits{1376, 1356}));
  EXPECT_EQ(derived.tunnels.at(1).mss, std::nullopt);
  config.tunnels[0].mss_clamp = false;
  config.tunnels[1].mss_clamp = true;
  derived = derive(config);
  EXPECT_EQ(derived.tunnels.at(0).mss, std::nullopt);
  EXPECT_EQ(derived.tunnels.at(1).mss, (MssLimits{1362, 1342})) << "what goes through in one piece, not the bridge's 1500";
}

TEST(Derived, AFallbackIsAnotherPeerThatMayCarryThePrefix) {
  Config config = config_with(peer_at(""));
  config.peers.push_back(peer_at(""));
  Peer& other = config.peers.back();
  other.name = "hub";
  const Prefix lan = *Prefix::parse("10.2.3.0/24");
  const auto falls_back = [&] { return has_fallback(config, config.peers.front(), lan); };
  EXPECT_FALSE(falls_back());
  config.peers.front().allowed_ips = {lan, *Prefix::parse("10.2.0.0/16")};
  EXPECT_FALSE(falls_back()) << "its own are none";
  for (const char* carries : {"10.2.3.0/24", "10.0.0.0/8", "0.0.0.0/0"}) {
    other.allowed_ips = {*Prefix::parse(carries)};
    EXPECT_TRUE(falls_back()) << carries;
  }
  other.enabled = false;
  EXPECT_FALSE(falls_back());
  other.enabled = true;
  other.allowed_ips = {*Prefix::parse("10.2.3.0/25"), *Prefix::parse("fd00::/8")};
  EXPECT_FALSE(falls_back()) << "longer, or of the other family";
  other.accept = routing::Ceiling({*routing::CeilingRule::parse("10.0.0.0/8 le 16")});
  EXPECT_TRUE(falls_back());
}

TEST(Derived, ATunnelToADisabledPeerIsDisabled) {
  auto config = config_with(peer_at("192.0.2.2:51820"));
  config.tunnels = {tunnel_of(TunnelKind::kGre)};
  EXPECT_TRUE(derive(config).tunnels.at(0).enabled);
  config.peers[0].enabled = false;
  EXPECT_FALSE(derive(config).tunnels.at(0).enabled);
}

}  // namespace
}  // namespace greywire::config
