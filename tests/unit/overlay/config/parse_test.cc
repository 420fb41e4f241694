#include <gtest/gtest.h>

#include <string>

#include "overlay/config/load.h"

namespace greywire::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kFull = R"([site]
name             = "ams"
private_key_file = "/etc/greywire/ams.key"
listen_port      = 51821
overlay_address  = ["10.255.0.1", "fd00:255::1"]
interface        = "gw7"
networks         = ["10.1.0.0/16", "fd00:1::/48"]
mtu              = 1400
control          = "/run/greywire/a.sock"
log_level        = "debug"
metrics          = "[::1]:9586"

[prefix_sets]
lans = ["10.0.0.0/8 ge 16 le 24"]

[peer_defaults]
liveness     = "500ms x 5"
accept       = "10.99.0.0/16"
max_prefixes = 7

[[peer]]
name            = "fra"
public_key      = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
preshared_key_file = "fra.psk"
endpoint        = "fra.example.net:51820"
overlay_address = ["10.255.0.2", "fd00:255::2"]
allowed_ips     = "10.2.0.0/16"
accept          = ["10.2.0.0/16 le 24", "fd00:2::/48 le 64", "@lans"]
max_prefixes    = 1000
keepalive       = 15
mtu             = 1380
pmtu            = "off"
enabled         = false
source_check    = "strict"

[[peer]]
name            = "nyc"
public_key      = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
endpoint        = "[2001:db8::3]:51820"
overlay_address = "10.255.0.3"
liveness        = "off"
keepalive       = "off"

[[tunnel]]
name      = "gre-fra"
kind      = "gre"
peer      = "fra"
address   = ["172.31.12.1/30", "fd00:12::1/64"]
delivery  = "ipv6"
mss_clamp = false
ttl       = 9

[[tunnel]]
name   = "tap-fra"
kind   = "gretap"
peer   = "fra"
key    = 0xffffffff
bridge = "br-lan"
stp    = true
local  = "10.255.0.1"
remote = "10.255.0.2"
mtu    = 1500

[underlay]
mtu    = 1492
mark   = 0x67
table  = 100

[routing]
zebra = "/run/x/zserv.api"
hold  = "90s"
)";

Config parsed(const std::string& text) {
  auto loaded = parse(text, "site.toml");
  EXPECT_EQ(loaded.diagnostics.to_string(), "");
  return loaded.config.value_or(Config());
}

IpAddress address(const char* text) { return IpAddress::parse(text).value(); }
Prefix prefix(const char* text) { return Prefix::parse(text).value(); }

TEST(Parse, SiteKeys) {
  const auto config = parsed(kFull);
  const auto& site = config.site;
  EXPECT_EQ(site.name, "ams");
  EXPECT_EQ(site.private_key_file, "/etc/greywire/ams.key");
  EXPECT_TRUE(site.private_key.is_zero());
  EXPECT_EQ(site.listen_port, 51821);
  EXPECT_EQ(site.overlay_addresses, (std::vector{address("10.255.0.1"), address("fd00:255::1")}));
  EXPECT_EQ(site.interface, "gw7");
  EXPECT_EQ(site.networks, (std::vector{prefix("10.1.0.0/16"), prefix("fd00:1::/48")}));
  EXPECT_EQ(site.mtu, Mtu{1400});
  EXPECT_EQ(site.control_socket, "/run/greywire/a.sock");
  EXPECT_EQ(site.log_level, LogLevel::kDebug);
  EXPECT_EQ(site.metrics, *Endpoint::parse("[::1]:9586"));
}

TEST(Parse, SeveralEndpointsAndDscp) {
  std::string text = kFull;
  const std::string one = "\"[2001:db8::3]:51820\"";
  const auto at = text.find(one);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, one.size(),
               "[\"nyc.example.net:51820\", \"[2001:db8::3]:51820\", \"192.0.2.3:4500\"]\ndscp = \"copy\"");
  const auto config = parsed(text);
  const auto& nyc = config.peers.at(1);
  ASSERT_EQ(nyc.endpoints.size(), 3U);
  EXPECT_EQ(nyc.endpoints[0].host, "nyc.example.net");
  EXPECT_EQ(nyc.endpoints[1].literal, Endpoint::parse("[2001:db8::3]:51820").value());
  EXPECT_EQ(nyc.endpoints[2].literal, Endpoint::parse("192.0.2.3:4500").value());
  EXPECT_EQ(nyc.dscp, OuterDscp::kCopy);
}

TEST(Parse, VlansOfAPort) {
  const auto port = [](const std::string& keys) {
    return port_vlans(parsed(std::string(kFull) + "\n[[tunnel]]\nname = \"tap-v\"\nkind = \"gretap\"\npeer = \"fra\"\nkey = 77\n"
                             "bridge = \"br-v\"\nbridge_create = true\nisolated = true\n" + keys).tunnels.back());
  };
  EXPECT_FALSE(port("").has_value());
  const auto texts = [](const std::optional<std::vector<PortVlan>>& vlans) {
    std::string text;
    for (const auto& vlan : vlans.value()) {
      text += std::to_string(vlan.vid) + (vlan.pvid ? "p" : "") + (vlan.untagged ? "u" : "") + " ";
    }
    return text;
  };
  EXPECT_EQ(texts(port("pvid = 10")), "10pu ");
  EXPECT_EQ(texts(port("vlan_tagged = \"20\"")), "20 ");
  EXPECT_EQ(texts(port("pvid = 10\nvlan_untagged = [\"9-11\"]\nvlan_tagged = [\"30-31\", \"5\"]")), "5 9u 10pu 11u 30 31 ");
}

TEST(Parse, PeerKeysDefaultsAndSets) {
  const auto config = parsed(kFull);
  ASSERT_EQ(config.peers.size(), 2U);
  const auto& fra = config.peers[0];
  EXPECT_EQ(fra.public_key.to_base64(), "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=");
  EXPECT_EQ(fra.preshared_key_file, "fra.psk");
  ASSERT_EQ(fra.endpoints.size(), 1U);
  EXPECT_EQ(fra.endpoints[0].host, "fra.example.net");
  EXPECT_FALSE(fra.endpoints[0].literal.has_value());
  EXPECT_EQ(fra.dscp, OuterDscp::kRouting);
  EXPECT_EQ(fra.allowed_ips, std::vector{prefix("10.2.0.0/16")});
  EXPECT_EQ(fra.accept.rules().size(), 3U);
  EXPECT_TRUE(fra.accept.admits(prefix("10.77.1.0/24")));
  EXPECT_FALSE(fra.accept.admits(prefix("10.77.1.0/25")));
  EXPECT_EQ(fra.max_prefixes, 1000U);
  EXPECT_EQ(fra.keepalive, seconds(15));
  EXPECT_EQ(fra.liveness, (Liveness{milliseconds(500), 5}));
  EXPECT_EQ(fra.mtu, Mtu{1380});
  EXPECT_FALSE(fra.pmtu);
  EXPECT_FALSE(fra.enabled);
  EXPECT_EQ(fra.source_check, SourceCheck::kStrict);
  const auto& nyc = config.peers[1];
  ASSERT_EQ(nyc.endpoints.size(), 1U);
  EXPECT_EQ(nyc.endpoints[0].literal, Endpoint::parse("[2001:db8::3]:51820").value());
  EXPECT_EQ(nyc.liveness, std::nullopt);
  EXPECT_EQ(nyc.keepalive, seconds(0));
  EXPECT_EQ(nyc.max_prefixes, 7U);
  ASSERT_EQ(nyc.accept.rules().size(), 1U);
  EXPECT_EQ(nyc.accept.rules()[0].to_string(), "10.99.0.0/16");
  EXPECT_EQ(config.find_peer("nyc"), &config.peers[1]);
  EXPECT_EQ(config.find_peer("ny"), nullptr);
}

TEST(Parse, TunnelUnderlayAndRoutingKeys) {
  const auto config = parsed(kFull);
  ASSERT_EQ(config.tunnels.size(), 2U);
  const auto& gre = config.tunnels[0];
  EXPECT_EQ(gre.kind, TunnelKind::kGre);
  EXPECT_EQ(gre.key, std::nullopt);
  ASSERT_EQ(gre.addresses.size(), 2U);
  EXPECT_EQ(gre.addresses[0].to_string(), "172.31.12.1/30") << "host bits stay";
  EXPECT_EQ(gre.delivery, Family::kV6);
  EXPECT_EQ(gre.mss_clamp, false);
  EXPECT_EQ(gre.ttl, 9);
  const auto& tap = config.tunnels[1];
  EXPECT_EQ(tap.kind, TunnelKind::kGretap);
  EXPECT_EQ(tap.key, 0xffffffffU);
  EXPECT_EQ(tap.bridge, "br-lan");
  EXPECT_TRUE(tap.stp);
  EXPECT_EQ(tap.mtu, Mtu{1500});
  EXPECT_EQ(config.underlay.mtu, Mtu{1492});
  EXPECT_EQ(config.underlay.mark, 0x67U);
  EXPECT_EQ(config.underlay.table, 100U);
  ASSERT_TRUE(config.routing.has_value());
  EXPECT_EQ(config.routing->zebra, "/run/x/zserv.api");
  EXPECT_EQ(config.routing->hold, seconds(90));
  EXPECT_EQ(config.routing->source, RouteSourceKind::kZebra);
}

TEST(Parse, DefaultsOfTheSmallestConfig) {
  const auto config = parsed(
      "[site]\nname = \"a\"\nprivate_key_file = \"k\"\noverlay_address = \"10.255.0.1\"\n"
      "[[peer]]\nname = \"b\"\npublic_key = \"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\"\n"
      "overlay_address = \"10.255.0.2\"\n");
  EXPECT_EQ(config.site.listen_port, 51820);
  EXPECT_EQ(config.site.interface, "gw0");
  EXPECT_EQ(config.site.control_socket, "/run/greywire/a.sock");
  EXPECT_EQ(config.site.log_level, LogLevel::kInfo);
  EXPECT_EQ(config.site.mtu, std::nullopt);
  const auto& peer = config.peers.at(0);
  EXPECT_TRUE(peer.accept.empty()) << "nothing is accepted unless the config says so";
  EXPECT_EQ(peer.max_prefixes, 10'000U);
  EXPECT_EQ(peer.keepalive, std::nullopt);
  EXPECT_EQ(peer.liveness, (Liveness{seconds(1), 3}));
  EXPECT_TRUE(peer.pmtu);
  EXPECT_TRUE(peer.enabled);
  EXPECT_EQ(peer.source_check, SourceCheck::kCeiling);
  EXPECT_EQ(config.underlay.mtu, Mtu{1500});
  EXPECT_EQ(config.underlay.mark, std::nullopt);
  EXPECT_FALSE(config.routing.has_value());
}

TEST(Parse, RoutingSectionAloneMeansFrrsOwnSocket) {
  auto text = std::string(kFull);
  text.resize(text.find("zebra ="));
  const auto config = parsed(text);
  ASSERT_TRUE(config.routing.has_value());
  EXPECT_EQ(config.routing->zebra, "/run/frr/zserv.api");
  EXPECT_EQ(config.routing->hold, seconds(240));
}

TEST(Parse, SectionsMayStandInAnyOrder) {
  const auto config = parsed(
      "[[tunnel]]\nname = \"gre-b\"\nkind = \"gre\"\npeer = \"b\"\n"
      "[[peer]]\nname = \"b\"\npublic_key = \"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\"\n"
      "overlay_address = \"10.255.0.2\"\naccept = \"@s\"\n"
      "[prefix_sets]\ns = [\"10.0.0.0/8\"]\n"
      "[site]\nname = \"a\"\nprivate_key_file = \"k\"\noverlay_address = \"10.255.0.1\"\n");
  EXPECT_EQ(config.peers.at(0).accept.rules().size(), 1U);
}

TEST(Parse, SeveralTapsInABridgeWithASpanningTree) {
  const auto config = parsed(
      "[site]\nname = \"a\"\nprivate_key_file = \"k\"\noverlay_address = \"10.255.0.1\"\n"
      "[[peer]]\nname = \"b\"\npublic_key = \"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\"\n"
      "overlay_address = \"10.255.0.2\"\n"
      "[[tunnel]]\nname = \"t1\"\nkind = \"gretap\"\npeer = \"b\"\nkey = 1\nbridge = \"br0\"\nstp = true\n"
      "[[tunnel]]\nname = \"t2\"\nkind = \"gretap\"\npeer = \"b\"\nkey = 2\nbridge = \"br0\"\nstp = true\n");
  EXPECT_EQ(config.tunnels.size(), 2U);
}

}  // namespace
}  // namespace greywire::config
