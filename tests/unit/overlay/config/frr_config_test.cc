#include "overlay/config/frr_config.h"

#include <gtest/gtest.h>

#include "overlay/config/load.h"

namespace greywire::config {
namespace {

constexpr char kSite[] = R"([site]
name = "ams"
private_key_file = "k"
overlay_address = ["10.255.0.1", "fd00:255::1"]
networks = ["10.1.0.0/16", "fd00:1::/48", "192.0.2.7/32"]
[prefix_sets]
lans = ["10.0.0.0/8 ge 16 le 24"]
[[peer]]
name = "fra"
public_key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
endpoint = "192.0.2.1:51820"
overlay_address = ["10.255.0.2", "fd00:255::2"]
accept = ["@lans", "10.2.0.0/16", "fd00:2::/48 le 64"]
max_prefixes = 50
asn = 65002
[[peer]]
name = "nyc"
public_key = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
endpoint = "192.0.2.3:51820"
overlay_address = "10.255.0.3"
accept = "0.0.0.0/0"
[[peer]]
name = "quiet"
public_key = "1u7r36IGtR4mZkgnqKcjq3cOp0MhyPY6WmBOBMchSxE="
endpoint = "192.0.2.4:51820"
overlay_address = "10.255.0.4"
[[tunnel]]
name = "gre-fra"
kind = "gre"
peer = "fra"
address = ["172.31.12.1/30", "fd00:31:12::2/126"]
[[tunnel]]
name = "gre-wide"
kind = "gre"
peer = "fra"
key = 2
address = "172.31.13.1/24"
)";

Config parsed(const std::string& text) {
  auto loaded = parse(text, "site.toml");
  EXPECT_TRUE(loaded.config.has_value()) << (loaded.diagnostics.lines().empty() ? "" : loaded.diagnostics.lines().front());
  return std::move(*loaded.config);
}

TEST(FrrConfig, SaysWhatTheCeilingsSay) {
  const auto text = frr_config(parsed(std::string(kSite) + "[routing]\nasn = 65001\n"));
  ASSERT_TRUE(text.has_value());
  EXPECT_EQ(*text, R"(! site ams: what follows from its Greywire config
! FRR 10: write 'no ip nht resolve-via-default' and 'no ipv6 nht resolve-via-default' into zebra's configuration,
! or a dead peer's prefixes leave in the clear by the host's default route
ip prefix-list gw-fra-v4 seq 5 permit 10.0.0.0/8 ge 16 le 24
ip prefix-list gw-fra-v4 seq 10 permit 10.2.0.0/16
ipv6 prefix-list gw-fra-v6 seq 5 permit fd00:2::/48 le 64
ip prefix-list gw-nyc-v4 seq 5 permit 0.0.0.0/0
ipv6 prefix-list gw-nyc-v6 seq 5 deny any
ip prefix-list gw-own-v4 seq 5 permit 10.1.0.0/16 le 32
ip prefix-list gw-own-v4 seq 10 permit 192.0.2.7/32
ipv6 prefix-list gw-own-v6 seq 5 permit fd00:1::/48 le 128
router bgp 65001
 bgp router-id 10.255.0.1
 no bgp default ipv4-unicast
 neighbor 10.255.0.2 remote-as 65002
 neighbor 10.255.0.2 description fra
 neighbor 10.255.0.2 disable-connected-check
 neighbor 10.255.0.3 remote-as external
 neighbor 10.255.0.3 description nyc
 neighbor 10.255.0.3 disable-connected-check
 neighbor 172.31.12.2 remote-as 65002
 neighbor 172.31.12.2 description fra over gre-fra
 address-family ipv4 unicast
  network 10.1.0.0/16
  network 192.0.2.7/32
  neighbor 10.255.0.2 activate
  neighbor 10.255.0.2 prefix-list gw-fra-v4 in
  neighbor 10.255.0.2 prefix-list gw-own-v4 out
  neighbor 10.255.0.2 maximum-prefix 50 80 warning-only
  neighbor 10.255.0.3 activate
  neighbor 10.255.0.3 prefix-list gw-nyc-v4 in
  neighbor 10.255.0.3 prefix-list gw-own-v4 out
  neighbor 10.255.0.3 maximum-prefix 10000 80 warning-only
  neighbor 172.31.12.2 activate
  neighbor 172.31.12.2 prefix-list gw-fra-v4 in
  neighbor 172.31.12.2 prefix-list gw-own-v4 out
  neighbor 172.31.12.2 maximum-prefix 50 80 warning-only
 exit-address-family
 address-family ipv6 unicast
  network fd00:1::/48
  neighbor 10.255.0.2 activate
  neighbor 10.255.0.2 prefix-list gw-fra-v6 in
  neighbor 10.255.0.2 prefix-list gw-own-v6 out
  neighbor 10.255.0.2 maximum-prefix 50 80 warning-only
  neighbor 172.31.12.2 activate
  neighbor 172.31.12.2 prefix-list gw-fra-v6 in
  neighbor 172.31.12.2 prefix-list gw-own-v6 out
  neighbor 172.31.12.2 maximum-prefix 50 80 warning-only
 exit-address-family
exit
)");
}

// Else what it may announce would be what the site announces, to everybody.
TEST(FrrConfig, APeerCalledOwnHasAListOfItsOwn) {
  std::string site = std::string(kSite) + "[routing]\nasn = 65001\n";
  site.replace(site.find("name = \"nyc\""), 12, "name = \"own\"");
  const auto text = frr_config(parsed(site));
  ASSERT_TRUE(text.has_value());
  EXPECT_NE(text->find("\nip prefix-list gw-in:own-v4 seq 5 permit 0.0.0.0/0\n"), std::string::npos) << *text;
  EXPECT_NE(text->find("\n  neighbor 10.255.0.3 prefix-list gw-in:own-v4 in\n"), std::string::npos) << *text;
  EXPECT_EQ(text->find("gw-own-v4 seq 5 permit 0.0.0.0/0"), std::string::npos) << *text;
}

TEST(FrrConfig, SaysWhatIsMissing) {
  EXPECT_NE(frr_config(parsed(std::string(kSite) + "[routing]\n")).error().text.find("'asn = NUMBER'"), std::string::npos);
  EXPECT_NE(frr_config(parsed(kSite)).error().text.find("[routing]"), std::string::npos);
  auto config = parsed(std::string(kSite) + "[routing]\nasn = 65001\n");
  for (auto& peer : config.peers) peer.enabled = false;
  EXPECT_NE(frr_config(config).error().text.find("overlay_address and accept"), std::string::npos);
}

}  // namespace
}  // namespace greywire::config
