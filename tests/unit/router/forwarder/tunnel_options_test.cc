// What a tunnel's options make of packets on the way out, and demand of those that come in.
#include <gtest/gtest.h>

#include "router/packet/checksum.h"
#include "router/packet/ethernet.h"
#include "router/packet/ip_header.h"
#include "tests/sim/pair.h"

namespace greywire::test {
namespace {

constexpr LinkId kTunnelLink{1};
constexpr LinkId kSecondLink{2};

class TunnelOptionsOf : public ::testing::Test {
 protected:
  TunnelOptionsOf() : pair(draw_seed("TunnelOptionsOf")) {
    pair.connect();
    pair.a.take_sent();
    pair.b.take_sent();
  }
  TimePoint now() const { return pair.network.now(); }
  static gre::TunnelConfig ends(Family family) {
    gre::TunnelConfig config;
    config.local = address(family == Family::kV4 ? "10.0.0.1" : "fd00::1");
    config.remote = address(family == Family::kV4 ? "10.0.0.2" : "fd00::2");
    return config;
  }
  static gre::TunnelConfig turned(gre::TunnelConfig config) {
    std::swap(config.local, config.remote);
    return config;
  }
  void at_a(const gre::TunnelConfig& config, LinkId link = kTunnelLink) {
    pair.a.add_tunnel({.link = link, .peer = pair.b_of_a, .config = config, .clamp_mss = true});
  }
  void at_b(const gre::TunnelConfig& config, LinkId link = kTunnelLink) {
    pair.b.add_tunnel({.link = link, .peer = pair.a_of_b, .config = turned(config)});
  }
  // What A wraps around the frame, as B's plain link shows it where B has no tunnel.
  Bytes wrapped(const Bytes& frame) {
    pair.a.frame(kTunnelLink, frame, now());
    pair.b.receive_batch(pair.a.take_sent(), pair.a_at, now());
    const auto delivered = pair.b.take_delivered();
    EXPECT_EQ(delivered.size(), 1U) << ::testing::PrintToString(pair.a.drop_report());
    return delivered.empty() ? Bytes(64) : delivered[0].bytes;
  }
  std::size_t carried(const Bytes& frame) {
    pair.a.frame(kTunnelLink, frame, now());
    pair.b.receive_batch(pair.a.take_sent(), pair.a_at, now());
    return pair.b.take_delivered().size();
  }
  void expect_only(const Site& site, DropReason reason, std::uint64_t count = 1) {
    EXPECT_EQ(site.drops(reason), count) << ::testing::PrintToString(site.drop_report());
    EXPECT_EQ(site.all_drops(), count) << ::testing::PrintToString(site.drop_report());
  }
  Pair pair;
};

TEST_F(TunnelOptionsOf, TtlAndDsFieldFollowThePacketWhenAsked) {
  struct Case {
    const char* what;
    std::uint8_t ttl;
    gre::TosPolicy policy;
    std::uint8_t tos;
    OuterDscp dscp;
    std::uint8_t inner_ds;
    std::uint8_t delivery_ds, outer_ds, delivery_ttl;
    bool sequence = false;
  };
  const Case cases[] = {
      {"defaults", 64, gre::TosPolicy::kPeer, 0, OuterDscp::kZero, 0xba, 0x02, 0x02, 64},
      {"the peer copies", 64, gre::TosPolicy::kPeer, 0, OuterDscp::kCopy, 0xba, 0xba, 0xba, 64},
      {"inherited", 0, gre::TosPolicy::kInherit, 0, OuterDscp::kZero, 0xba, 0xba, 0x02, 17},
      {"inherited and copied", 0, gre::TosPolicy::kInherit, 0, OuterDscp::kCopy, 0xba, 0xba, 0xba, 17},
      {"fixed", 255, gre::TosPolicy::kFixed, 0x48, OuterDscp::kZero, 0xba, 0x4a, 0x02, 255},
      {"fixed and copied", 1, gre::TosPolicy::kFixed, 0x48, OuterDscp::kCopy, 0x01, 0x49, 0x49, 1},
      {"routing traffic", 64, gre::TosPolicy::kPeer, 0, OuterDscp::kRouting, 0xc2, 0xc2, 0xc2, 64},
      {"not routing traffic", 64, gre::TosPolicy::kPeer, 0, OuterDscp::kRouting, 0xba, 0x02, 0x02, 64},
      {"routing traffic hidden", 64, gre::TosPolicy::kPeer, 0, OuterDscp::kZero, 0xc0, 0x00, 0x00, 64},
      {"routing traffic and fixed", 64, gre::TosPolicy::kFixed, 0x48, OuterDscp::kRouting, 0xe1, 0x49, 0xe1, 64},
      {"routing traffic and sequence numbers", 64, gre::TosPolicy::kPeer, 0, OuterDscp::kRouting, 0xc0, 0xc0, 0x00, 64, true},
  };
  for (const Family family : {Family::kV4, Family::kV6}) {
    for (const bool ethernet_frames : {false, true}) {
      for (const auto& c : cases) {
        SCOPED_TRACE(c.what);
        gre::TunnelConfig config = ends(family);
        config.ethernet = ethernet_frames;
        config.ttl = c.ttl;
        config.tos_policy = c.policy;
        config.tos = c.tos;
        config.sequence = c.sequence;
        pair.a.entry(pair.b_of_a).dscp = c.dscp;
        at_a(config);
        PacketSpec spec;
        spec.ttl = 17;
        spec.ds_field = c.inner_ds;
        if (ethernet_frames) spec.l2 = ethernet(spec.family, 1);
        pair.a.frame(kTunnelLink, udp_packet(spec), now());
        const auto sent = pair.a.take_sent();
        ASSERT_EQ(sent.size(), 1U);
        EXPECT_EQ(sent[0].ds_field, c.outer_ds);
        pair.b.receive_batch(sent, pair.a_at, now());
        const auto delivered = pair.b.take_delivered();
        ASSERT_EQ(delivered.size(), 1U);
        IpPacketInfo ip;
        ASSERT_TRUE(parse_ip(delivered[0].bytes, ip));
        EXPECT_EQ(ip.hop_limit, c.delivery_ttl);
        // B's own ECN rules may raise it; the DSCP stands.
        EXPECT_EQ(ip.ds_field, c.delivery_ds);
        pair.a.entry(pair.b_of_a).tunnels.clear();
      }
    }
  }
}

TEST_F(TunnelOptionsOf, AFrameWithoutIpHasNothingToInherit) {
  gre::TunnelConfig config = ends(Family::kV4);
  config.ethernet = true;
  config.ttl = 0;
  config.tos_policy = gre::TosPolicy::kInherit;
  at_a(config);
  Bytes arp = ethernet(0x0806);
  arp.resize(60);
  const Bytes packet = wrapped(arp);
  EXPECT_EQ(packet[8], 64);
  EXPECT_EQ(packet[1], 0);
  EXPECT_TRUE(ipv4_checksum_right(packet));
}

// IS-IS has no DSCP to show, and is routing traffic all the same.
TEST_F(TunnelOptionsOf, AFrameOfLlcGoesAsRoutingTraffic) {
  gre::TunnelConfig config = ends(Family::kV4);
  config.ethernet = true;
  at_a(config);
  struct Case {
    std::uint16_t ethertype;
    OuterDscp dscp;
    std::uint8_t outer_ds;
  };
  for (const auto& c : {Case{0x0030, OuterDscp::kRouting, kCs6}, Case{0x0030, OuterDscp::kCopy, kCs6},
                        Case{0x0030, OuterDscp::kZero, 0}, Case{0x0806, OuterDscp::kRouting, 0}}) {
    pair.a.entry(pair.b_of_a).dscp = c.dscp;
    pair.a.publish();
    for (const unsigned tags : {0U, 1U, 2U}) {
      Bytes frame = ethernet(c.ethertype, tags);
      frame.resize(64);
      pair.a.frame(kTunnelLink, frame, now());
      const auto sent = pair.a.take_sent();
      ASSERT_EQ(sent.size(), 1U);
      EXPECT_EQ(sent[0].ds_field, c.outer_ds) << "EtherType or length " << c.ethertype << " behind " << tags << " tags";
    }
  }
}

TEST_F(TunnelOptionsOf, DontFragmentIsKept) {
  gre::TunnelConfig config = ends(Family::kV4);
  config.df = gre::DfPolicy::kInherit;
  at_a(config);
  PacketSpec spec;
  for (const bool df : {false, true}) {
    spec.dont_fragment = df;
    EXPECT_EQ(load_be16(&wrapped(udp_packet(spec))[6]), df ? 0x4000 : 0);
  }
  spec.payload.resize(1400);
  spec.dont_fragment = true;
  pair.a.frame(kTunnelLink, udp_packet(spec), now());
  expect_only(pair.a, DropReason::kTooBig);
  EXPECT_EQ(pair.a.take_delivered().size(), 1U) << "its sender is told";
}

TEST_F(TunnelOptionsOf, ABridgedTunnelWithDontFragmentDropsWhatDoesNotFit) {
  gre::TunnelConfig config = ends(Family::kV4);
  config.ethernet = true;
  config.df = gre::DfPolicy::kSet;
  at_a(config);
  PacketSpec spec;
  spec.l2 = ethernet(Family::kV4);
  spec.payload.resize(1472);
  pair.a.frame(kTunnelLink, udp_packet(spec), now());
  expect_only(pair.a, DropReason::kTooBig);
  EXPECT_TRUE(pair.a.take_sent().empty());
  spec.payload.resize(1300);
  EXPECT_EQ(load_be16(&wrapped(udp_packet(spec))[6]), 0x4000);
}

TEST_F(TunnelOptionsOf, WhatIsAskedForMustBeThere) {
  gre::TunnelConfig bare = ends(Family::kV4);
  at_a(bare);
  gre::TunnelConfig config = bare;
  config.sequence = true;
  at_b(config);
  EXPECT_EQ(carried(Pair::packet_from_a()), 0U);
  expect_only(pair.b, DropReason::kGreMissingSequence);
  pair.b.entry(pair.a_of_b).tunnels.clear();
  config.sequence = false;
  config.checksum = true;
  at_b(config);
  EXPECT_EQ(carried(Pair::packet_from_a()), 0U);
  EXPECT_EQ(pair.b.drops(DropReason::kGreMissingChecksum), 1U);
  EXPECT_EQ(pair.b.all_drops(), 2U);
}

TEST_F(TunnelOptionsOf, WhatIsNotAskedForMayBeThere) {
  gre::TunnelConfig config = ends(Family::kV6);
  config.sequence = config.checksum = true;
  config.encap_limit = 4;
  at_a(config);
  at_b(ends(Family::kV6));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(carried(Pair::packet_from_a()), 1U);
  EXPECT_EQ(pair.b.all_drops(), 0U);
}

TEST_F(TunnelOptionsOf, ReorderedPacketsOfASequencedTunnelAreDropped) {
  gre::TunnelConfig config = ends(Family::kV4);
  config.sequence = true;
  at_a(config);
  at_b(config);
  for (std::uint32_t i = 0; i < 30; ++i) pair.a.frame(kTunnelLink, Pair::packet_from_a(i), now());
  auto sent = pair.a.take_sent();
  ASSERT_EQ(sent.size(), 30U);
  std::swap(sent[20], sent[21]);
  pair.b.receive_batch(sent, pair.a_at, now());
  const auto delivered = pair.b.take_delivered();
  ASSERT_EQ(delivered.size(), 29U);
  expect_only(pair.b, DropReason::kGreOutOfOrder);
  for (std::uint32_t i = 0; i < 29; ++i) EXPECT_EQ(Pair::number_of(delivered[i]), i < 20 ? i : i + 1);
}

TEST_F(TunnelOptionsOf, KeysTellTunnelsApart) {
  gre::TunnelConfig config = ends(Family::kV4);
  config.key = 1;
  at_a(config);
  at_b(config);
  config.key = 2;
  at_a(config, kSecondLink);
  at_b(config, kSecondLink);
  for (const LinkId link : {kTunnelLink, kSecondLink}) {
    pair.a.frame(link, Pair::packet_from_a(), now());
    pair.b.receive_batch(pair.a.take_sent(), pair.a_at, now());
    const auto delivered = pair.b.take_delivered();
    ASSERT_EQ(delivered.size(), 1U);
    EXPECT_EQ(delivered[0].link, link);
  }
}

// IPv6 in the tunnel, with the limit in its own Destination Options.
Bytes with_limit(std::uint8_t limit, std::uint8_t next = 17) {
  PacketSpec spec;
  spec.family = Family::kV6;
  Bytes options = {next, 0, 4, 1, limit, 1, 1, 0};
  append(options, Bytes(8));
  return ip_packet(spec, 60, options);
}

TEST_F(TunnelOptionsOf, TheEncapsulationLimitIsSentAndCountedDown) {
  for (const bool own : {false, true}) {
    gre::TunnelConfig config = ends(Family::kV6);
    if (own) config.encap_limit = 7;
    at_a(config);
    const auto plain = gre::inner_encap_limit(wrapped(Pair::packet_from_a()));
    ASSERT_EQ(plain.has_value(), own);
    if (own) {
      EXPECT_EQ(plain->limit, 7);
    }
    const auto down = gre::inner_encap_limit(wrapped(with_limit(3)));
    ASSERT_TRUE(down.has_value());
    EXPECT_EQ(down->limit, 2);
    pair.a.entry(pair.b_of_a).tunnels.clear();
  }
  const auto before = pair.a.all_drops();
  pair.a.frame(kTunnelLink, with_limit(0), now());
  EXPECT_EQ(pair.a.drops(DropReason::kGreEncapLimit), 1U);
  EXPECT_EQ(pair.a.all_drops(), before + 1);
  const auto told = pair.a.take_delivered();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].bytes[40], 4) << "parameter problem";
  EXPECT_EQ(told[0].bytes[41], 0);
  EXPECT_EQ(load_be32(&told[0].bytes[44]), 44U) << "which points at the limit";
}

TEST_F(TunnelOptionsOf, ATunnelInItselfIsRefused) {
  at_a(ends(Family::kV4));
  const Bytes delivery = wrapped(Pair::packet_from_a());
  pair.a.frame(kTunnelLink, delivery, now());
  expect_only(pair.a, DropReason::kGreRecursion);
}

// A tagged SYN through a bridged tunnel that clamps: both ways, by what the tag costs too.
TEST_F(TunnelOptionsOf, MssIsClampedInsideVlanTags) {
  for (unsigned tags = 0; tags <= 2; ++tags) {
    gre::TunnelConfig config = ends(Family::kV4);
    config.ethernet = true;
    at_a(config);
    pair.b.add_tunnel({.link = kTunnelLink, .peer = pair.a_of_b, .config = turned(config)});
    PacketSpec spec;
    spec.flags = 0x02;
    spec.options = {2, 4, 0x05, 0xb4};
    spec.l2 = ethernet(spec.family, tags);
    pair.a.frame(kTunnelLink, tcp_packet(spec), now());
    pair.b.receive_batch(pair.a.take_sent(), pair.a_at, now());
    const auto delivered = pair.b.take_delivered();
    ASSERT_EQ(delivered.size(), 1U);
    const std::size_t l4 = l4_offset(spec);
    EXPECT_EQ(load_be16(&delivered[0].bytes[l4 + 22]), 1420 - 24 - 14 - 4 * tags - 40) << tags;
    EXPECT_TRUE(l4_checksum_right(delivered[0].bytes, spec.l2.size(), l4, 6));
    pair.a.entry(pair.b_of_a).tunnels.clear();
    pair.b.entry(pair.a_of_b).tunnels.clear();
  }
}

// As a Cisco router has it: the answer is inside, and goes back to whom it came from, though its source is our own.
TEST_F(TunnelOptionsOf, AKeepaliveIsSentBack) {
  at_b(ends(Family::kV4));
  Bytes inside(24), packet(48);
  const auto header = [](std::uint8_t* at, std::size_t size, const char* from, const char* to) {
    at[0] = 0x45;
    store_be16(at + 2, static_cast<std::uint16_t>(size));
    at[8] = 255;
    at[9] = 47;
    std::copy_n(address(from).data(), 4, at + 12);
    std::copy_n(address(to).data(), 4, at + 16);
    store_be16(at + 10, checksum_finish(checksum_add(at, 20, 0)));
  };
  header(inside.data(), inside.size(), "10.0.0.2", "10.0.0.1");
  header(packet.data(), packet.size(), "10.0.0.1", "10.0.0.2");
  store_be16(&packet[22], 0x0800);
  std::copy(inside.begin(), inside.end(), packet.begin() + 24);
  pair.a.frame(kPlainLink, packet, now());
  pair.b.receive_batch(pair.a.take_sent(), pair.a_at, now());
  EXPECT_TRUE(pair.b.take_delivered().empty());
  pair.a.receive_batch(pair.b.take_sent(), pair.b_at, now());
  const auto back = pair.a.take_delivered();
  ASSERT_EQ(back.size(), 1U);
  EXPECT_EQ(back[0].link, kPlainLink);
  EXPECT_EQ(back[0].bytes, inside);
}

}  // namespace
}  // namespace greywire::test
