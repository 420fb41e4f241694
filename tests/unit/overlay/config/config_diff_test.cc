#include "overlay/config/config_diff.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "overlay/config/load.h"
#include "overlay/config/schema.h"

namespace greywire::config {
namespace {

using Names = std::vector<std::string>;

constexpr char kFra[] = R"(
[[peer]]
name = "fra"
public_key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
endpoint = "192.0.2.1:51820"
overlay_address = "10.255.0.2"
accept = "10.2.0.0/16 le 24"
)";
constexpr char kNyc[] = R"(
[[peer]]
name = "nyc"
public_key = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
endpoint = "192.0.2.2:51820"
overlay_address = "10.255.0.3"
)";
constexpr char kGre[] = R"(
[[tunnel]]
name = "gre-fra"
kind = "gre"
peer = "fra"
address = "172.31.12.1/30"
)";
constexpr char kTap[] = R"(
[[tunnel]]
name = "tap-nyc"
kind = "gretap"
peer = "nyc"
key = 42
)";

std::string site(const std::string& more = "") {
  return "[site]\nname = \"ams\"\nprivate_key_file = \"k\"\noverlay_address = \"10.255.0.1\"\n" + more;
}

Config config(const std::string& text) {
  auto loaded = parse(text, "site.toml");
  EXPECT_TRUE(loaded.config.has_value()) << loaded.diagnostics.to_string();
  return loaded.config.value_or(Config());
}

std::string replaced(std::string text, const std::string& old, const std::string& fresh) {
  const auto at = text.find(old);
  EXPECT_NE(at, std::string::npos) << old;
  return at == std::string::npos ? text : text.replace(at, old.size(), fresh);
}

const std::string kAll = site() + kFra + kNyc + kGre + kTap;

TEST(ConfigDiff, TheSameTextAndTheSameInAnotherOrderOfLinesDifferInNothing) {
  EXPECT_TRUE(diff(config(kAll), config(kAll)).empty());
  const auto moved = diff(config(kAll), config("# a comment\n\n" + site() + kNyc + kFra + kTap + kGre));
  EXPECT_TRUE(moved.empty());
  EXPECT_EQ(moved.affected_tunnels, Names());
  EXPECT_EQ(moved.lines(), Names());
}

TEST(ConfigDiff, PeersComeAndGoWithTheirTunnels) {
  const auto less = config(site() + kFra + kGre);
  const auto added = diff(less, config(kAll));
  EXPECT_EQ(added.added_peers, Names{"nyc"});
  EXPECT_EQ(added.added_tunnels, Names{"tap-nyc"});
  EXPECT_EQ(added.lines(), (Names{"peer nyc added", "tunnel tap-nyc added"}));
  const auto removed = diff(config(kAll), less);
  EXPECT_EQ(removed.removed_peers, Names{"nyc"});
  EXPECT_EQ(removed.removed_tunnels, Names{"tap-nyc"});
  EXPECT_EQ(removed.changed_peers, Names());
  EXPECT_FALSE(removed.site);
}

TEST(ConfigDiff, ADisabledPeerIsAbsentAndSoAreItsTunnels) {
  const auto off = config(replaced(kAll, "name = \"fra\"", "name = \"fra\"\nenabled = false"));
  const auto switched = diff(config(kAll), off);
  EXPECT_EQ(switched.removed_peers, Names{"fra"});
  EXPECT_EQ(switched.removed_tunnels, Names{"gre-fra"});
  const auto back = diff(off, config(kAll));
  EXPECT_EQ(back.added_peers, Names{"fra"});
  EXPECT_EQ(back.added_tunnels, Names{"gre-fra"});
  EXPECT_TRUE(diff(off, off).empty());
}

TEST(ConfigDiff, AChangedPeerAffectsItsTunnelsOnly) {
  const auto changed = diff(config(kAll), config(replaced(kAll, "10.2.0.0/16 le 24", "10.2.0.0/16 le 28")));
  EXPECT_EQ(changed.changed_peers, Names{"fra"});
  EXPECT_EQ(changed.affected_tunnels, Names{"gre-fra"});
  EXPECT_EQ(changed.lines(), Names{"peer fra changed: accept"});
}

TEST(ConfigDiff, ATunnelKeepsItsDeviceUnlessItsKindChanges) {
  const auto options = diff(config(kAll), config(replaced(kAll, "key = 42", "key = 43")));
  EXPECT_EQ(options.changed_tunnels, Names{"tap-nyc"});
  EXPECT_EQ(options.removed_tunnels, Names());
  const auto moved = diff(config(kAll), config(replaced(kAll, "peer = \"nyc\"", "peer = \"fra\"")));
  EXPECT_EQ(moved.changed_tunnels, Names{"tap-nyc"});
  const auto kind = diff(config(kAll), config(replaced(kAll, "kind = \"gretap\"", "kind = \"gre\"")));
  EXPECT_EQ(kind.removed_tunnels, Names{"tap-nyc"});
  EXPECT_EQ(kind.added_tunnels, Names{"tap-nyc"});
  EXPECT_EQ(kind.changed_tunnels, Names());
}

TEST(ConfigDiff, WhatTheSiteCanChangeWhileItRuns) {
  const auto networks = diff(config(kAll), config(replaced(kAll, site(), site("networks = \"10.1.0.0/16\"\nmtu = 1400\n"))));
  EXPECT_TRUE(networks.site);
  EXPECT_TRUE(networks.needs_restart.empty());
  EXPECT_EQ(networks.affected_tunnels, Names());
  const auto moved = diff(config(kAll), config(replaced(kAll, "10.255.0.1", "10.255.0.9")));
  EXPECT_TRUE(moved.needs_restart.empty());
  EXPECT_EQ(moved.affected_tunnels, (Names{"gre-fra", "tap-nyc"}));
}

TEST(ConfigDiff, WhatNeedsARestartIsNamedWithItsPlace) {
  const struct {
    std::string text;
    Names keys;
    std::uint32_t line;
  } cases[] = {
      {replaced(kAll, "\"ams\"", "\"lon\""), {"'name' of [site]", "'control' of [site]", "'state_dir' of [site]"}, 2},
      {replaced(kAll, site(), site("listen_port = 4500\n")), {"'listen_port' of [site]"}, 5},
      {replaced(kAll, site(), site("interface = \"gw1\"\n")), {"'interface' of [site]"}, 5},
      {replaced(kAll, site(), site("\n[underlay]\nmark = 7\n")), {"'mark' of [underlay]"}, 7},
      {replaced(kAll, site(), site("\n[underlay]\nvrf = \"red\"\n")), {"'vrf' of [underlay]"}, 7},
      {replaced(kAll, site(), site("\n[routing]\n")), {"section [routing]"}, 6},
  };
  for (const auto& c : cases) {
    const auto changed = diff(config(kAll), config(c.text));
    Names keys;
    for (const auto& need : changed.needs_restart) keys.push_back(need.key);
    EXPECT_EQ(keys, c.keys);
    ASSERT_FALSE(changed.needs_restart.empty());
    EXPECT_EQ(changed.needs_restart.front().at.line, c.line) << keys.front();
  }
}

// The site's own key and a peer's change without a restart. A peer that takes another's key is no longer the same.
TEST(ConfigDiff, KeysAreExchangedAtRunTime) {
  auto before = config(kAll);
  before.site.private_key = PrivateKey(std::array<std::uint8_t, kKeySize>{7});
  auto after = before;
  after.site.previous_key = before.site.private_key;
  after.site.private_key = PrivateKey(std::array<std::uint8_t, kKeySize>{1});
  after.peers.front().public_key = PublicKey(std::array<std::uint8_t, kKeySize>{9});
  const auto changed = diff(before, after);
  EXPECT_TRUE(changed.needs_restart.empty());
  EXPECT_TRUE(changed.site);
  EXPECT_EQ(changed.changed_peers, Names{before.peers.front().name});
  EXPECT_TRUE(changed.removed_peers.empty() && changed.added_peers.empty());
  EXPECT_EQ(changed.affected_tunnels, Names{"gre-fra"}) << "the peer's, fra";
  EXPECT_EQ(changed.changed_keys.at("peer fra"), "public_key");
  EXPECT_TRUE(diff(after, before).needs_restart.empty()) << "and back";
  auto alone = before;
  alone.site.private_key = after.site.private_key;
  ASSERT_EQ(diff(before, alone).needs_restart.size(), 1U) << "nobody knows the new key yet";
  EXPECT_EQ(diff(before, alone).needs_restart[0].key, "'private_key_file' of [site]");
  auto swapped = before;
  ASSERT_GE(swapped.peers.size(), 2U);
  std::swap(swapped.peers[0].public_key, swapped.peers[1].public_key);
  EXPECT_EQ(diff(before, swapped).removed_peers.size(), 2U);
  EXPECT_EQ(diff(before, swapped).added_peers.size(), 2U);
}

TEST(ConfigDiff, EveryKeyHasBeenDecidedAbout) {
  for (const auto& section : sections()) {
    for (const auto& key : section.keys) {
      EXPECT_TRUE(reload_of(section.name, key.name).has_value())
          << "say in config_diff.cc whether '" << key.name << "' of " << section.header << " needs a restart";
    }
  }
}

TEST(ConfigDiff, AChangeIsToldByEveryKey) {
  for (const auto& section : sections()) {
    if (section.name != "peer" && section.name != "tunnel") continue;
    for (const auto& key : section.keys) {
      if (key.name == "name") continue;
      EXPECT_TRUE(has_name_in_diff(section.name, key.name)) << "put '" << key.name << "' into the parts of config_diff.cc";
    }
  }
}

}  // namespace
}  // namespace greywire::config
