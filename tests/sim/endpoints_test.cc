// Peers with several endpoints, sources that go, and a device that is stopped, between two whole sites in virtual time.
#include <gtest/gtest.h>

#include "tests/sim/pair.h"

namespace greywire::test {
namespace {

const Endpoint kDead = endpoint("203.0.113.1:51820"), kDeadV6 = endpoint("[2001:db8::dead]:51820"),
               kNew = endpoint("198.51.100.77:51820");

void set_endpoints(Pair& pair, const std::vector<Endpoint>& candidates) {
  pair.a.device.set_endpoints(pair.a.peer(pair.b_of_a), candidates, now_at(pair.network.now()));
}
Endpoint where_b_is(Pair& pair) { return pair.a.shared(pair.b_of_a).route().remote; }
void move_b(Pair& pair, const Endpoint& to) {
  pair.network.detach(pair.b_at);
  pair.network.attach(pair.b, to);
  pair.b_at = to;
}

TEST(Endpoints, TheFirstThatAnswersWins) {
  PairOptions options;
  options.a_knows_b = false;
  Pair pair(draw_seed("TheFirstThatAnswersWins"), options);
  set_endpoints(pair, {kDeadV6, kDead, pair.b_at});
  pair.send_from_a(1);
  pair.run_for(499ms);
  EXPECT_TRUE(pair.b.take_delivered().empty());
  EXPECT_EQ(pair.logged(1, false).size(), 2U) << "one initiation each 250 ms";
  pair.run_for(100ms);
  EXPECT_EQ(pair.b.take_delivered().size(), 1U);
  EXPECT_EQ(where_b_is(pair), pair.b_at);
  pair.run_for(20s);
  EXPECT_EQ(pair.logged(1, false).size(), 3U) << "answered: nobody else is asked";
}

TEST(Endpoints, AnswersSlowerThanTheDelayStillCount) {
  PairOptions options;
  options.a_knows_b = false;
  Pair pair(draw_seed("AnswersSlowerThanTheDelayStillCount"), options);
  pair.network.model.delay = 600ms;
  set_endpoints(pair, {pair.b_at, kDead, kDeadV6});
  pair.send_from_a(1);
  pair.run_for(2s);
  EXPECT_EQ(pair.b.take_delivered().size(), 1U);
  EXPECT_EQ(pair.logged(2, true).size(), 1U) << "copies of one initiation, one response";
}

TEST(Endpoints, OneThatWorksByRoamingIsLeftAlone) {
  Pair pair(draw_seed("OneThatWorksByRoamingIsLeftAlone"));
  set_endpoints(pair, {pair.b_at, kDead});
  pair.connect();
  move_b(pair, kNew);
  pair.send_from_b(1);
  pair.run_for(1s);
  EXPECT_EQ(where_b_is(pair), kNew);
  // A name that now says something else changes nothing for who is heard.
  set_endpoints(pair, {kDead, kDeadV6});
  std::vector<Endpoint> asked;
  pair.network.on_datagram = [&](const Endpoint& from, const SentDatagram& d, bool) {
    if (from == pair.a_at && d.type() == 1) asked.push_back(d.to);
  };
  for (int i = 0; i < 130; ++i) {
    pair.send_from_a();
    pair.send_from_b();
    pair.run_for(1s);
  }
  EXPECT_EQ(where_b_is(pair), kNew);
  for (const Endpoint& to : asked) EXPECT_EQ(to, kNew) << "rekeying is between the two ends of a session that works";
}

TEST(Endpoints, APeerThatMovedIsFoundWhenItsEndpointIsDoubted) {
  Pair pair(draw_seed("APeerThatMovedIsFoundWhenItsEndpointIsDoubted"));
  set_endpoints(pair, {pair.b_at});
  pair.connect();
  pair.run_for(10s);
  move_b(pair, kNew);
  pair.a.device.doubt_endpoint(pair.a.peer(pair.b_of_a), now_at(pair.network.now()));
  pair.run_for(3s);
  EXPECT_NE(where_b_is(pair), kNew);
  set_endpoints(pair, {kNew});  // the name was asked again: joins the attempt that is under way
  pair.run_for(100ms);
  EXPECT_EQ(where_b_is(pair), kNew);
  pair.send_from_a(2);
  pair.run_for(100ms);
  EXPECT_EQ(pair.b.take_delivered().size(), 1U);
}

TEST(Endpoints, AWayThatDoesNotComeBackCostsOneRekeyTimeout) {
  PairOptions options;
  options.a_knows_b = false;
  Pair pair(draw_seed("AWayThatDoesNotComeBackCostsOneRekeyTimeout"), options);
  // What A sends to kDead reaches B, whose answers to it come from there and are lost.
  pair.network.detach(pair.b_at);
  pair.network.attach(pair.b, pair.b_at);
  set_endpoints(pair, {kDead, pair.b_at});
  pair.network.on_datagram = [&](const Endpoint& from, const SentDatagram& d, bool) {
    if (from != pair.a_at || d.to != kDead) return;
    pair.b.receive(d.bytes, pair.a_at, pair.network.now());
    (void)pair.b.take_sent();
  };
  pair.send_from_a(1);
  pair.run_for(4900ms);
  EXPECT_TRUE(pair.b.take_delivered().empty()) << "the second copy is a replay to B";
  pair.run_for(600ms);
  EXPECT_EQ(pair.b.take_delivered().size(), 1U);
  EXPECT_EQ(where_b_is(pair), pair.b_at);
}

TEST(StickySource, IsForgottenForEveryPeerThatUsedIt) {
  Pair pair(draw_seed("IsForgottenForEveryPeerThatUsedIt"));
  auto& shared = pair.a.shared(pair.b_of_a);
  const wireguard::Route route{pair.b_at, address("192.0.2.1"), 3, true};
  shared.set_route(route);
  pair.a.device.forget_source(address("192.0.2.9"));
  EXPECT_EQ(shared.route(), route);
  pair.a.device.forget_source(address("192.0.2.1"));
  EXPECT_EQ(shared.route(), (wireguard::Route{pair.b_at, {}, 0, false}));
}

TEST(Stopped, NothingIsSentAndStartingCallsWhoHasAKeepalive) {
  Pair pair(draw_seed("NothingIsSentAndStartingCallsWhoHasAKeepalive"));
  pair.connect();
  pair.a.device.set_persistent_keepalive(pair.a.peer(pair.b_of_a), 25, now_at(pair.network.now()));
  pair.run_for(1s);
  pair.log.clear();
  pair.a.device.stop();
  EXPECT_FALSE(pair.a.peer(pair.b_of_a).has_session());
  pair.run_for(300s);
  for (const auto& entry : pair.log) EXPECT_TRUE(entry.from_b) << "A sent at " << entry.when.time_since_epoch().count();
  pair.a.device.start(now_at(pair.network.now()));
  pair.run_for(1s);
  EXPECT_TRUE(pair.a.peer(pair.b_of_a).current);
  pair.send_from_b(3);
  pair.run_for(1s);
  EXPECT_EQ(pair.a.take_delivered().size(), 1U);
}

}  // namespace
}  // namespace greywire::test
