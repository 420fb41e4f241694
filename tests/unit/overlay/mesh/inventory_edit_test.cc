#include "overlay/mesh/inventory_edit.h"

#include "tests/unit/overlay/mesh/sample_inventory.h"

namespace greywire::mesh {
namespace {

using testing::parsed;

constexpr char kText[] = R"(# ours
[mesh]
topology = "full"
overlay  = "10.255.0.0/24"

[[site]]
name     = "ams"   # the first
number   = 1
endpoint = "192.0.2.1:51820"
[[site]]
  name = "fra"
  number = 2
  public_key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="  # of March
  revoked = false # not yet
[[site]]
name = "nyc"
number = 3
endpoint = "192.0.2.3:51820")";

PublicKey key(std::size_t at) { return *PublicKey::from_base64(testing::kKeys[at]); }

// `line` is what `after` has more than, or instead of, `before`.
std::string with(const std::string& from, const std::string& to) {
  std::string out = kText;
  out.replace(out.find(from), from.size(), to);
  return out;
}

TEST(InventoryEdit, AKeyIsAddedBelowTheNameAndNothingElseChanges) {
  const auto text = with_public_key(kText, parsed(kText), "ams", key(1));
  ASSERT_TRUE(text.has_value()) << text.error().text;
  EXPECT_EQ(*text, with("# the first\n", std::string("# the first\npublic_key = \"") + testing::kKeys[1] + "\"\n"));
}

TEST(InventoryEdit, AKeyIsReplacedInItsLine) {
  const auto text = with_public_key(kText, parsed(kText), "fra", key(1));
  ASSERT_TRUE(text.has_value()) << text.error().text;
  EXPECT_EQ(*text, with(testing::kKeys[0], testing::kKeys[1]));
}

TEST(InventoryEdit, ASiteIsRevokedWhereItSaysAndWhereItDoesNot) {
  const auto said = with_revoked(kText, parsed(kText), "fra");
  ASSERT_TRUE(said.has_value()) << said.error().text;
  EXPECT_EQ(*said, with("false # not yet", "true # not yet"));
  const auto again = with_revoked(*said, parsed(*said), "fra");
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(*again, *said);
  const auto last = with_revoked(kText, parsed(kText), "nyc");
  ASSERT_TRUE(last.has_value()) << last.error().text;
  EXPECT_EQ(*last, with("name = \"nyc\"\n", "name = \"nyc\"\nrevoked = true\n"));
}

TEST(InventoryEdit, WhatCannotBeDoneIsSaid) {
  const auto inventory = parsed(kText);
  EXPECT_EQ(with_revoked(kText, inventory, "far").error().text, "there is no site 'far'; did you mean 'fra'?");
  EXPECT_EQ(with_public_key(kText, inventory, "ams", key(0)).error().text, "this is the key of site 'fra'");
  EXPECT_EQ(with_public_key(kText, inventory, "ams", key(1), true).error().text, "site 'ams' has no key yet: leave out --rotate");
  const auto rotating = with_public_key(kText, inventory, "fra", key(1), true);
  ASSERT_TRUE(rotating.has_value()) << rotating.error().text;
  EXPECT_NE(rotating->find("rotating = true"), std::string::npos);
  EXPECT_EQ(with_public_key(kText, inventory, "fra", key(0), true).error().text, "site 'fra' has this key already");
  const auto again = with_public_key(*rotating, parsed(*rotating), "fra", key(2), true);
  ASSERT_FALSE(again.has_value());
  EXPECT_NE(again.error().text.find("finish that first"), std::string::npos);
  const auto at_once = with_public_key(*rotating, parsed(*rotating), "fra", key(2));
  ASSERT_TRUE(at_once.has_value()) << at_once.error().text;
  EXPECT_NE(at_once->find("rotating = false"), std::string::npos) << "what came before counts no more";
  const std::string inlined = "site = [{name = \"a\", number = 1}]\n[mesh]\ntopology = \"full\"\noverlay = \"10.255.0.0/24\"\n";
  const auto refused = with_public_key(inlined, parsed(inlined), "a", key(0));
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().text.find("by hand"), std::string::npos) << refused.error().text;
}

}  // namespace
}  // namespace greywire::mesh
