#include "overlay/mesh/inventory.h"

#include <set>

#include "overlay/config/schema.h"
#include "tests/unit/overlay/documents.h"
#include "tests/unit/overlay/mesh/sample_inventory.h"

namespace greywire::mesh {
namespace {

using testing::four;
using testing::mesh_section;
using testing::parsed;
using testing::said;
using testing::site_section;

TEST(Inventory, AddressAndAsFollowFromTheNumber) {
  const auto inventory = parsed(four("topology = \"full\"\n"));
  ASSERT_EQ(inventory.sites.size(), 4U);
  const Site& nyc = inventory.sites[2];
  ASSERT_EQ(nyc.overlay_addresses.size(), 2U);
  EXPECT_EQ(nyc.overlay_addresses[0].to_string(), "10.255.0.3");
  EXPECT_EQ(nyc.overlay_addresses[1].to_string(), "fd00:255::3");
  EXPECT_EQ(inventory.asn_of(nyc), 4200000003U);
  EXPECT_EQ(inventory.find("nyc"), &nyc);
  EXPECT_EQ(inventory.find("nyx"), nullptr);
  EXPECT_TRUE(nyc.enrolled());
  EXPECT_EQ(said(four("topology = \"full\"\n")), "");
}

TEST(Inventory, BothCanBeSetByHand) {
  const auto inventory = parsed(four("topology = \"full\"\nasn = 65000\n", "overlay_address = \"10.9.9.9\"\nasn = 64999\n"));
  ASSERT_EQ(inventory.sites[0].overlay_addresses.size(), 1U);
  EXPECT_EQ(inventory.sites[0].overlay_addresses[0].to_string(), "10.9.9.9");
  EXPECT_EQ(inventory.asn_of(inventory.sites[0]), 64999U);
  EXPECT_EQ(inventory.asn_of(inventory.sites[1]), 65002U);
}

TEST(Inventory, ANumberCarriesIntoTheBytesBefore) {
  const auto inventory = parsed("[mesh]\ntopology = \"full\"\noverlay = \"10.254.0.0/15\"\n[[site]]\nname = \"a\"\nnumber = 65535\n");
  ASSERT_EQ(inventory.sites[0].overlay_addresses.size(), 1U);
  EXPECT_EQ(inventory.sites[0].overlay_addresses[0].to_string(), "10.254.255.255");
}

TEST(Inventory, IbgpIsOneAs) {
  const auto inventory = parsed(four("topology = \"full\"\nbgp = \"ibgp\"\nasn = 65000\n"));
  for (const auto& site : inventory.sites) EXPECT_EQ(inventory.asn_of(site), 65000U);
}

// Each mistake is one line with its place, and says the way out.
TEST(Inventory, MistakesAreNamed) {
  const std::string full = "topology = \"full\"\n", partial = "topology = \"partial\"\n";
  const std::string key = std::string("public_key = \"") + testing::kKeys[0] + "\"\n";
  const struct {
    std::string text;
    const char* expected;
  } cases[] = {
      {"", "there is no [mesh] section"},
      {mesh_section(full), "there is no [[site]]"},
      {mesh_section("") + site_section(1), "[mesh] needs 'topology'"},
      {"[mesh]\ntopology = \"full\"\noverlay = []\n" + site_section(1), "must hold at least one prefix"},
      {mesh_section("topology = \"ring\"\n") + site_section(1), "ring"},
      {mesh_section(full) + "[[site]]\nname = \"a\"\n", "[[site]] needs 'number'"},
      {mesh_section(full) + "[[site]]\nname = \"a\"\nnumber = 0\n", "number"},
      {mesh_section(full) + "[[site]]\nname = \"a\"\nnumber = 300\n", "10.255.0.0/24 has no address with number 300"},
      {four(full, "netwroks = []\n"), "unknown key 'netwroks' in [[site]]; did you mean 'networks'?"},
      {mesh_section(full) + site_section(1) + site_section(1), "site 'ams' is there already, in line 5"},
      {mesh_section(full) + site_section(1) + "[[site]]\nname = \"fra\"\nnumber = 1\n", "number 1 is that of site 'ams' in line 6: 2 is free"},
      {mesh_section(full) + site_section(1) + "[[site]]\nname = \"fra\"\nnumber = 2\n" + key, "the public key of site 'fra' is that of site 'ams'"},
      {mesh_section(full) + site_section(1, "revoked = true\n") + "[[site]]\nname = \"fra\"\nnumber = 2\n" + key,
       "'ams', which is revoked,"},
      {mesh_section(full) + "[[site]]\nname = \"a\"\nnumber = 1\npublic_key = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n", "all zero"},
      {four(full, "overlay_address = \"10.255.0.2\"\n"), "overlay address 10.255.0.2"},
      {mesh_section(full) + site_section(1) + "[[site]]\nname = \"b\"\nnumber = 2\nendpoint = \"10.255.0.1:1\"\n", "it is inside the tunnel"},
      {mesh_section(full) + site_section(1) + "[[site]]\nname = \"b\"\nnumber = 2\nnetworks = \"10.1.2.0/24\"\n",
       "network 10.1.2.0/24 of site 'b' lies in 10.1.0.0/16 of site 'ams'"},
      {mesh_section(full) + "[[site]]\nname = \"b\"\nnumber = 2\nnetworks = \"10.255.0.0/16\"\n", "take the overlay from another range"},
      {mesh_section(full) + "[[site]]\nname = \"a\"\nnumber = 1\n[[site]]\nname = \"b\"\nnumber = 2\n", "neither can call the other"},
      {four(full, "overlay_address = \"10.9.0.1\"\n", "overlay_address = \"fd00:9::1\"\n"), "of different families"},
      {four(partial, "links = \"far\"\n"), "there is no site 'far'; did you mean 'fra'?"},
      {four(partial, "links = \"ams\"\n"), "has a link with itself"},
      {four(full, "links = \"fra\"\n"), "'links' of site 'ams' is for topology = \"partial\" alone"},
      {four(full, "hub = true\n"), "'hub' of site 'ams' is for topology = \"hub\" alone"},
      {four("topology = \"hub\"\n"), "needs a site with hub = true"},
      {four("topology = \"hub\"\n", "hub = true\nrevoked = true\n"), "needs a site with hub = true"},
      {four(full, "reflector = true\n"), "'reflector' of site 'ams'"},
      {four(full + "bgp = \"ibgp\"\n", "asn = 65001\n"), "'asn' of site 'ams' is for bgp = \"ebgp\" alone"},
      {four(full + "bgp = \"ibgp\"\n", "transit = true\n"), "nobody passes on packets"},
      {four(full + "asn = 4294967295\n"), "make no AS number"},
      {four(full + "asn = 65000\n", "asn = 65002\n"), "AS 65002"},
      {four(full + "bfd = \"300ms x 1\"\n"), "FRR takes a count of 2 at least"},
  };
  for (const auto& c : cases) {
    const auto loaded = parse_inventory(c.text, "mesh.toml");
    EXPECT_FALSE(loaded.inventory.has_value()) << c.expected;
    EXPECT_NE(loaded.diagnostics.to_string().find(c.expected), std::string::npos)
        << "expected: " << c.expected << "\nsaid: " << loaded.diagnostics.to_string();
  }
}

TEST(Inventory, ASiteOutOfReachIsAWarning) {
  const auto text = four("topology = \"partial\"\n", "links = [\"fra\", \"nyc\"]\n", "", "", "links = \"nyc\"\n");
  EXPECT_TRUE(parse_inventory(text, "m").inventory.has_value());
  EXPECT_NE(said(text).find("site 'ams' does not reach sin"), std::string::npos) << said(text);
  EXPECT_EQ(said(four("topology = \"partial\"\n", "links = [\"fra\", \"nyc\"]\ntransit = true\n", "", "transit = true\n", "links = \"nyc\"\n")), "");
}

TEST(Inventory, ARevokedSiteNeedsNoEndpointAndItsNetworksAreFree) {
  const auto text = mesh_section("topology = \"full\"\n") + site_section(1, "revoked = true\n") +
                    "[[site]]\nname = \"b\"\nnumber = 2\nnetworks = \"10.1.0.0/16\"\n";
  EXPECT_EQ(said(text), "");
}

// Set GREYWIRE_UPDATE_DOCS=1 to write the tables anew after a change of the schema.
TEST(Inventory, DocsHoldTheTablesOfTheSchema) {
  greywire::testing::expect_printed("docs/mesh.md", "overlay/mesh/inventory_schema.cc", config::reference_markdown(inventory_sections()) + "\n");
}

TEST(Inventory, EveryKeyIsExplained) {
  greywire::testing::expect_explained(inventory_sections());
}

}  // namespace
}  // namespace greywire::mesh
