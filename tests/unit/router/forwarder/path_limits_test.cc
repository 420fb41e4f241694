// What keeps every datagram inside its peer's path MTU, and what senders are told: RFC 1191, RFC 8201, RFC 8200 section 5.
#include <gtest/gtest.h>

#include "router/packet/icmp.h"
#include "router/packet/ip_header.h"
#include "router/pmtu/overhead.h"
#include "tests/sim/pair.h"
#include "tests/unit/router/packet/packets.h"

namespace greywire::test {
namespace {

constexpr LinkId kTunnelLink{1};

class PathLimits : public ::testing::Test {
 protected:
  PathLimits() : pair(draw_seed("PathLimits")) {
    pair.connect();
    pair.a.take_sent();
    pair.b.take_sent();
  }
  TimePoint now() const { return pair.network.now(); }
  void limit(std::uint32_t inner) { pair.a.shared(pair.b_of_a).inner_mtu = inner; }
  std::vector<DeliveredFrame> carry() {
    pair.b.receive_batch(pair.a.take_sent(), pair.a_at, now());
    return pair.b.take_delivered();
  }
  void tunnel(bool ethernet, std::optional<std::uint32_t> key = {}) {
    gre::TunnelConfig there;
    there.ethernet = ethernet;
    there.local = address("10.0.0.1");
    there.remote = address("10.0.0.2");
    there.key = key;
    gre::TunnelConfig back = there;
    std::swap(back.local, back.remote);
    pair.a.add_tunnel({.link = kTunnelLink, .peer = pair.b_of_a, .config = there, .clamp_mss = true});
    pair.b.add_tunnel({.link = kTunnelLink, .peer = pair.a_of_b, .config = back});
  }
  static PacketSpec of_size(Family family, std::size_t size, bool dont_fragment = true) {
    PacketSpec spec;
    spec.family = family;
    spec.dont_fragment = dont_fragment;
    spec.payload.resize(size - (family == Family::kV4 ? 28 : 48));
    for (std::size_t i = 0; i < spec.payload.size(); ++i) spec.payload[i] = static_cast<std::uint8_t>(i * 7);
    return spec;
  }
  std::uint64_t count(PathEvent event) { return pair.a.outbound.path_counters().get(event); }
  Pair pair;
};

TEST_F(PathLimits, TheLargestThatFitsGoesThroughAndOneMoreByteDoesNot) {
  for (const std::uint32_t inner : {576U, 1000U, 1340U, 1420U, 1440U}) {
    limit(inner);
    pair.a.frame(kPlainLink, udp_packet(of_size(Family::kV4, inner)), now());
    EXPECT_EQ(carry().size(), 1U) << inner;
    pair.a.frame(kPlainLink, udp_packet(of_size(Family::kV4, inner + 1)), now());
    EXPECT_TRUE(pair.a.take_sent().empty()) << inner;
    const auto told = pair.a.take_delivered();
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(load_be16(&told[0].bytes[26]), inner) << "Fragmentation Needed says what fits";
  }
  EXPECT_EQ(count(PathEvent::kTooBigSent), 5U);
}

// Below 1280 bytes an IPv6 host cannot go: what it may always send is fragmented, what it need not is refused.
TEST_F(PathLimits, Ipv6OnANarrowPathIsFragmentedUpTo1280) {
  limit(1200);
  for (const std::size_t size : {1201U, 1279U, 1280U}) {
    pair.a.frame(kPlainLink, udp_packet(of_size(Family::kV6, size)), now());
    const auto got = carry();
    ASSERT_EQ(got.size(), 2U) << size;
    for (const auto& fragment : got) EXPECT_EQ(fragment.bytes[6], kProtocolFragment);
    EXPECT_EQ(load_be32(&got[0].bytes[44]), load_be32(&got[1].bytes[44])) << "one identification";
  }
  pair.a.frame(kPlainLink, udp_packet(of_size(Family::kV6, 1281)), now());
  EXPECT_TRUE(pair.a.take_sent().empty());
  const auto told = pair.a.take_delivered();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].bytes[40], 2);
  EXPECT_EQ(load_be32(&told[0].bytes[44]), 1280U) << "never less";
  EXPECT_EQ(count(PathEvent::kFragmented), 3U);
  EXPECT_EQ(count(PathEvent::kFragmentsSent), 6U);
}

TEST_F(PathLimits, WithoutDfIpv4IsFragmentedAsARouterWould) {
  limit(600);
  pair.a.frame(kPlainLink, udp_packet(of_size(Family::kV4, 1440, false)), now());
  const auto got = carry();
  ASSERT_EQ(got.size(), 3U);
  for (const auto& fragment : got) EXPECT_LE(fragment.bytes.size(), 600U);
}

TEST_F(PathLimits, ASuperFrameThatIsTooBigIsAnsweredOnce) {
  limit(1000);
  PacketSpec spec;
  spec.payload.resize(10 * 1400);
  const Bytes frame = tcp_packet(spec);
  VirtioNetHeader header;
  header.flags = kNeedsCsum;
  header.gso_type = kGsoTcpV4;
  header.hdr_len = 40;
  header.gso_size = 1400;
  header.csum_start = 20;
  header.csum_offset = 16;
  pair.a.frame(kPlainLink, frame, now(), header);
  EXPECT_TRUE(pair.a.take_sent().empty());
  EXPECT_EQ(pair.a.take_delivered().size(), 1U);
  EXPECT_EQ(pair.a.drops(DropReason::kTooBig), 10U);
}

TEST_F(PathLimits, ABridgeFragmentsUnlessItIsToTell) {
  tunnel(true);
  limit(1400);
  PacketSpec spec = of_size(Family::kV4, 1500);
  spec.l2 = ethernet(Family::kV4, 1);
  pair.a.frame(kTunnelLink, udp_packet(spec), now());
  auto got = carry();
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].bytes.size(), 1518U);
  EXPECT_TRUE(pair.a.take_delivered().empty());

  pair.a.tell_too_big(kTunnelLink);
  const Bytes frame = udp_packet(spec);
  pair.a.frame(kTunnelLink, frame, now());
  EXPECT_TRUE(pair.a.take_sent().empty());
  const auto told = pair.a.take_delivered();
  ASSERT_EQ(told.size(), 1U);
  const Bytes& answer = told[0].bytes;
  EXPECT_EQ(0, std::memcmp(&answer[0], &frame[6], 6)) << "to the sender";
  EXPECT_EQ(0, std::memcmp(&answer[6], &frame[0], 6)) << "from the destination";
  EXPECT_EQ(0, std::memcmp(&answer[12], &frame[12], 6)) << "in its VLAN";
  EXPECT_EQ(answer[18 + 20], 3);
  EXPECT_EQ(answer[18 + 21], 4);
  EXPECT_EQ(load_be16(&answer[18 + 26]), 1400 - 24 - 18);
  EXPECT_EQ(0, std::memcmp(&answer[18 + 12], &frame[18 + 16], 4)) << "from the destination's address";
  spec.dont_fragment = false;
  pair.a.frame(kTunnelLink, udp_packet(spec), now());
  EXPECT_EQ(carry().size(), 1U) << "without DF it is fragmented still";
}

// For any path, encapsulation and size: no datagram exceeds the path, and what fits in one piece goes in one.
TEST_F(PathLimits, NoDatagramEverExceedsThePath) {
  SeededRandom random(draw_seed("NoDatagramEverExceedsThePath"));
  unsigned whole = 0, cut = 0, refused = 0;
  for (int round = 0; round < 10'000; ++round) {
    const Family underlay = random.chance(0.5) ? Family::kV4 : Family::kV6;
    const auto path = static_cast<std::uint32_t>((underlay == Family::kV4 ? 576 : 1280) + random.below(900));
    const Mtu inner = pmtu::max_inner(Mtu{path}, underlay);
    limit(inner.bytes);
    const Family family = random.chance(0.5) ? Family::kV4 : Family::kV6;
    // Sizes around the limit as often as any.
    std::size_t size = random.chance(0.5) ? inner.bytes - 3 + random.below(7) : 60 + random.below(1440);
    size = std::max<std::size_t>(size, 60);
    const bool dont_fragment = random.chance(0.5);
    pair.a.frame(kPlainLink, udp_packet(of_size(family, size, dont_fragment)), now());
    const auto sent = pair.a.take_sent();
    for (const auto& datagram : sent) {
      const auto outer = pmtu::ip_header(underlay) + pmtu::kUdpHeader + static_cast<std::uint32_t>(datagram.bytes.size());
      ASSERT_LE(outer, path) << "size " << size;
    }
    if (size <= inner.bytes) {
      ASSERT_EQ(sent.size(), 1U) << size << " fits " << inner.bytes;
      ++whole;
    } else if (family == Family::kV4 ? dont_fragment : size > 1280) {
      ASSERT_TRUE(sent.empty()) << size << " in " << inner.bytes;
      ++refused;
    } else {
      ASSERT_GE(sent.size(), 2U) << size << " in " << inner.bytes;
      ++cut;
    }
    pair.a.take_delivered();
    pair.b.receive_batch(sent, pair.a_at, now());
    pair.b.take_delivered();
  }
  EXPECT_GT(whole, 1000U);
  EXPECT_GT(cut, 500U);
  EXPECT_GT(refused, 500U);
}

// The same through GRE and GRETAP, with and without a key, both families inside.
TEST_F(PathLimits, NorThroughATunnel) {
  for (const bool ethernet_tunnel : {false, true}) {
    Pair fresh(draw_seed("NorThroughATunnel"));
    fresh.connect();
    gre::TunnelConfig there;
    there.ethernet = ethernet_tunnel;
    there.local = address("10.0.0.1");
    there.remote = address("10.0.0.2");
    there.key = 7;
    gre::TunnelConfig back = there;
    std::swap(back.local, back.remote);
    fresh.a.add_tunnel({.link = kTunnelLink, .peer = fresh.b_of_a, .config = there});
    fresh.b.add_tunnel({.link = kTunnelLink, .peer = fresh.a_of_b, .config = back});
    fresh.a.take_sent();
    SeededRandom random(draw_seed("sizes"));
    for (int round = 0; round < 5'000; ++round) {
      const auto path = static_cast<std::uint32_t>(1280 + random.below(300));
      const Mtu inner = pmtu::max_inner(Mtu{path}, Family::kV4);
      fresh.a.shared(fresh.b_of_a).inner_mtu = inner.bytes;
      PacketSpec spec = of_size(random.chance(0.5) ? Family::kV4 : Family::kV6, 60 + random.below(1441), random.chance(0.5));
      if (ethernet_tunnel) spec.l2 = ethernet(spec.family, static_cast<unsigned>(random.below(3)));
      const Bytes frame = udp_packet(spec);
      fresh.a.frame(kTunnelLink, frame, fresh.network.now());
      const auto sent = fresh.a.take_sent();
      for (const auto& datagram : sent) ASSERT_LE(28 + datagram.bytes.size(), path);
      fresh.b.receive_batch(sent, fresh.a_at, fresh.network.now());
      const auto got = fresh.b.take_delivered();
      const auto payload = pmtu::less(inner, 28);
      if (ethernet_tunnel || frame.size() <= payload.bytes) {
        ASSERT_EQ(got.size(), 1U) << frame.size() << " over " << path;
        ASSERT_EQ(got[0].bytes, frame);
      }
      if (frame.size() <= payload.bytes) {
        ASSERT_EQ(sent.size(), 1U);
      }
      fresh.a.take_delivered();
    }
  }
}

TEST_F(PathLimits, SynsInTaggedFramesAreClampedToThePath) {
  tunnel(true);
  for (const Family family : {Family::kV4, Family::kV6}) {
    for (unsigned tags = 0; tags <= 2; ++tags) {
      for (const std::uint32_t inner : {1300U, 1440U}) {
        limit(inner);
        PacketSpec spec;
        spec.family = family;
        spec.flags = 0x02;
        spec.options = {2, 4, 0x05, 0xb4};  // MSS 1460
        spec.l2 = ethernet(family, tags);
        const Bytes frame = tcp_packet(spec);
        pair.a.frame(kTunnelLink, frame, now());
        const auto got = carry();
        ASSERT_EQ(got.size(), 1U);
        const std::size_t ip = 14 + 4 * tags;
        const std::size_t tcp = ip + (family == Family::kV4 ? 20 : 40);
        EXPECT_EQ(load_be16(&got[0].bytes[tcp + 22]), inner - 24 - ip - (tcp - ip) - 20) << tags;
        EXPECT_TRUE(l4_checksum_right(got[0].bytes, ip, tcp, kProtocolTcp));
      }
    }
  }
  EXPECT_EQ(count(PathEvent::kMssClamped), 12U);
}

// The protocol thread asks; the next large datagram answers, once, and small ones do not.
TEST_F(PathLimits, ALargeDatagramIsNoticedOnceWhenAsked) {
  auto& shared = pair.a.shared(pair.b_of_a);
  pair.a.frame(kPlainLink, udp_packet(of_size(Family::kV4, 1400)), now());
  EXPECT_FALSE(shared.watch_large);
  shared.watch_large = true;
  pair.a.frame(kPlainLink, udp_packet(of_size(Family::kV4, 200)), now());
  EXPECT_TRUE(shared.watch_large) << "a small one does not matter";
  pair.a.frame(kPlainLink, udp_packet(of_size(Family::kV4, 1400)), now());
  EXPECT_FALSE(shared.watch_large);
}

}  // namespace
}  // namespace greywire::test
