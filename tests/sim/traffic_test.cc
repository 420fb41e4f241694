// Traffic over a bad underlay, across rekeys and moves.
#include <gtest/gtest.h>

#include "tests/sim/pair.h"

namespace greywire::test {
namespace {

// Everything that the underlay did not lose is delivered once, whatever happens to the keys meanwhile.
TEST(RekeyUnderTraffic, LosesNothingBeyondTheLinksOwnLoss) {
  const auto seed = draw_seed("LosesNothingBeyondTheLinksOwnLoss");
  Pair pair(seed);
  pair.connect();
  pair.network.model = {.delay = 20ms, .jitter = 15ms, .loss = 0.05};
  std::uint64_t data_lost = 0, handshakes = 0;
  pair.network.on_datagram = [&](const Endpoint&, const SentDatagram& d, bool lost) {
    if (d.type() == 4 && d.bytes.size() > 32 && lost) ++data_lost;
    if (d.type() == 1) ++handshakes;
  };
  std::uint64_t offered = 0;
  const TimePoint end = pair.network.now() + 400s;
  while (pair.network.now() < end) {
    pair.send_from_a(static_cast<std::uint32_t>(offered++));
    if (offered % 2 == 0) {
      pair.send_from_b(static_cast<std::uint32_t>(offered));
      ++offered;
    }
    pair.run_for(10ms);
  }
  pair.network.model.loss = 0;
  pair.run_for(1s);
  EXPECT_GE(handshakes, 3U);
  const std::uint64_t delivered = pair.a.take_delivered().size() + pair.b.take_delivered().size();
  EXPECT_EQ(delivered + data_lost, offered) << "seed " << seed;
  EXPECT_EQ(pair.a.drops(DropReason::kBadTag) + pair.b.drops(DropReason::kBadTag), 0U);
  EXPECT_EQ(pair.a.all_drops() + pair.b.all_drops(), 0U)
      << ::testing::PrintToString(pair.a.drop_report()) << ::testing::PrintToString(pair.b.drop_report());
}

TEST(Replay, RepeatedDatagramsAreDeliveredOnceAndCounted) {
  Pair pair(draw_seed("RepeatedDatagramsAreDeliveredOnceAndCounted"));
  pair.connect();
  pair.network.model = {.delay = 10ms, .jitter = 5ms, .loss = 0, .repeat = 1};
  for (std::uint32_t i = 0; i < 200; ++i) {
    pair.send_from_a(i);
    pair.run_for(1ms);
  }
  pair.run_for(1s);
  EXPECT_EQ(pair.b.take_delivered().size(), 200U);
  EXPECT_EQ(pair.b.drops(DropReason::kReplay), 200U);
}

TEST(Roaming, FollowsAuthenticPacketsAcrossFamilies) {
  Pair pair(draw_seed("FollowsAuthenticPacketsAcrossFamilies"));
  pair.connect();
  const Endpoint moved = endpoint("[2001:db8::77]:4242");
  pair.network.detach(pair.a_at);
  pair.network.attach(pair.a, moved);
  pair.send_from_a(1);
  pair.run_for(100ms);
  EXPECT_EQ(pair.b.shared(pair.a_of_b).route().remote, moved);
  pair.send_from_b(2);
  pair.run_for(100ms);
  EXPECT_EQ(pair.a.take_delivered().size(), 1U);
  pair.network.detach(moved);
  pair.network.attach(pair.a, pair.a_at);
  pair.send_from_a(3);
  pair.run_for(100ms);
  EXPECT_EQ(pair.b.shared(pair.a_of_b).route().remote, pair.a_at);
  EXPECT_EQ(pair.b.take_delivered().size(), 2U);
}

TEST(Roaming, NotOnReplaysForgeriesOrUnansweredHandshakes) {
  Pair pair(draw_seed("NotOnReplaysForgeriesOrUnansweredHandshakes"));
  pair.connect();
  const Endpoint attacker = endpoint("203.0.113.66:666");
  pair.a.frame(kPlainLink, Pair::packet_from_a(), pair.network.now());
  const auto sent = pair.a.take_sent();
  ASSERT_EQ(sent.size(), 1U);
  Bytes forged = sent[0].bytes;
  forged.back() ^= 1;
  pair.b.receive(forged, attacker, pair.network.now());
  EXPECT_EQ(pair.b.shared(pair.a_of_b).route().remote, pair.a_at);
  EXPECT_EQ(pair.b.drops(DropReason::kBadTag), 1U);
  pair.b.receive(sent[0].bytes, pair.a_at, pair.network.now());
  pair.b.receive(sent[0].bytes, attacker, pair.network.now());
  EXPECT_EQ(pair.b.drops(DropReason::kReplay), 1U);
  EXPECT_EQ(pair.b.shared(pair.a_of_b).route().remote, pair.a_at);
  EXPECT_EQ(pair.b.take_delivered().size(), 1U) << "a forged tag does not mark its counter";
}

TEST(Roaming, APeerWithoutEndpointIsLearnedFromItsInitiation) {
  PairOptions options;
  options.b_knows_a = false;
  Pair pair(draw_seed("APeerWithoutEndpointIsLearnedFromItsInitiation"), options);
  pair.send_from_b(5);
  pair.run_for(100ms);
  EXPECT_TRUE(pair.log.empty()) << "nowhere to send";
  EXPECT_EQ(pair.b.drops(DropReason::kNoEndpoint), 1U);
  EXPECT_EQ(pair.b.take_delivered().size(), 1U) << "the sender is told";
  pair.send_from_a(6);
  pair.run_for(1s);
  EXPECT_EQ(pair.b.take_delivered().size(), 1U);
  pair.send_from_b(7);
  pair.run_for(1s);
  EXPECT_EQ(pair.a.take_delivered().size(), 1U) << "the peer has shown itself";
}

TEST(Restart, AnEndThatLostItsStateIsFoundAgainByItsOwnData) {
  Pair pair(draw_seed("AnEndThatLostItsStateIsFoundAgainByItsOwnData"));
  pair.connect();
  // B keeps its sessions, A comes up anew with the same key and a later clock.
  const PrivateKey key = pair.a.device.identity().private_key;
  Site again(99);
  again.device.set_private_key(key);
  PeerSetup to_b;
  to_b.endpoint = pair.b_at;
  to_b.allowed_ips = {prefix("10.0.0.2/32")};
  again.add_peer(pair.b.public_key(), to_b, pair.network.now());
  pair.network.detach(pair.a_at);
  pair.network.attach(again, pair.a_at);
  again.frame(kPlainLink, Pair::packet_from_a(1), pair.network.now());
  pair.run_for(100ms);
  EXPECT_EQ(pair.b.take_delivered().size(), 1U);
  pair.network.detach(pair.a_at);
}

TEST(Liveness, ProbesAreAnsweredByTheFarEngine) {
  Pair pair(draw_seed("ProbesAreAnsweredByTheFarEngine"));
  pair.connect();
  pair.b.set_own_overlay({address("10.0.0.2"), address("fd00::2")});
  pair.a.send_probe(pair.b_of_a, address("10.0.0.1"), address("10.0.0.2"), 1, pair.network.now());
  pair.a.send_probe(pair.b_of_a, address("fd00::1"), address("fd00::2"), 2, pair.network.now());
  const TimePoint sent = pair.network.now();
  pair.run_for(1s);
  const auto replies = pair.a.take_probe_replies();
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies[0].peer, pair.b_of_a);
  EXPECT_EQ(replies[0].sequence, 1U);
  EXPECT_EQ(replies[0].sent, sent);
  EXPECT_EQ(replies[1].sequence, 2U);
  EXPECT_TRUE(pair.b.take_delivered().empty());
  EXPECT_TRUE(pair.a.take_delivered().empty());
  // Another process's nonce is no answer of ours: it belongs to the kernel.
  pair.b.send_probe(pair.a_of_b, address("10.0.0.2"), address("10.0.0.1"), 1, pair.network.now());
  pair.run_for(1s);
  EXPECT_EQ(pair.a.take_delivered().size(), 1U) << "A has no such overlay address: its kernel answers";
}

}  // namespace
}  // namespace greywire::test
