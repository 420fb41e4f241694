#include "overlay/mesh/site_files.h"

#include <algorithm>
#include <sstream>

#include "overlay/config/load.h"
#include "tests/unit/overlay/mesh/sample_inventory.h"

namespace greywire::mesh {
namespace {

using testing::four;
using testing::parsed;

std::vector<SiteFile> files(const std::string& text) {
  const auto out = site_files(parsed(text), "mesh.toml");
  EXPECT_TRUE(out.has_value()) << out.error().text;
  return out ? *out : std::vector<SiteFile>{};
}

std::string text_of(const std::vector<SiteFile>& files, const std::string& path) {
  const auto it = std::find_if(files.begin(), files.end(), [&](const SiteFile& file) { return file.path == path; });
  EXPECT_NE(it, files.end()) << path;
  return it == files.end() ? "" : it->text;
}

config::Config config_of(const std::vector<SiteFile>& files, const std::string& site) {
  const auto loaded = config::parse(text_of(files, site + "/" + site + ".toml"), site + ".toml");
  EXPECT_EQ(loaded.diagnostics.to_string(), "");
  EXPECT_TRUE(loaded.config.has_value());
  return loaded.config.value_or(config::Config{});
}

bool has(const std::string& text, const std::string& line) { return ("\n" + text).find("\n" + line + "\n") != std::string::npos; }

std::vector<std::string> rules(const routing::Ceiling& ceiling) {
  std::vector<std::string> out;
  for (const auto& rule : ceiling.rules()) out.push_back(rule.to_string());
  std::sort(out.begin(), out.end());
  return out;
}

// Whatever the shape: each config is accepted without a warning, and both ends of a link say the same of it.
TEST(SiteFiles, BothEndsOfEveryLinkAgree) {
  const std::string shapes[] = {
      four("topology = \"full\"\n"),
      four("topology = \"full\"\nliveness = \"off\"\nbfd = \"off\"\n", "transit = true\n"),
      four("topology = \"full\"\nbgp = \"ibgp\"\n"),
      four("topology = \"full\"\nbgp = \"ibgp\"\n", "reflector = true\n", "reflector = true\n"),
      four("topology = \"hub\"\n", "hub = true\n"),
      four("topology = \"hub\"\nbgp = \"ibgp\"\n", "hub = true\n", "hub = true\n"),
      four("topology = \"partial\"\n", "links = \"fra\"\n", "transit = true\n", "links = [\"fra\", \"sin\"]\ntransit = true\n"),
      four("topology = \"full\"\n", "listen_port = 4500\n", "overlay_address = \"10.9.0.2\"\nasn = 65010\n"),
      four("topology = \"full\"\n", "", "revoked = true\n"),
  };
  for (const auto& shape : shapes) {
    SCOPED_TRACE(shape);
    const auto inventory = parsed(shape);
    const auto written = files(shape);
    for (const auto& site : inventory.sites) {
      if (site.revoked) continue;
      const auto own = config_of(written, site.name);
      EXPECT_EQ(own.site.networks, site.networks);
      EXPECT_EQ(own.routing->asn, inventory.asn_of(site));
      for (const auto& peer : own.peers) {
        const auto other = config_of(written, peer.name);
        EXPECT_EQ(other.site.overlay_addresses, peer.overlay_addresses);
        EXPECT_EQ(other.routing->asn, peer.asn);
        const auto* back = other.find_peer(site.name);
        ASSERT_NE(back, nullptr);
        EXPECT_EQ(back->public_key, site.public_key);
        for (const auto& network : other.site.networks) EXPECT_TRUE(peer.accept.admits(network)) << network.to_string();
      }
    }
  }
}

TEST(SiteFiles, ASitesFilesAndTheirOrder) {
  const auto written = files(four("topology = \"full\"\n", "", "revoked = true\n"));
  std::vector<std::string> paths;
  for (const auto& file : written) {
    paths.push_back(file.path);
    EXPECT_NE(file.text.substr(0, file.text.find('\n')).find(kWrittenBy), std::string::npos) << file.path;
    EXPECT_EQ(file.text.find("fra"), std::string::npos) << file.path << ": the revoked site is in nothing";
  }
  const std::vector<std::string> expected{"ams/ams.toml", "ams/frr.conf", "ams/key-request.txt", "nyc/nyc.toml", "nyc/frr.conf",
                                          "nyc/key-request.txt", "sin/sin.toml", "sin/frr.conf", "sin/key-request.txt"};
  EXPECT_EQ(paths, expected);
  EXPECT_TRUE(is_running_config("ams/ams.toml"));
  EXPECT_TRUE(is_running_config("ams/frr.conf"));
  EXPECT_FALSE(is_running_config("ams/key-request.txt"));
}

TEST(SiteFiles, ASiteWithoutAKeyIsLeftOutByItsPeers) {
  const auto text = testing::mesh_section("topology = \"full\"\n") + testing::site_section(1) + testing::site_section(3) +
                    "[[site]]\nname = \"fra\"\nnumber = 2\nnetworks = \"10.2.0.0/16\"\n";
  const auto written = files(text);
  EXPECT_EQ(config_of(written, "ams").peers.size(), 1U);
  EXPECT_TRUE(has(text_of(written, "ams/ams.toml"), "# fra is not enrolled yet: no [[peer]]"));
  EXPECT_EQ(config_of(written, "fra").peers.size(), 2U);
  EXPECT_NE(text_of(written, "fra/key-request.txt").find("greywire mesh enroll fra\n"), std::string::npos);
  EXPECT_NE(text_of(written, "ams/key-request.txt").find(std::string("  ams ") + testing::kKeys[0]), std::string::npos);
  EXPECT_EQ(not_enrolled(parsed(text)), std::vector<std::string>{"fra"});
}

TEST(SiteFiles, ASpokeAcceptsFromTheHubWhatIsBehindTheOthers) {
  const auto written = files(four("topology = \"hub\"\nmax_prefixes = 7\n", "hub = true\n"));
  const auto spoke = config_of(written, "nyc");
  ASSERT_EQ(spoke.peers.size(), 1U);
  const std::vector<std::string> expected{"10.1.0.0/16 le 32", "10.2.0.0/16 le 32", "10.4.0.0/16 le 32",
                                          "fd00:1::/48 le 128", "fd00:2::/48 le 128", "fd00:4::/48 le 128"};
  EXPECT_EQ(rules(spoke.peers[0].accept), expected);
  EXPECT_EQ(spoke.peers[0].max_prefixes, 21U);
  const auto hub = config_of(written, "ams");
  EXPECT_EQ(rules(hub.find_peer("nyc")->accept), (std::vector<std::string>{"10.3.0.0/16 le 32", "fd00:3::/48 le 128"}));
}

TEST(SiteFiles, AnEbgpSpokeSaysToBgpdWhatItSaysToGreywire) {
  const auto text = text_of(files(four("topology = \"hub\"\n", "hub = true\n")), "nyc/frr.conf");
  for (const char* line :
       {"no ip nht resolve-via-default", "no ipv6 nht resolve-via-default", "router bgp 4200000003", " bgp router-id 10.255.0.3",
        " neighbor 10.255.0.1 remote-as 4200000001", " neighbor 10.255.0.1 disable-connected-check", " neighbor 10.255.0.1 bfd",
        " neighbor 10.255.0.1 timers connect 5", "bfd", " peer 10.255.0.1 multihop local-address 10.255.0.3"}) {
    EXPECT_TRUE(has(text, line)) << line << "\n" << text;
  }
  EXPECT_EQ(text.find("route-reflector-client"), std::string::npos);
}

TEST(SiteFiles, BfdSaysWhatIsNotFrrsDefault) {
  const auto of = [](const std::string& bfd) {
    const auto text = text_of(files(four("topology = \"hub\"\nbfd = \"" + bfd + "\"\n", "hub = true\n")), "nyc/frr.conf");
    return text.substr(text.find("\nbfd\n"));
  };
  EXPECT_EQ(of("300ms x 3"), "\nbfd\n peer 10.255.0.1 multihop local-address 10.255.0.3\n exit\nexit\n");
  EXPECT_EQ(of("200ms x 4"), "\nbfd\n peer 10.255.0.1 multihop local-address 10.255.0.3\n  detect-multiplier 4\n"
                            "  receive-interval 200\n  transmit-interval 200\n exit\nexit\n");
}

TEST(SiteFiles, AnIbgpHubReflectsWithItsOwnNextHop) {
  const auto text = text_of(files(four("topology = \"hub\"\nbgp = \"ibgp\"\nbfd = \"off\"\n", "hub = true\n")), "ams/frr.conf");
  for (const char* line : {"  neighbor 10.255.0.3 route-reflector-client", "  neighbor 10.255.0.3 next-hop-self force"}) {
    EXPECT_TRUE(has(text, line)) << line << "\n" << text;
  }
  EXPECT_EQ(text.find("bfd"), std::string::npos) << text;
  EXPECT_EQ(text.find("disable-connected-check"), std::string::npos) << text;
}

TEST(SiteFiles, ReflectorsOfAFullMeshKeepTheNextHops) {
  const auto written = files(four("topology = \"full\"\nbgp = \"ibgp\"\n", "reflector = true\n", "reflector = true\n"));
  const auto reflector = text_of(written, "ams/frr.conf"), client = text_of(written, "nyc/frr.conf");
  EXPECT_TRUE(has(reflector, "  neighbor 10.255.0.3 route-reflector-client")) << reflector;
  EXPECT_FALSE(has(reflector, "  neighbor 10.255.0.2 route-reflector-client")) << "the reflectors are peers of each other";
  EXPECT_EQ(reflector.find("next-hop-self"), std::string::npos);
  EXPECT_NE(client.find("neighbor 10.255.0.1 "), std::string::npos);
  EXPECT_NE(client.find("neighbor 10.255.0.2 "), std::string::npos);
  EXPECT_EQ(client.find("neighbor 10.255.0.4 "), std::string::npos) << "no session between clients";
  // The data plane stays direct: who is heard of by a reflector sends from its own tunnel.
  EXPECT_EQ(config_of(written, "nyc").peers.size(), 3U);
  EXPECT_TRUE(config_of(written, "nyc").find_peer("sin")->accept.admits(*Prefix::parse("10.4.1.0/24")));
  EXPECT_FALSE(config_of(written, "nyc").find_peer("ams")->accept.admits(*Prefix::parse("10.4.1.0/24")));
}

// "permit" rules of one list of a frr.conf, both families.
std::vector<std::string> permitted(const std::string& frr, const std::string& list) {
  std::vector<std::string> out;
  std::istringstream lines(frr);
  for (std::string line; std::getline(lines, line);) {
    const auto permit = line.find(" permit ");
    if (permit == std::string::npos || line.find(" prefix-list gw-" + list + "-v") == std::string::npos) continue;
    out.push_back(line.substr(permit + 8));
  }
  std::sort(out.begin(), out.end());
  return out;
}

// What bgpd lets in is what the engine lets in, and who passes on announces what the other end takes, no more and no less.
TEST(SiteFiles, WhatATransitSiteAnnouncesIsWhatItsNeighbourAccepts) {
  const std::string shapes[] = {
      four("topology = \"hub\"\n", "hub = true\n"),
      four("topology = \"hub\"\nbgp = \"ibgp\"\n", "hub = true\n", "hub = true\n"),
      four("topology = \"full\"\n", "transit = true\n"),
      four("topology = \"partial\"\n", "links = \"fra\"\n", "transit = true\n", "links = [\"fra\", \"sin\"]\ntransit = true\n"),
  };
  for (const auto& shape : shapes) {
    SCOPED_TRACE(shape);
    const auto inventory = parsed(shape);
    const auto written = files(shape);
    for (const auto& site : inventory.sites) {
      const auto frr = text_of(written, site.name + "/frr.conf");
      for (const auto& peer : config_of(written, site.name).peers) {
        EXPECT_EQ(permitted(frr, peer.name), rules(peer.accept)) << site.name << " from " << peer.name;
        const auto far = config_of(written, peer.name);
        if (inventory.passes_on(site)) {
          EXPECT_EQ(permitted(frr, "out:" + peer.name), rules(far.find_peer(site.name)->accept)) << site.name << " to " << peer.name;
        } else {
          EXPECT_EQ(permitted(frr, "own"), rules(far.find_peer(site.name)->accept)) << site.name << " to " << peer.name;
        }
      }
    }
  }
}

TEST(SiteFiles, ANewSpokeChangesNoOtherSpokesAddresses) {
  const auto shape = [](const std::string& last) {
    return testing::mesh_section("topology = \"hub\"\n") + testing::site_section(1, "hub = true\n") + testing::site_section(2) + last;
  };
  const auto before = config_of(files(shape("")), "fra"), after = config_of(files(shape(testing::site_section(4))), "fra");
  EXPECT_EQ(before.site, after.site);
  EXPECT_EQ(before.routing->asn, after.routing->asn);
}

}  // namespace
}  // namespace greywire::mesh
