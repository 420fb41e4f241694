#include <fmt/format.h>
#include <gtest/gtest.h>

#include "overlay/config/load.h"
#include "overlay/import/site_import.h"
#include "tests/unit/overlay/documents.h"

namespace greywire::import {
namespace {

constexpr char kKey[] = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
constexpr char kOtherKey[] = "kOlVW8PBhg1Rz+p2pAoXTx5D8r6vNYrSk9WYkfQo/Vo=";
constexpr char kFra[] = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
constexpr char kNyc[] = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
constexpr char kPsk[] = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=";

struct Parsed {
  std::optional<QuickConfig> config;
  std::string messages;
};

Parsed parse(const std::string& text, const std::string& file = "/etc/wireguard/wg0.conf") {
  config::Diagnostics diagnostics(file);
  auto config = parse_wg_quick(text, diagnostics);
  return {std::move(config), diagnostics.to_string()};
}

std::string interface(const std::string& address, const std::string& more = "", const char* key = kKey) {
  return "[Interface]\nPrivateKey = " + std::string(key) + "\nAddress = " + address + "\n" + more + "\n";
}

std::string peer(const char* key, const std::string& allowed, const std::string& more = "") {
  return "[Peer]\nPublicKey = " + std::string(key) + "\nAllowedIPs = " + allowed + "\n" + more + "\n";
}

QuickConfig good(const std::string& text, const std::string& file = "/etc/wireguard/wg0.conf") {
  auto parsed = parse(text, file);
  EXPECT_TRUE(parsed.config) << parsed.messages;
  return std::move(*parsed.config);
}

// The result is always a config that parse() takes; then it is looked at as such.
config::Config imported(const std::vector<QuickConfig>& files, const std::vector<GreLink>& links = {}, ImportedSite* site = nullptr,
                        bool first_key = false) {
  auto made = import_site(files, links, {"ams", first_key});
  EXPECT_TRUE(made) << made.error().text;
  auto loaded = config::parse(made->toml, "ams.toml");
  EXPECT_TRUE(loaded.config) << loaded.diagnostics.to_string() << made->toml;
  if (site != nullptr) *site = std::move(*made);
  return std::move(*loaded.config);
}

GreLink link_to(const char* name, const char* local, const char* remote) {
  GreLink link;
  link.name = name;
  link.local = *IpAddress::parse(local);
  link.remote = *IpAddress::parse(remote);
  return link;
}

TEST(WgQuick, ReadsWhatWgQuickReads) {
  const auto config = good("# a comment\r\n[interface]\r\nprivatekey=" + std::string(kKey) +
                           "\nAddress = 10.9.0.1/24,fd00:9::1/64\nADDRESS = 10.10.0.1 # a host\nListenPort = 51821\nTable = off\n"
                           "DNS = 9.9.9.9\nPostUp = iptables -A FORWARD -i %i -j ACCEPT; echo a=b\n"
                           "# Name = fra\n[Peer]\nPublicKey = " + kFra + "\nPresharedKey = " + kPsk +
                           "\nEndpoint = [2001:db8::2]:51820\nAllowedIPs = 10.9.0.2/32, 10.2.0.7/16\nAllowedIPs = ::/0\nPersistentKeepalive = 25\n"
                           "[Peer]\n### Client nyc\nPublicKey = " + kNyc + "\nPersistentKeepalive = off\n");
  EXPECT_EQ(config.interface, "wg0");
  EXPECT_EQ(config.private_key, *PrivateKey::from_base64(kKey));
  ASSERT_EQ(config.addresses.size(), 3U);
  EXPECT_EQ(config.addresses[2].to_string(), "10.10.0.1/32");
  EXPECT_EQ(config.listen_port, 51821);
  EXPECT_TRUE(config.table_off);
  ASSERT_EQ(config.left_over.size(), 2U);
  EXPECT_EQ(config.left_over[1].key, "PostUp");
  EXPECT_EQ(config.left_over[1].value, "iptables -A FORWARD -i %i -j ACCEPT; echo a=b");
  ASSERT_EQ(config.peers.size(), 2U);
  EXPECT_EQ(config.peers[0].name, "fra");
  EXPECT_TRUE(config.peers[0].preshared_key == *PresharedKey::from_base64(kPsk));
  EXPECT_EQ(config.peers[0].endpoint->to_string(), "[2001:db8::2]:51820");
  ASSERT_EQ(config.peers[0].allowed_ips.size(), 3U);
  EXPECT_EQ(config.peers[0].allowed_ips[1].to_string(), "10.2.0.0/16");
  EXPECT_EQ(config.peers[0].keepalive.count(), 25);
  EXPECT_EQ(config.peers[1].name, "nyc");
}

TEST(WgQuick, MistakesAreNamedAndKeysNever) {
  const std::string head = interface("10.9.0.1/24");
  const struct {
    std::string text, message;
  } cases[] = {
      {"", "/etc/wireguard/wg0.conf: there is no [Interface]"},
      {"[Interface]\n", "[Interface] has no PrivateKey"},
      {"[Interface]\nPrivateKey = " + std::string(kKey) + "x\n", ":2:1: PrivateKey is no key"},
      {"[Interface]\nPrivateKey " + std::string(kKey) + "\n", ":2:1: a line that is no KEY = VALUE"},
      {std::string(kKey) + "\n", ":1:1: this stands before [Interface]"},
      {head + "ListnPort = 1\n", "unknown key 'ListnPort' in [Interface]; did you mean 'ListenPort'?"},
      {head + "ListenPort = 65536\n", "a number from 0 to 65535"},
      {head + "Address = 10.0.0.0.1/8\n", "Address: "},
      {head + "[Peers]\n", "an unknown section; known: [Interface], [Peer]"},
      {head + "[Peer]\nAllowedIPs = 10.0.0.0/8\n", "[Peer] has no PublicKey"},
      {head + peer(kFra, "10.0.0.0/40"), "AllowedIPs: "},
      {head + peer(kFra, "10.0.0.0/8", "Endpoint = fra"), "Endpoint: "},
      {head + peer(kFra, "10.0.0.0/8", "PresharedKey = short"), "PresharedKey is no key"},
  };
  for (const auto& c : cases) {
    const auto parsed = parse(c.text);
    EXPECT_FALSE(parsed.config) << c.text;
    EXPECT_NE(parsed.messages.find(c.message), std::string::npos) << c.message << "\nbut " << parsed.messages;
    EXPECT_EQ(parsed.messages.find("yAnz5TF"), std::string::npos) << parsed.messages;
  }
}

TEST(GreLinks, ReadsWhatIpPrints) {
  config::Diagnostics diagnostics("links.json");
  const auto links = parse_gre_links(testing::read_text(testing::in_tree("tests/captures/links/gre_links.json")), diagnostics);
  ASSERT_TRUE(links) << diagnostics.to_string();
  ASSERT_EQ(links->size(), 4U);
  const auto& fra = (*links)[0];
  EXPECT_EQ(fra.name, "gre-fra");
  EXPECT_FALSE(fra.ethernet || fra.key || fra.sequence || fra.checksum);
  EXPECT_EQ(fra.local.to_string() + " " + fra.remote.to_string(), "10.9.0.1 10.9.0.2");
  EXPECT_EQ(fra.ttl, 64);
  ASSERT_EQ(fra.addresses.size(), 1U);  // without the link-local
  EXPECT_EQ(fra.addresses[0].to_string(), "172.31.12.1/30");
  const auto& nyc = (*links)[1];
  EXPECT_EQ(nyc.key, 42U);
  EXPECT_TRUE(nyc.sequence && nyc.checksum);
  EXPECT_EQ(nyc.ttl, 0);
  const auto& tap = (*links)[2];
  EXPECT_TRUE(tap.ethernet);
  EXPECT_EQ(tap.key, 0x01020304U);
  EXPECT_EQ(tap.bridge, "br0");
  EXPECT_EQ((*links)[3].remote.to_string(), "fd00:9::2");
  EXPECT_FALSE((*links)[3].encap_limit) << "encaplimit none";
  for (const auto& link : *links) EXPECT_TRUE(link.tos.empty() && link.fwmark.empty() && !link.drops_what_is_too_big) << link.name;
  EXPECT_EQ(diagnostics.to_string(), "links.json: warning: ip6gre 'g6' is left out: it has another key each way, and greywired takes one\n");
}

TEST(GreLinks, OtherTextIsAnErrorWithTheWayOut) {
  for (const char* text : {"", "{}", "gre-fra: gre/ip remote 10.9.0.2", "[", "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]"}) {
    config::Diagnostics diagnostics("links.json");
    EXPECT_FALSE(parse_gre_links(text, diagnostics)) << text;
    EXPECT_NE(diagnostics.to_string().find("ip -d -j address show"), std::string::npos);
  }
}

TEST(ImportSite, AHubKeepsItsPeers) {
  ImportedSite site;
  const auto config = imported({good(interface("10.9.0.1/24", "ListenPort = 51821\nDNS = 9.9.9.9\nPostUp = wg set %i private-key <(echo " + std::string(kOtherKey) + ")") +
                                     "# fra\n" + peer(kFra, "10.9.0.2/32, 10.2.0.0/16", "Endpoint = fra.example.net:51820\nPresharedKey = " + std::string(kPsk)) +
                                     peer(kNyc, "10.9.0.3/32", "PersistentKeepalive = 7"))},
                               {}, &site);
  EXPECT_EQ(config.site.listen_port, 51821);
  EXPECT_EQ(config.site.overlay_addresses, std::vector{*IpAddress::parse("10.9.0.1")});
  ASSERT_EQ(config.peers.size(), 2U);
  EXPECT_EQ(config.peers[0].name, "fra");
  EXPECT_EQ(config.peers[0].overlay_addresses, std::vector{*IpAddress::parse("10.9.0.2")});
  EXPECT_EQ(config.peers[0].allowed_ips, std::vector{*Prefix::parse("10.2.0.0/16")});
  EXPECT_EQ(config.peers[0].preshared_key_file, "ams-fra.psk");
  EXPECT_EQ(config.peers[1].keepalive, std::chrono::seconds(7));
  ASSERT_EQ(site.preshared_keys.size(), 1U);
  EXPECT_TRUE(site.preshared_keys[0].second == *PresharedKey::from_base64(kPsk));
  for (const char* secret : {kKey, kPsk, kOtherKey}) EXPECT_EQ(site.toml.find(secret), std::string::npos);
  EXPECT_NE(site.toml.find("#   DNS = 9.9.9.9"), std::string::npos);
  EXPECT_NE(site.toml.find("(echo (a key))"), std::string::npos) << site.toml;
  EXPECT_EQ(site.notes.front(), "/etc/wireguard/wg0.conf:5: DNS is not carried over");
}

TEST(GreLinks, OptionsOfTheDeliveryHeaderComeAlong) {
  const auto link = [](const char* kind, const std::string& ends, const char* more) {
    return fmt::format(R"({{"ifname":"x","linkinfo":{{"info_kind":"{}","info_data":{{{},{}}}}}}})", kind, ends, more);
  };
  const std::string v4 = R"("local":"10.9.0.1","remote":"10.9.0.2")", v6 = R"("local":"fd00:9::1","remote":"fd00:9::2")";
  const auto text = "[" + link("gre", v4, R"("tos":"0x1")") + "," + link("gre", v4, R"("tos":"0xb8","fwmark":"0x7")") + "," +
                    link("ip6gre", v6, R"("encap_limit":4,"tclass":"0x20")") + "," +
                    link("ip6gretap", v6, R"("ip6_tnl_f_use_orig_tclass":true)") + "," + link("gretap", v4, R"("pmtudisc":true)") + "," +
                    link("gretap", v4, R"("encap":{"type":"fou"})") + "]";
  config::Diagnostics diagnostics("links.json");
  const auto links = parse_gre_links(text, diagnostics);
  ASSERT_TRUE(links);
  ASSERT_EQ(links->size(), 5U);
  EXPECT_EQ((*links)[0].tos, "\"inherit\"");
  EXPECT_EQ((*links)[1].tos + " " + (*links)[1].fwmark, "184 0x7");
  EXPECT_EQ((*links)[2].tos, "32");
  EXPECT_EQ((*links)[2].encap_limit, 4);
  EXPECT_EQ((*links)[3].tos, "\"inherit\"");
  EXPECT_TRUE((*links)[4].drops_what_is_too_big);
  EXPECT_NE(diagnostics.to_string().find("gretap 'x' is left out: it goes through UDP by fou or gue"), std::string::npos);
  auto marked = (*links)[1], bridged = (*links)[4], limited = (*links)[2];
  marked.name = "gre-fra", bridged.name = "tap-fra", bridged.bridge = "br-lan", bridged.key = 9, limited.name = "g6";
  ImportedSite site;
  const auto config = imported({good(interface("10.9.0.1/30, fd00:9::1/126") + peer(kFra, "10.9.0.2/32, fd00:9::2/128"))}, {marked, bridged, limited}, &site);
  ASSERT_EQ(config.tunnels.size(), 3U) << site.toml;
  EXPECT_EQ(config.tunnels[0].tos, 184);
  EXPECT_EQ(config.tunnels[2].encap_limit, 4);
  EXPECT_NE(site.toml.find("the mark 0x7"), std::string::npos) << site.toml;
  EXPECT_NE(site.toml.find("df = \"set\" drops it again"), std::string::npos) << site.toml;
}

TEST(ImportSite, OneInterfaceAPeerBecomesOneSite) {
  const auto one = good(interface("10.9.0.1/30", "Table = off\nListenPort = 51820") + peer(kFra, "0.0.0.0/0, ::/0, 224.0.0.5/32"), "wg-fra.conf");
  const auto two = good(interface("10.9.0.5/30", "Table = off\nListenPort = 51821") + peer(kNyc, "0.0.0.0/0"), "wg-nyc.conf");
  auto tap = link_to("tap-nyc", "10.9.0.5", "10.9.0.6");
  tap.ethernet = true;
  tap.bridge = "br-lan";
  tap.key = 42;
  auto gre = link_to("gre-fra", "10.9.0.1", "10.9.0.2");
  gre.addresses = {*config::InterfaceAddress::parse("172.31.12.1/30")};
  ImportedSite site;
  const auto config = imported({one, two}, {gre, tap, link_to("gre-x", "192.0.2.1", "192.0.2.2")}, &site);
  ASSERT_EQ(config.peers.size(), 2U);
  EXPECT_EQ(config.peers[0].name, "wg-fra");
  EXPECT_EQ(config.peers[0].overlay_addresses, std::vector{*IpAddress::parse("10.9.0.2")});
  EXPECT_EQ(config.peers[1].overlay_addresses, std::vector{*IpAddress::parse("10.9.0.6")});
  EXPECT_TRUE(config.peers[0].allowed_ips.empty());
  EXPECT_NE(site.toml.find("accept = [\"0.0.0.0/0 le 32\", \"::/0 le 128\"]"), std::string::npos) << site.toml;
  EXPECT_NE(site.toml.find("# AllowedIPs \"224.0.0.5/32\": multicast goes over [[tunnel]] links"), std::string::npos);
  EXPECT_NE(site.toml.find("# At the peer: where it calls this site, the Endpoint's port is 51820 now, not 51821"), std::string::npos);
  EXPECT_NE(site.toml.find("# At the peer: AllowedIPs take 10.9.0.1 too"), std::string::npos);
  EXPECT_NE(site.toml.find("# Not carried over: gre-x to 192.0.2.2"), std::string::npos);
  ASSERT_EQ(config.tunnels.size(), 2U);
  EXPECT_EQ(config.tunnels[0].peer, "wg-fra");
  EXPECT_EQ(config.tunnels[0].addresses, gre.addresses);
  EXPECT_EQ(config.tunnels[1].peer, "wg-nyc");
  EXPECT_EQ(config.tunnels[1].bridge, "br-lan");
  EXPECT_EQ(config.tunnels[1].key, 42U);
}

TEST(ImportSite, DifferentKeysAreAChoice) {
  const auto one = good(interface("10.9.0.1/30") + peer(kFra, "10.9.0.2/32"), "wg-fra.conf");
  const auto two = good(interface("10.9.0.5/30", "", kOtherKey) + peer(kNyc, "10.9.0.6/32"), "wg-nyc.conf");
  const auto refused = import_site(std::vector{one, two}, {}, {"ams", false});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text.find("wg-fra.conf and wg-nyc.conf have different private keys"), 0U) << refused.error().text;
  EXPECT_NE(refused.error().text.find("--first-key"), std::string::npos);
  ImportedSite site;
  imported({one, two}, {}, &site, true);
  EXPECT_TRUE(site.private_key == *PrivateKey::from_base64(kKey));
  EXPECT_NE(site.toml.find("# At the peer: this site's PublicKey is "), std::string::npos);
}

TEST(ImportSite, ADefaultRouteOfOneInterfaceStaysOne) {
  const auto config = imported({good(interface("10.9.0.2/24") + peer(kFra, "0.0.0.0/0, ::/0", "Endpoint = 192.0.2.1:51820"))});
  EXPECT_EQ(config.peers[0].allowed_ips.size(), 2U);
  EXPECT_TRUE(config.peers[0].overlay_addresses.empty());
  EXPECT_FALSE(config.peers[0].liveness);
}

TEST(ImportSite, ALinksEndIsThePeersAddressWhereNothingElseSaysIt) {
  const auto config = imported({good(interface("10.9.0.1/24", "Table = off") + peer(kFra, "0.0.0.0/0"))}, {link_to("gre-fra", "10.9.0.1", "10.9.0.77")});
  EXPECT_EQ(config.peers[0].overlay_addresses, std::vector{*IpAddress::parse("10.9.0.77")});
}

TEST(ImportSite, WithoutAnAddressItIsRefused) {
  const auto refused = import_site(std::vector{good("[Interface]\nPrivateKey = " + std::string(kKey) + "\n")}, {}, {"ams", false});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("no Address"), std::string::npos);
  EXPECT_FALSE(import_site({}, {}, {"ams", false}));
}

TEST(ImportSite, NamesOfPeersAreFreeOnes) {
  const auto config = imported({good(interface("10.9.0.1/24") + "# fra\n" + peer(kFra, "10.9.0.2/32") + "# fra\n" + peer(kNyc, "10.9.0.3/32"))});
  EXPECT_EQ(config.peers[0].name + " " + config.peers[1].name, "fra fra-2");
}

}  // namespace
}  // namespace greywire::import
