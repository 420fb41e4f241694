#include "router/wireguard/session.h"

#include <gtest/gtest.h>

#include "router/wireguard/peer_data.h"
#include "router/wireguard/transport.h"

namespace greywire::wireguard {
namespace {

TimePoint at(Duration d) {
  return TimePoint{100s + d};
}

class SessionLimits : public ::testing::Test {
 protected:
  PeerData peer{PeerId{1}};
  Session initiator{peer, {}, 1, 2, true, at(0s)};
  Session responder{peer, {}, 1, 2, false, at(0s)};
  std::uint64_t first = 0;
};

TEST_F(SessionLimits, CountersAreClaimedInRuns) {
  ASSERT_TRUE(initiator.claim_counters(3, at(0s), first));
  EXPECT_EQ(first, 0U);
  ASSERT_TRUE(initiator.claim_counters(64, at(1s), first));
  EXPECT_EQ(first, 3U);
  EXPECT_EQ(initiator.sent(), 67U);
}

TEST_F(SessionLimits, RekeyAfterMessagesByBothRoles) {
  for (Session* s : {&initiator, &responder}) {
    s->set_next_counter(kRekeyAfterMessages);
    EXPECT_FALSE(s->wants_rekey_on_send(at(1s)));
    ASSERT_TRUE(s->claim_counters(1, at(1s), first));
    EXPECT_TRUE(s->wants_rekey_on_send(at(1s)));
  }
}

TEST_F(SessionLimits, RejectAfterMessagesIsNeverReached) {
  initiator.set_next_counter(kRejectAfterMessages - 65);
  ASSERT_TRUE(initiator.claim_counters(64, at(1s), first));
  EXPECT_LT(first + 63, kRejectAfterMessages);
  EXPECT_FALSE(initiator.claim_counters(64, at(1s), first));
  for (int i = 0; i < 100; ++i) {
    if (initiator.claim_counters(64, at(1s), first)) {
      EXPECT_LT(first + 63, kRejectAfterMessages);
    }
  }
  initiator.set_next_counter(kRejectAfterMessages);
  EXPECT_FALSE(initiator.claim_counters(1, at(1s), first));
}

TEST_F(SessionLimits, TimesOfSendingAndReceiving) {
  EXPECT_FALSE(initiator.wants_rekey_on_send(at(120s) - 1ns));
  EXPECT_TRUE(initiator.wants_rekey_on_send(at(120s)));
  EXPECT_FALSE(responder.wants_rekey_on_send(at(179s)));
  EXPECT_FALSE(initiator.wants_rekey_on_receive(at(165s) - 1ns));
  EXPECT_TRUE(initiator.wants_rekey_on_receive(at(165s)));
  EXPECT_FALSE(responder.wants_rekey_on_receive(at(179s)));
  EXPECT_TRUE(initiator.claim_counters(1, at(180s) - 1ns, first));
  EXPECT_FALSE(initiator.claim_counters(1, at(180s), first));
  EXPECT_TRUE(responder.expired(at(180s)));
}

TEST_F(SessionLimits, PaddingNeverPassesTheMtu) {
  const auto aead = make_aead(AeadProvider::kSodium);
  for (const std::uint32_t mtu : {1280U, 1399U, 1400U, 1412U, 1420U, 1440U}) {
    for (std::uint32_t size = 0; size <= mtu; ++size) {
      std::vector<std::uint8_t> packet(size, 0xaa), out(2048, 0xbb);
      const std::size_t n = seal_packet(*aead, initiator, size, packet, mtu, out.data());
      const std::size_t text = n - 32;
      ASSERT_LE(text, mtu);
      ASSERT_GE(text, size);
      ASSERT_LT(text - size, 16U);
      ASSERT_TRUE(text % 16 == 0 || text == mtu) << size << " in " << mtu;
      if (size % 97 != 0 && size + 20 < mtu) continue;
      OpenJob job{size, out.data() + 16, out.data() + 16, static_cast<std::uint32_t>(text), false};
      aead->open(initiator.send_key(), {&job, 1});
      ASSERT_TRUE(job.ok);
      for (std::size_t i = size; i < text; ++i) ASSERT_EQ(out[16 + i], 0) << "padding is zeros";
    }
  }
}

TEST(PeerData, StagesTheNewest128InOrder) {
  PeerData peer{PeerId{1}};
  std::size_t dropped_in_all = 0;
  for (unsigned i = 0; i < 200; ++i) {
    const std::uint8_t packet[] = {static_cast<std::uint8_t>(i)};
    std::size_t dropped = 0;
    ASSERT_TRUE(peer.stage(packet, dropped));
    EXPECT_EQ(dropped, i < 128 ? 0U : 1U);
    dropped_in_all += dropped;
  }
  EXPECT_EQ(dropped_in_all, 72U);
  Session session{peer, {}, 1, 2, true, at(0s)};
  const auto staged = peer.take_staged_or_publish(&session);
  ASSERT_EQ(staged.size(), 128U);
  for (unsigned i = 0; i < 128; ++i) EXPECT_EQ(staged[i].bytes[0], 72 + i);
  EXPECT_EQ(peer.current.load(), nullptr) << "not before what waited is out";
  EXPECT_TRUE(peer.take_staged_or_publish(&session).empty());
  EXPECT_EQ(peer.current.load(), &session);
  std::size_t dropped = 0;
  EXPECT_FALSE(peer.stage(std::vector<std::uint8_t>(20), dropped)) << "with a session it is sent at once";
  EXPECT_FALSE(peer.has_staged());
}

TEST(PeerData, UrgentPacketsDoNotWaitBehindOthers) {
  PeerData peer{PeerId{1}};
  std::size_t dropped = 0;
  const std::uint8_t bulk[] = {1}, urgent[] = {2};
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(peer.stage(bulk, dropped));
    if (i < 3) {
      ASSERT_TRUE(peer.stage(urgent, dropped, 0xc0, true));
    }
  }
  Session session{peer, {}, 1, 2, true, at(0s)};
  const auto first = peer.take_staged_or_publish(&session);
  ASSERT_EQ(first.size(), 3U) << "none fell out for the others";
  for (const auto& packet : first) EXPECT_EQ(packet.bytes[0], 2);
  EXPECT_EQ(peer.take_staged_or_publish(&session).size(), 128U);
  EXPECT_EQ(peer.current.load(), nullptr);
  EXPECT_TRUE(peer.take_staged_or_publish(&session).empty());
  EXPECT_EQ(peer.current.load(), &session);
}

TEST(PeerData, AsksForAttentionOnce) {
  PeerData peer{PeerId{1}};
  EXPECT_TRUE(peer.request(Attention::kStaged));
  EXPECT_FALSE(peer.request(Attention::kStaged));
  EXPECT_FALSE(peer.request(Attention::kHandshake));
  EXPECT_EQ(peer.attention.exchange(0), 5U);
  EXPECT_TRUE(peer.request(Attention::kHandshake));
}

}  // namespace
}  // namespace greywire::wireguard
