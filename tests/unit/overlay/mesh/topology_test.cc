#include "overlay/mesh/topology.h"

#include "tests/unit/overlay/mesh/sample_inventory.h"

namespace greywire::mesh {
namespace {

using Sites = std::vector<std::size_t>;
using testing::four;
using testing::parsed;

TEST(Links, FullIsEverybodyWithEverybodyButTheRevoked) {
  const auto inventory = parsed(four("topology = \"full\"\n", "", "revoked = true\n"));
  const Links links(inventory);
  EXPECT_EQ(links.of(0), (Sites{2, 3}));
  EXPECT_EQ(links.of(1), Sites{});
  EXPECT_EQ(links.heard(0, 2), Sites{2});
  EXPECT_EQ(links.out_of_reach(0), Sites{});
}

TEST(Links, AHubPassesOnAllOthers) {
  const auto inventory = parsed(four("topology = \"hub\"\n", "hub = true\n"));
  const Links links(inventory);
  EXPECT_EQ(links.of(0), (Sites{1, 2, 3}));
  EXPECT_EQ(links.of(2), Sites{0});
  EXPECT_EQ(links.heard(2, 0), (Sites{0, 1, 3}));
  EXPECT_EQ(links.heard(0, 2), Sites{2});
  EXPECT_EQ(links.out_of_reach(2), Sites{});
}

TEST(Links, LinksCountInBothDirectionsAndGroupsAmongThemselves) {
  const auto inventory =
      parsed(four("topology = \"partial\"\n", "links = \"fra\"\n", "groups = [\"g\", \"h\"]\n", "groups = \"g\"\n", "groups = \"h\"\n"));
  const Links links(inventory);
  EXPECT_EQ(links.of(0), Sites{1});
  EXPECT_EQ(links.of(1), (Sites{0, 2, 3}));
  EXPECT_EQ(links.of(2), Sites{1});
  EXPECT_EQ(links.out_of_reach(0), (Sites{2, 3}));
}

// ams - fra - nyc - sin, the two in the middle pass on.
TEST(Links, WhatIsPassedOnGoesOverSeveralSites) {
  const auto inventory = parsed(four("topology = \"partial\"\n", "links = \"fra\"\n", "transit = true\n",
                                     "links = [\"fra\", \"sin\"]\ntransit = true\n"));
  const Links links(inventory);
  EXPECT_EQ(links.heard(0, 1), (Sites{1, 2, 3}));
  EXPECT_EQ(links.heard(1, 0), Sites{0});
  EXPECT_EQ(links.heard(1, 2), (Sites{2, 3}));
  EXPECT_EQ(links.out_of_reach(0), Sites{});
}

}  // namespace
}  // namespace greywire::mesh
