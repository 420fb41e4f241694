// Whose entry it is: the configuration's, `wg`'s or learned; each may take away only its own.
#include "router/allowed_ips/allowed_ips_book.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace greywire {
namespace {

Prefix prefix(const char* text) { return Prefix::parse(text).value(); }

class Book : public ::testing::Test {
 protected:
  std::map<std::string, Origin> entries(PeerId peer) {
    std::map<std::string, Origin> out;
    for (const auto& entry : book.entries(peer)) out[entry.prefix.to_string()] = entry.origin;
    return out;
  }
  RouteTarget target(const char* address) {
    book.flush();
    return table.root().load()->lookup(IpAddress::parse(address).value());
  }
  void learn(const char* text, PeerId peer) {
    const LearnedRoute route{prefix(text), LearnedRoute::Action::kToPeer, peer};
    book.learn({&route, 1});
  }

  QuiescentDomain domain;
  AllowedIpsTable table{domain};
  AllowedIpsBook book{table};
  const PeerId one{1}, two{2};
};

using AllowedIpsBookTest = Book;
using Entries = std::map<std::string, Origin>;

TEST_F(AllowedIpsBookTest, MovesFromPeerToPeer) {
  book.assign(prefix("10.0.0.0/8"), one, Origin::kWg);
  book.assign(prefix("10.0.0.0/8"), two, Origin::kWg);
  EXPECT_EQ(entries(one), Entries{});
  EXPECT_EQ(target("10.1.1.1").value, two.value);
  book.remove(prefix("10.0.0.0/8"), one, Origin::kWg);
  EXPECT_EQ(target("10.1.1.1").value, two.value) << "only the owner can remove it";
  book.remove(prefix("10.0.0.0/8"), two, Origin::kWg);
  EXPECT_EQ(target("10.1.1.1"), kNone);
}

TEST_F(AllowedIpsBookTest, WgCannotMoveOrRemoveTheConfigs) {
  book.assign(prefix("10.0.0.0/8"), one, Origin::kConfig);
  book.assign(prefix("10.0.0.0/8"), two, Origin::kWg);
  book.assign(prefix("10.0.0.0/8"), one, Origin::kWg);
  book.remove(prefix("10.0.0.0/8"), one, Origin::kWg);
  book.remove_fixed(one, Origin::kWg);
  EXPECT_EQ(entries(one), (Entries{{"10.0.0.0/8", Origin::kConfig}}));
  EXPECT_EQ(entries(two), Entries{});
  book.remove(prefix("10.0.0.0/8"), one, Origin::kConfig);
  EXPECT_EQ(entries(one), Entries{});
}

TEST_F(AllowedIpsBookTest, ReplacingTakesAwayOneOriginOnly) {
  book.assign(prefix("10.1.0.0/16"), one, Origin::kConfig);
  book.assign(prefix("10.2.0.0/16"), one, Origin::kWg);
  learn("10.3.0.0/16", one);
  book.remove_fixed(one, Origin::kWg);
  EXPECT_EQ(entries(one), (Entries{{"10.1.0.0/16", Origin::kConfig}, {"10.3.0.0/16", Origin::kLearned}}));
  book.remove_peer(one);
  EXPECT_EQ(entries(one), Entries{});
  for (const char* address : {"10.1.0.1", "10.2.0.1", "10.3.0.1"}) EXPECT_EQ(target(address), kNone) << address;
}

TEST_F(AllowedIpsBookTest, TheLearnedOneComesBackBehindTheFixedOne) {
  learn("10.0.0.0/8", one);
  book.assign(prefix("10.0.0.0/8"), two, Origin::kWg);
  EXPECT_EQ(target("10.1.1.1").value, two.value);
  EXPECT_EQ(entries(one), Entries{});
  book.remove(prefix("10.0.0.0/8"), two, Origin::kWg);
  EXPECT_EQ(target("10.1.1.1").value, one.value);
  EXPECT_EQ(entries(one), (Entries{{"10.0.0.0/8", Origin::kLearned}}));
}

TEST_F(AllowedIpsBookTest, ARefusedRouteIsNobodys) {
  book.assign(prefix("10.0.0.0/8"), one, Origin::kConfig);
  const LearnedRoute refused{prefix("10.9.0.0/16"), LearnedRoute::Action::kRefused, {}};
  book.learn({&refused, 1});
  EXPECT_EQ(target("10.9.0.1"), kDiscard);
  EXPECT_EQ(target("10.8.0.1").value, one.value);
  const LearnedRoute withdrawn{prefix("10.9.0.0/16"), LearnedRoute::Action::kWithdrawn, {}};
  book.learn({&withdrawn, 1});
  EXPECT_EQ(target("10.9.0.1").value, one.value);
}

}  // namespace
}  // namespace greywire
