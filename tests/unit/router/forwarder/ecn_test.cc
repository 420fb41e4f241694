// ECN and DSCP through a tunnel, every cell of RFC 6040's tables in every mode; and our own datagrams, which must never
// go back into it.
#include <gtest/gtest.h>

#include "router/packet/ip_header.h"
#include "router/wireguard/messages.h"
#include "tests/sim/pair.h"

namespace greywire::test {
namespace {

constexpr LinkId kTunnelLink{1};
constexpr std::uint8_t kDscp = 0xb8;  // EF

enum class Mode { kPlain, kGre, kGretap };

// RFC 6040 §4.2, figure 4: [inner][outer]; -1 is dropped.
constexpr int kDecapsulated[4][4] = {{0, 0, 0, -1}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};

class Ecn : public ::testing::TestWithParam<std::tuple<Mode, Family>> {
 protected:
  Ecn() : pair(draw_seed("Ecn")) {
    pair.connect();
    if (mode() == Mode::kPlain) return;
    gre::TunnelConfig there;
    there.ethernet = mode() == Mode::kGretap;
    there.local = address("10.0.0.1");
    there.remote = address("10.0.0.2");
    gre::TunnelConfig back = there;
    std::swap(back.local, back.remote);
    pair.a.add_tunnel({.link = kTunnelLink, .peer = pair.b_of_a, .config = there});
    pair.b.add_tunnel({.link = kTunnelLink, .peer = pair.a_of_b, .config = back});
  }
  Mode mode() const { return std::get<0>(GetParam()); }
  Family family() const { return std::get<1>(GetParam()); }
  LinkId link() const { return mode() == Mode::kPlain ? kPlainLink : kTunnelLink; }
  std::size_t l3() const { return mode() == Mode::kGretap ? 14 : 0; }
  Bytes packet(std::uint8_t ds_field) const {
    PacketSpec spec;
    spec.family = family();
    spec.ds_field = ds_field;
    if (mode() == Mode::kGretap) spec.l2 = ethernet(spec.family);
    return udp_packet(spec);
  }
  std::uint8_t ds_of(const Bytes& frame) const {
    IpPacketInfo info;
    EXPECT_TRUE(parse_ip(std::span(frame).subspan(l3()), info));
    return info.ds_field;
  }
  TimePoint now() { return pair.network.now(); }
  // One packet of A's, as it leaves.
  SentDatagram sent(std::uint8_t ds_field) {
    pair.a.frame(link(), packet(ds_field), now());
    auto out = pair.a.take_sent();
    EXPECT_EQ(out.size(), 1U);
    return out.empty() ? SentDatagram{} : out.front();
  }
  Pair pair;
};

TEST_P(Ecn, EveryCellOfRfc6040) {
  for (std::uint8_t inner = 0; inner < 4; ++inner) {
    for (std::uint8_t outer = 0; outer < 4; ++outer) {
      SCOPED_TRACE(testing::Message() << int{inner} << " in " << int{outer});
      SentDatagram datagram = sent(kDscp | inner);
      EXPECT_EQ(datagram.ds_field, inner) << "the outer ECN is the inner's, the outer DSCP 0";
      datagram.ds_field = outer;
      const auto dropped = pair.b.drops(DropReason::kCongestion);
      pair.b.receive_batch({datagram}, pair.a_at, now());
      const auto delivered = pair.b.take_delivered();
      const int expected = kDecapsulated[inner][outer];
      EXPECT_EQ(pair.b.drops(DropReason::kCongestion), dropped + (expected < 0 ? 1 : 0));
      ASSERT_EQ(delivered.size(), expected < 0 ? 0U : 1U);
      if (expected < 0) continue;
      EXPECT_EQ(ds_of(delivered[0].bytes), kDscp | expected);
      const Bytes original = packet(static_cast<std::uint8_t>(kDscp | expected));
      EXPECT_EQ(delivered[0].bytes, original) << "nothing else changed, and the header checksum is right";
    }
  }
}

TEST_P(Ecn, TheDscpIsCopiedWhereThePeerWantsIt) {
  pair.a.entry(pair.b_of_a).dscp = OuterDscp::kCopy;
  pair.a.publish();
  for (const int ds : {0x00, 0x02, 0xb8, 0xbb, 0xc0}) {
    SentDatagram datagram = sent(static_cast<std::uint8_t>(ds));
    EXPECT_EQ(datagram.ds_field, ds);
    datagram.ds_field = static_cast<std::uint8_t>((ds & 3) | 0x20);  // the underlay changed it on the way
    pair.b.receive_batch({datagram}, pair.a_at, now());
    const auto delivered = pair.b.take_delivered();
    ASSERT_EQ(delivered.size(), 1U);
    EXPECT_EQ(ds_of(delivered[0].bytes), ds) << "the inner DSCP is nobody's but its sender's";
  }
}

TEST_P(Ecn, WhatWaitedForAHandshakeKeepsItsMark) {
  Pair fresh(draw_seed("WhatWaitedForAHandshakeKeepsItsMark"));
  if (mode() != Mode::kPlain) return;  // the same code: what waits is a packet to the peer
  std::vector<std::uint8_t> seen;
  fresh.network.on_datagram = [&](const Endpoint& from, const SentDatagram& d, bool) {
    if (from == fresh.a_at && d.type() == 4) seen.push_back(d.ds_field);
    if (d.type() != 4) {
      EXPECT_EQ(d.ds_field, wireguard::kHandshakeDsField);
    }
  };
  for (const int ds : {0xb8, 0xb9, 0xba, 0xbb}) {
    fresh.a.frame(kPlainLink, packet(static_cast<std::uint8_t>(ds)), fresh.network.now());
  }
  fresh.run_for(1s);
  EXPECT_EQ(seen, (std::vector<std::uint8_t>{0, 1, 2, 3}));
}

INSTANTIATE_TEST_SUITE_P(Modes, Ecn,
                         ::testing::Combine(::testing::Values(Mode::kPlain, Mode::kGre, Mode::kGretap),
                                            ::testing::Values(Family::kV4, Family::kV6)));

TEST(OwnDatagram, GoesIntoNoTunnelWhicheverPeerItIsFor) {
  Pair pair(draw_seed("GoesIntoNoTunnelWhicheverPeerItIsFor"));
  pair.connect();
  pair.a.set_listen_port(51820);
  PeerSetup other;
  other.endpoint = endpoint("203.0.113.5:7000");
  other.allowed_ips = {prefix("192.0.2.0/24")};
  Site third(draw_seed("third"));
  pair.a.add_peer(third.public_key(), other, pair.network.now());
  pair.a.book.assign(prefix("0.0.0.0/0"), pair.b_of_a, Origin::kConfig);
  pair.a.book.flush();

  struct Case {
    const char* what;
    const char* to;
    std::uint16_t from_port, to_port;
    std::uint32_t type;
    bool own;
  };
  for (const auto& c : {Case{"to the peer whose tunnel it is", "198.51.100.2", 51820, 51820, 4, true},
                        Case{"to another peer", "203.0.113.5", 51820, 7000, 4, true},
                        Case{"a handshake", "203.0.113.5", 51820, 7000, 1, true},
                        Case{"from another port", "198.51.100.2", 51821, 51820, 4, false},
                        Case{"to another port", "203.0.113.5", 51820, 7001, 4, false},
                        Case{"to another address", "203.0.113.6", 51820, 7000, 4, false},
                        Case{"no WireGuard", "203.0.113.5", 51820, 7000, 5, false},
                        Case{"reserved bytes", "203.0.113.5", 51820, 7000, 0x104, false}}) {
    SCOPED_TRACE(c.what);
    PacketSpec spec;
    spec.payload.assign(64, 0);
    store_le32(spec.payload.data(), c.type);
    Bytes packet = udp_packet(spec);
    const auto to = address(c.to);
    std::copy_n(to.data(), 4, packet.begin() + 16);
    store_be16(packet.data() + 20, c.from_port);
    store_be16(packet.data() + 22, c.to_port);
    const auto before = pair.a.drops(DropReason::kInnerLoop);
    pair.a.frame(kPlainLink, packet, pair.network.now());
    EXPECT_EQ(pair.a.drops(DropReason::kInnerLoop) - before, c.own ? 1U : 0U);
    EXPECT_EQ(pair.a.take_sent().size(), c.own ? 0U : 1U);
  }
}

}  // namespace
}  // namespace greywire::test
