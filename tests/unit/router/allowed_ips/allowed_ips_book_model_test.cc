// The book against its rules spelled out over a plain map, and the cases where several origins meet in one
// prefix.
#include <gtest/gtest.h>

#include <map>

#include "router/allowed_ips/allowed_ips_book.h"
#include "tests/sim/seed.h"

namespace greywire {
namespace {

constexpr PeerId kA{1}, kB{2}, kC{3};
using Action = LearnedRoute::Action;

Prefix prefix(std::string_view text) {
  return Prefix::parse(text).value();
}
RouteTarget to(PeerId peer) {
  return RouteTarget::of(NextHopGroupId{peer.value});
}

class BookModel : public ::testing::Test {
 protected:
  RouteTarget target(std::string_view p) {
    book.flush();
    return table.exact(prefix(p));
  }
  void learn(std::string_view p, Action action, PeerId peer = kA) {
    const LearnedRoute route{prefix(p), action, peer};
    book.learn({&route, 1});
  }
  std::size_t count(PeerId peer) { return book.entries(peer).size(); }

  QuiescentDomain domain;
  AllowedIpsTable table{domain};
  AllowedIpsBook book{table};
};

TEST_F(BookModel, NothingReachesTheTableBeforeFlush) {
  book.assign(prefix("10.1.0.0/16"), kA, Origin::kWg);
  EXPECT_EQ(table.size(), 0U);
  book.flush();
  EXPECT_EQ(table.exact(prefix("10.1.0.0/16")), to(kA));
}

TEST_F(BookModel, TheConfigurationMovesWhatWgFixedAndNotTheOtherWay) {
  book.assign(prefix("10.1.0.0/16"), kA, Origin::kWg);
  book.assign(prefix("10.1.0.0/16"), kB, Origin::kConfig);
  EXPECT_EQ(target("10.1.0.0/16"), to(kB));
  EXPECT_EQ(count(kA), 0U);
  book.assign(prefix("10.1.0.0/16"), kA, Origin::kWg);
  EXPECT_EQ(target("10.1.0.0/16"), to(kB));
  EXPECT_EQ(book.owner(prefix("10.1.0.0/16")), kB);
}

TEST_F(BookModel, ARefusedRouteDiscardsUntilItIsAcceptedOrWithdrawn) {
  book.assign(prefix("10.0.0.0/8"), kB, Origin::kConfig);
  learn("10.1.0.0/16", Action::kRefused);
  EXPECT_EQ(target("10.1.0.0/16"), kDiscard);
  EXPECT_EQ(table.root().load()->lookup(IpAddress::parse("10.1.2.3").value()), kDiscard)
      << "no shorter prefix";
  EXPECT_EQ(count(kA), 0U) << "nobody's";
  EXPECT_FALSE(book.owner(prefix("10.1.0.0/16")));
  learn("10.1.0.0/16", Action::kToPeer);
  EXPECT_EQ(target("10.1.0.0/16"), to(kA));
  EXPECT_EQ(count(kA), 1U);
  learn("10.1.0.0/16", Action::kRefused);
  learn("10.1.0.0/16", Action::kWithdrawn);
  learn("10.1.0.0/16", Action::kWithdrawn);
  EXPECT_EQ(target("10.1.0.0/16"), kNone);
}

TEST_F(BookModel, LearnedRoutesMoveBetweenPeers) {
  learn("10.1.0.0/16", Action::kToPeer, kA);
  learn("10.1.0.0/16", Action::kToPeer, kB);
  EXPECT_EQ(target("10.1.0.0/16"), to(kB));
  EXPECT_EQ(count(kA), 0U);
  book.remove_peer(kA);
  EXPECT_EQ(target("10.1.0.0/16"), to(kB));
}

TEST_F(BookModel, APeerThatGoesTakesItsOwnOnly) {
  book.assign(prefix("10.1.0.0/16"), kA, Origin::kConfig);
  learn("10.1.0.0/16", Action::kToPeer, kB);
  learn("10.2.0.0/16", Action::kToPeer, kA);
  learn("10.4.0.0/16", Action::kRefused, kA);
  book.assign(prefix("10.3.0.0/16"), kB, Origin::kWg);
  learn("10.3.0.0/16", Action::kToPeer, kA);
  book.remove_peer(kA);
  EXPECT_EQ(target("10.1.0.0/16"), to(kB)) << "what lay below comes up";
  EXPECT_EQ(target("10.2.0.0/16"), kNone);
  EXPECT_EQ(target("10.3.0.0/16"), to(kB));
  EXPECT_EQ(target("10.4.0.0/16"), kDiscard) << "a refused route is nobody's and stays refused";
  EXPECT_EQ(count(kA), 0U);
  book.remove_peer(kA);
  book.remove_fixed(kB, std::nullopt);
  EXPECT_EQ(target("10.3.0.0/16"), kNone) << "nothing of A is left below";
}

struct Truth {
  std::optional<std::pair<PeerId, Origin>> fixed;
  std::optional<PeerId> learned;
  bool refused = false;
};
using Model = std::map<Prefix, Truth>;

void change(AllowedIpsBook& book, Model& model, test::SeededRandom& random) {
  const auto network = static_cast<std::uint32_t>(0x0a000000 + (random.below(6) << 16));
  const Prefix p(IpAddress::v4(network), 8 + static_cast<unsigned>(random.below(3)) * 8);
  const PeerId peer{1 + static_cast<std::uint32_t>(random.below(3))};
  const Origin origin = random.below(2) == 0 ? Origin::kConfig : Origin::kWg;
  const std::uint64_t what = random.below(40);
  Truth& t = model[p];
  if (what == 0) {
    book.remove_peer(peer);
    for (auto& [q, entry] : model) {
      if (entry.fixed && entry.fixed->first == peer) entry.fixed.reset();
      if (entry.learned == peer) entry.learned.reset();
    }
  } else if (what < 3) {
    book.remove_fixed(peer, origin);
    for (auto& [q, entry] : model) {
      if (entry.fixed == std::pair(peer, origin)) entry.fixed.reset();
    }
  } else if (what < 15) {
    book.assign(p, peer, origin);
    if (!(origin == Origin::kWg && t.fixed && t.fixed->second == Origin::kConfig)) t.fixed = {peer, origin};
  } else {
    const auto action = static_cast<Action>(random.below(3));
    const LearnedRoute route{p, action, peer};
    book.learn({&route, 1});
    t.learned.reset();
    if (action == Action::kToPeer) t.learned = peer;
    t.refused = action == Action::kRefused;
  }
}

TEST_F(BookModel, AgreesWithTheModel) {
  test::SeededRandom random(test::draw_seed("AgreesWithTheModel"));
  Model model;
  for (int step = 0; step < 20000; ++step) {
    change(book, model, random);
    if (step % 7 != 0) continue;
    book.flush();
    std::map<PeerId, std::size_t> owned;
    for (const auto& [p, truth] : model) {
      RouteTarget expected = kNone;
      if (truth.fixed) {
        expected = to(truth.fixed->first);
        ++owned[truth.fixed->first];
      } else if (truth.refused) {
        expected = kDiscard;
      } else if (truth.learned) {
        expected = to(*truth.learned);
        ++owned[*truth.learned];
      }
      ASSERT_EQ(table.exact(p), expected) << p.to_string() << " at step " << step;
    }
    for (const PeerId who : {kA, kB, kC}) ASSERT_EQ(count(who), owned[who]) << step;
  }
}

}  // namespace
}  // namespace greywire
