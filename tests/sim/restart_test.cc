// An end that lost its state: its clock may be wrong now, and only the other side may have something to say.
#include <gtest/gtest.h>

#include "tests/sim/pair.h"

namespace greywire::test {
namespace {

// A again after a crash: the same key and configuration, and nothing else unless `kept`.
std::unique_ptr<Site> restart_a(Pair& pair, std::optional<wireguard::Timestamp> kept = {}) {
  auto again = std::make_unique<Site>(4711);
  if (kept) again->device.timestamps().start_beyond(*kept);
  again->device.set_private_key(pair.a.device.identity().private_key);
  PeerSetup to_b;
  to_b.endpoint = pair.b_at;
  to_b.allowed_ips = {prefix("10.0.0.2/32")};
  again->add_peer(pair.b.public_key(), to_b, pair.network.now());
  pair.network.detach(pair.a_at);
  pair.network.attach(*again, pair.a_at);
  return again;
}

wireguard::Now set_back(TimePoint boot, std::int64_t seconds) {
  WallTime wall = wall_at(boot);
  wall.seconds -= seconds;
  return {boot, wall};
}

TEST(Restart, AClockSetBackIsSurvivedByTheKeptStamp) {
  Pair pair(draw_seed("AClockSetBackIsSurvivedByTheKeptStamp"));
  wireguard::Timestamp kept{};
  pair.a.device.timestamps().set_keep([&](const wireguard::Timestamp& stamp) { kept = stamp; });
  pair.connect();
  pair.run_for(1s);
  for (const bool keeps : {false, true}) {
    auto again = restart_a(pair, keeps ? std::optional(kept) : std::nullopt);
    const TimePoint now = pair.network.now();
    auto& peer = *again->device.peers().begin()->second;
    again->device.initiate(peer, set_back(now, 86'400));
    const auto sent = again->take_sent();
    ASSERT_EQ(sent.size(), 1U);
    pair.b.receive(sent[0].bytes, pair.a_at, now);
    const auto answer = pair.b.take_sent();
    if (keeps) {
      ASSERT_EQ(answer.size(), 1U);
      EXPECT_EQ(answer[0].type(), 2U);
    } else {
      EXPECT_TRUE(answer.empty()) << "without its state an end is refused until the time has caught up";
      EXPECT_EQ(pair.b.drops(DropReason::kHandshakeReplay), 1U);
    }
    pair.network.detach(pair.a_at);
    pair.run_for(1s);
  }
}

TEST(Restart, AClockSetBackWhileRunningIsSurvived) {
  Pair pair(draw_seed("AClockSetBackWhileRunningIsSurvived"));
  pair.connect();
  pair.run_for(10s);
  const TimePoint now = pair.network.now();
  pair.a.device.initiate(pair.a.peer(pair.b_of_a), set_back(now, 3600));
  const auto sent = pair.a.take_sent();
  ASSERT_EQ(sent.size(), 1U);
  pair.b.receive(sent[0].bytes, pair.a_at, now);
  EXPECT_EQ(pair.b.take_sent().at(0).type(), 2U);
}

TEST(Restart, IsNoticedByTheDataOfAPeerThatAloneTalks) {
  Pair pair(draw_seed("IsNoticedByTheDataOfAPeerThatAloneTalks"));
  pair.connect();
  auto again = restart_a(pair);
  const TimePoint back = pair.network.now();
  std::uint32_t number = 0;
  while (again->take_delivered().empty()) {
    ASSERT_LT(pair.network.now() - back, 5s);
    pair.send_from_b(number++);
    pair.run_for(100ms);
  }
  EXPECT_LE(pair.network.now() - back, 300ms) << "the peer's own timers would need over 15 s";
  EXPECT_EQ(pair.logged(1, false).size(), 1U);
  EXPECT_TRUE(pair.logged(1, true).empty());
  pair.network.detach(pair.a_at);
}

TEST(Restart, ForgedDataAsksForAnInitiationEachFiveSecondsAtMost) {
  Pair pair(draw_seed("ForgedDataAsksForAnInitiationEachFiveSecondsAtMost"));
  Bytes forged(64, 0);
  forged[0] = 4;
  pair.network.model.down = true;  // B never answers
  const TimePoint start = pair.network.now();
  for (int i = 0; i < 6000; ++i) {
    forged[4] = static_cast<std::uint8_t>(i);
    pair.a.receive(forged, pair.b_at, pair.network.now());
    pair.a.receive(forged, endpoint("203.0.113.66:666"), pair.network.now());
    pair.run_for(10ms);
  }
  const auto sent = pair.logged(1, false);
  EXPECT_GE(sent.size(), 10U);
  EXPECT_LE(sent.size(), 12U) << "in " << (pair.network.now() - start) / 1s << " s";
  for (std::size_t i = 1; i < sent.size(); ++i) EXPECT_GE(sent[i].when - sent[i - 1].when, 5s);
  EXPECT_EQ(pair.log.size(), sent.size()) << "and for nothing else, to nobody else";
}

TEST(Restart, ForgedDataDoesNotDisturbASession) {
  Pair pair(draw_seed("ForgedDataDoesNotDisturbASession"));
  pair.connect();
  Bytes forged(64, 0);
  forged[0] = 4;
  for (int i = 0; i < 600; ++i) {
    pair.a.receive(forged, pair.b_at, pair.network.now());
    pair.run_for(10ms);
  }
  EXPECT_TRUE(pair.log.empty());
  EXPECT_EQ(pair.a.drops(DropReason::kUnknownIndex), 600U);
}

TEST(Restart, StrangersAreNotTalkedTo) {
  Pair pair(draw_seed("StrangersAreNotTalkedTo"));
  Bytes forged(64, 0);
  forged[0] = 4;
  for (const char* from : {"203.0.113.66:666", "198.51.100.2:51821", "[2001:db8::2]:51820"}) {
    pair.a.receive(forged, endpoint(from), pair.network.now());
    pair.run_for(1s);
  }
  EXPECT_TRUE(pair.log.empty());
}

}  // namespace
}  // namespace greywire::test
