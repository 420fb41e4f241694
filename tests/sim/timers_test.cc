// The timers of the protocol between two whole sites: whitepaper §6.
#include <gtest/gtest.h>

#include "tests/sim/pair.h"

namespace greywire::test {
namespace {

constexpr Duration kDelay = 10ms;
constexpr Duration kJitter = 333ms;
constexpr std::size_t kKeepaliveSize = 32;

TEST(Handshake, DeliversWhatWaitedInOrderAndConfirms) {
  Pair pair(draw_seed("DeliversWhatWaitedInOrderAndConfirms"));
  for (std::uint32_t i = 0; i < 5; ++i) pair.send_from_a(i);
  pair.run_for(1s);
  const auto delivered = pair.b.take_delivered();
  ASSERT_EQ(delivered.size(), 5U);
  for (std::uint32_t i = 0; i < 5; ++i) EXPECT_EQ(Pair::number_of(delivered[i]), i);
  EXPECT_EQ(delivered[0].bytes, Pair::packet_from_a(0));
  EXPECT_EQ(pair.logged(1, false).size(), 1U);
  EXPECT_EQ(pair.logged(2, true).size(), 1U);
  EXPECT_EQ(pair.a.all_drops() + pair.b.all_drops(), 0U);
  EXPECT_NE(pair.a.peer(pair.b_of_a).last_handshake, WallTime{});
  EXPECT_NE(pair.b.peer(pair.a_of_b).last_handshake, WallTime{});
}

TEST(Handshake, WithoutDataIsConfirmedByAKeepalive) {
  Pair pair(draw_seed("WithoutDataIsConfirmedByAKeepalive"));
  pair.a.initiate(pair.b_of_a, pair.network.now());
  pair.run_for(1s);
  const auto data = pair.logged(4, false);
  ASSERT_EQ(data.size(), 1U);
  EXPECT_EQ(data[0].size, kKeepaliveSize);
  EXPECT_TRUE(pair.b.peer(pair.a_of_b).current);
  EXPECT_FALSE(pair.b.peer(pair.a_of_b).next);
  EXPECT_TRUE(pair.b.take_delivered().empty());
}

TEST(Handshake, ResponderSendsNoDataBeforeTheInitiatorsFirst) {
  Pair pair(draw_seed("ResponderSendsNoDataBeforeTheInitiatorsFirst"));
  // Every transport message of A is lost, so B's session is never confirmed.
  Site& a = pair.a;
  a.initiate(pair.b_of_a, at(0s));
  for (const auto& d : a.take_sent()) pair.b.receive(d.bytes, pair.a_at, at(0s));
  const auto response = pair.b.take_sent();
  ASSERT_EQ(response.size(), 1U);
  EXPECT_EQ(response[0].type(), 2U);
  pair.b.frame(kPlainLink, Pair::packet_from_b(), at(0s));
  for (const auto& d : pair.b.take_sent())
    EXPECT_EQ(d.type(), 1U) << "it may only start a handshake of its own";
  a.receive(response[0].bytes, pair.b_at, at(0s));
  const auto confirmation = a.take_sent();
  ASSERT_EQ(confirmation.size(), 1U);
  pair.b.receive(confirmation[0].bytes, pair.a_at, at(0s));
  const auto data = pair.b.take_sent();
  ASSERT_EQ(data.size(), 1U);
  EXPECT_EQ(data[0].type(), 4U);
  EXPECT_GT(data[0].bytes.size(), kKeepaliveSize);
}

TEST(Handshake, BothStartAtOnceAndBothFinish) {
  Pair pair(draw_seed("BothStartAtOnceAndBothFinish"));
  pair.send_from_a(7);
  pair.send_from_b(8);
  pair.run_for(1s);
  const auto at_b = pair.b.take_delivered(), at_a = pair.a.take_delivered();
  ASSERT_EQ(at_b.size(), 1U);
  ASSERT_EQ(at_a.size(), 1U);
  pair.send_from_a(9);
  pair.send_from_b(10);
  pair.run_for(20s);
  EXPECT_EQ(pair.b.take_delivered().size(), 1U);
  EXPECT_EQ(pair.a.take_delivered().size(), 1U);
  EXPECT_EQ(pair.logged(1, false).size() + pair.logged(1, true).size(), 2U) << "no third handshake";
}

TEST(Retransmission, EveryFiveSecondsForNinetyThenSilentUntilData) {
  Pair pair(draw_seed("EveryFiveSecondsForNinetyThenSilentUntilData"));
  pair.network.model.down = true;
  pair.send_from_a();
  pair.run_for(400s);
  auto sent = pair.logged(1, false);
  ASSERT_EQ(sent.size(), 19U);
  for (std::size_t i = 1; i < sent.size(); ++i) {
    const Duration gap = sent[i].when - sent[i - 1].when;
    EXPECT_GE(gap, 5s);
    EXPECT_LE(gap, 5s + kJitter);
  }
  EXPECT_GE(sent.back().when - sent.front().when, 90s);
  EXPECT_EQ(pair.a.drops(DropReason::kNoSession), 1U) << "what waited is dropped, and counted";
  EXPECT_EQ(pair.a.next_deadline(), kNever);

  pair.send_from_a(1);
  EXPECT_EQ(pair.a.take_sent().size(), 1U);
  pair.network.model.down = false;
  pair.run_for(6s);
  EXPECT_EQ(pair.b.take_delivered().size(), 1U);
}

TEST(Retransmission, OfAnInitiationThatNoPacketAskedFor) {
  Pair pair(draw_seed("OfAnInitiationThatNoPacketAskedFor"));
  pair.network.model.down = true;
  pair.a.initiate(pair.b_of_a, pair.network.now());
  pair.run_for(4s);
  pair.network.model.down = false;
  pair.run_for(2s);
  EXPECT_EQ(pair.logged(1, false).size(), 2U);
  EXPECT_TRUE(pair.a.peer(pair.b_of_a).current);
}

TEST(Keepalive, PassiveAfterTenSecondsExactly) {
  Pair pair(draw_seed("PassiveAfterTenSecondsExactly"));
  pair.connect();
  const TimePoint sent = pair.network.now();
  pair.send_from_a();
  pair.run_for(60s);
  const auto answers = pair.logged(4, true);
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0].size, kKeepaliveSize);
  EXPECT_EQ(answers[0].when, sent + kDelay + 10s);
  // A keepalive is not answered by a keepalive, and an answered session needs no new handshake.
  EXPECT_EQ(pair.logged(4, false).size(), 1U);
  EXPECT_TRUE(pair.logged(1, false).empty());
}

TEST(Keepalive, NoneWhereDataGoesBack) {
  Pair pair(draw_seed("NoneWhereDataGoesBack"));
  pair.connect();
  for (int i = 0; i < 20; ++i) {
    pair.send_from_a();
    pair.run_for(3s);
    pair.send_from_b();
    pair.run_for(3s);
  }
  for (const auto& entry : pair.logged(4, true)) EXPECT_GT(entry.size, kKeepaliveSize);
}

TEST(NewHandshake, FifteenSecondsAfterDataWithoutAnAnswer) {
  Pair pair(draw_seed("FifteenSecondsAfterDataWithoutAnAnswer"));
  pair.connect();
  pair.network.model.down = true;
  const TimePoint first = pair.network.now();
  for (int i = 0; i < 14; ++i) {
    pair.send_from_a();
    pair.run_for(1s);
  }
  EXPECT_TRUE(pair.logged(1, false).empty());
  pair.run_for(2s);
  const auto sent = pair.logged(1, false);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_GE(sent[0].when - first, 15s);
  EXPECT_LE(sent[0].when - first, 15s + kJitter);
}

TEST(Rekey, ByTheInitiatorOnlyAt120Seconds) {
  Pair pair(draw_seed("ByTheInitiatorOnlyAt120Seconds"));
  const TimePoint start = pair.network.now();
  pair.connect();
  for (int i = 0; i < 1180; ++i) {
    pair.send_from_b();
    if (i % 10 == 0) pair.send_from_a();
    pair.run_for(100ms);
  }
  EXPECT_TRUE(pair.logged(1, false).empty());
  pair.run_for(5s);
  pair.send_from_b();
  pair.run_for(100ms);
  EXPECT_TRUE(pair.logged(1, true).empty()) << "the responder does not renew";
  EXPECT_TRUE(pair.logged(1, false).empty()) << "nor does receiving before 165 s";
  pair.send_from_a();
  pair.run_for(1s);
  const auto sent = pair.logged(1, false);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_GE(sent[0].when - start, 120s);
}

TEST(Rekey, OnReceivingAt165SecondsOnce) {
  Pair pair(draw_seed("OnReceivingAt165SecondsOnce"));
  pair.connect();
  const TimePoint created = pair.a.peer(pair.b_of_a).current->created;
  // A stays silent but for the answers that it owes; those would renew at 120 s, so they are taken away.
  pair.network.run_until(created + 164900ms);
  pair.log.clear();
  pair.send_from_b(1);
  pair.run_for(50ms);
  EXPECT_TRUE(pair.logged(1, false).empty());
  pair.network.run_until(created + 165s);
  pair.network.model.down = false;
  pair.send_from_b(2);
  pair.run_for(500ms);
  EXPECT_EQ(pair.logged(1, false).size(), 1U);
  EXPECT_TRUE(pair.logged(1, true).empty());
}

TEST(Reject, At180SecondsBothWays) {
  Pair pair(draw_seed("At180SecondsBothWays"));
  pair.connect();
  const TimePoint created_at_a = pair.a.peer(pair.b_of_a).current->created;
  const TimePoint created_at_b = pair.b.peer(pair.a_of_b).current->created;
  EXPECT_LT(created_at_b, created_at_a) << "the responder has its session first";
  // Sealed by A in its last moment, when B's session has ended already.
  pair.network.run_until(created_at_a + 180s - 1ns);
  pair.a.frame(kPlainLink, Pair::packet_from_a(), pair.network.now());
  const auto last = pair.a.take_sent();
  ASSERT_FALSE(last.empty());
  EXPECT_EQ(last[0].type(), 4U);
  pair.b.receive(last[0].bytes, pair.a_at, pair.network.now());
  EXPECT_EQ(pair.b.drops(DropReason::kExpiredSession), 1U);
  EXPECT_TRUE(pair.b.take_delivered().empty());
  EXPECT_EQ(last.back().type(), 1U) << "past 120 s sending renews";
  pair.network.run_until(created_at_a + 180s);
  pair.a.frame(kPlainLink, Pair::packet_from_a(), pair.network.now());
  for (const auto& d : pair.a.take_sent()) EXPECT_NE(d.type(), 4U) << "nothing is sealed past 180 s";
}

TEST(KeyErasure, At540SecondsAfterTheLastHandshake) {
  Pair pair(draw_seed("At540SecondsAfterTheLastHandshake"));
  pair.connect();
  const TimePoint created = pair.a.peer(pair.b_of_a).current->created;
  pair.network.run_until(created + 540s - 1ns);
  EXPECT_TRUE(pair.a.peer(pair.b_of_a).has_session());
  pair.network.run_until(created + 540s);
  EXPECT_FALSE(pair.a.peer(pair.b_of_a).has_session());
  EXPECT_FALSE(pair.b.peer(pair.a_of_b).has_session());
  EXPECT_EQ(pair.a.device.index_table().used(), 0U);
  EXPECT_EQ(pair.a.shared(pair.b_of_a).current.load(), nullptr);
  EXPECT_EQ(pair.a.domain.reclaim(), 0U);
  EXPECT_EQ(pair.a.next_deadline(), kNever) << "an idle device sleeps";
  pair.send_from_a();
  pair.run_for(1s);
  EXPECT_EQ(pair.b.take_delivered().size(), 1U);
}

TEST(KeyErasure, AlsoOfAHandshakeThatWasNeverConfirmed) {
  Pair pair(draw_seed("AlsoOfAHandshakeThatWasNeverConfirmed"));
  pair.a.initiate(pair.b_of_a, at(0s));
  for (const auto& d : pair.a.take_sent()) pair.b.receive(d.bytes, pair.a_at, at(0s));
  pair.b.take_sent();
  EXPECT_TRUE(pair.b.peer(pair.a_of_b).next);
  pair.network.detach(pair.a_at);
  pair.network.run_until(at(540s));
  EXPECT_FALSE(pair.b.peer(pair.a_of_b).has_session());
}

TEST(PersistentKeepalive, OnAtOnceThenAtItsIntervalAndOff) {
  Pair pair(draw_seed("OnAtOnceThenAtItsIntervalAndOff"));
  pair.connect();
  pair.a.device.set_persistent_keepalive(pair.a.peer(pair.b_of_a), 25, now_at(pair.network.now()));
  const TimePoint on = pair.network.now();
  pair.run_for(100s + 1ms);
  auto sent = pair.logged(4, false);
  ASSERT_EQ(sent.size(), 5U);
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(sent[i].when, on + 25s * static_cast<int>(i));
    EXPECT_EQ(sent[i].size, kKeepaliveSize);
  }
  pair.log.clear();
  pair.a.device.set_persistent_keepalive(pair.a.peer(pair.b_of_a), 0, now_at(pair.network.now()));
  pair.run_for(100s);
  EXPECT_TRUE(pair.log.empty());
}

TEST(PersistentKeepalive, KeepsASessionThroughRekeysAndComesBackAfterAnOutage) {
  Pair pair(draw_seed("KeepsASessionThroughRekeysAndComesBackAfterAnOutage"));
  pair.a.device.set_persistent_keepalive(pair.a.peer(pair.b_of_a), 25, now_at(pair.network.now()));
  pair.run_for(600s);
  EXPECT_EQ(pair.a.all_drops() + pair.b.all_drops(), 0U);
  EXPECT_GE(pair.logged(1, false).size(), 4U);
  EXPECT_LE(pair.logged(1, false).size(), 6U);
  pair.network.model.down = true;
  pair.run_for(700s);
  pair.network.model.down = false;
  pair.log.clear();
  pair.run_for(60s);
  EXPECT_TRUE(pair.a.peer(pair.b_of_a).current) << "a keepalive tries again after Rekey-Attempt-Time";
}

TEST(PersistentKeepalive, WaitsForAnEndpointWithoutSpinning) {
  PairOptions options;
  options.a_knows_b = false;
  Pair pair(draw_seed("WaitsForAnEndpointWithoutSpinning"), options);
  pair.a.device.set_persistent_keepalive(pair.a.peer(pair.b_of_a), 10, now_at(pair.network.now()));
  pair.run_for(100s);
  EXPECT_TRUE(pair.log.empty());
  pair.a.device.set_endpoint(pair.a.peer(pair.b_of_a), pair.b_at);
  pair.run_for(11s);
  EXPECT_TRUE(pair.a.peer(pair.b_of_a).current);
}

}  // namespace
}  // namespace greywire::test
