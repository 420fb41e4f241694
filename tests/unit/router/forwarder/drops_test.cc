// What is refused: on which ground, counted once, and what the sender is told.
#include <gtest/gtest.h>

#include "router/packet/ip_header.h"
#include "tests/sim/pair.h"

namespace greywire::test {
namespace {

constexpr LinkId kTunnelLink{1};

class Refused : public ::testing::Test {
 protected:
  Refused() : pair(draw_seed("Refused")) {
    pair.connect();
    pair.a.take_sent();
    pair.b.take_sent();
  }
  TimePoint now() const { return pair.network.now(); }
  void carry_batch() { pair.b.receive_batch(pair.a.take_sent(), pair.a_at, now()); }
  // Seals any bytes at A, as a peer that does not play by the rules would.
  void seal_raw(const Bytes& inner, std::uint8_t ds_field = 0) {
    pair.a.device.send_packet(pair.a.peer(pair.b_of_a), inner, ds_field, now_at(now()));
  }
  void expect_only(const Site& site, DropReason reason, std::uint64_t count = 1) {
    EXPECT_EQ(site.drops(reason), count) << ::testing::PrintToString(site.drop_report());
    EXPECT_EQ(site.all_drops(), count) << ::testing::PrintToString(site.drop_report());
  }
  void tunnels(std::optional<std::uint32_t> key_a, std::optional<std::uint32_t> key_b,
               bool check_sources = false) {
    gre::TunnelConfig there;
    there.local = address("10.0.0.1");
    there.remote = address("10.0.0.2");
    there.key = key_a;
    gre::TunnelConfig back = there;
    std::swap(back.local, back.remote);
    back.key = key_b;
    pair.a.add_tunnel({.link = kTunnelLink, .peer = pair.b_of_a, .config = there, .clamp_mss = true});
    pair.b.add_tunnel({.link = kTunnelLink,
                       .peer = pair.a_of_b,
                       .config = back,
                       .check_sources = check_sources,
                       .sources = {prefix("10.0.0.0/28")}});
  }
  Pair pair;
};

TEST_F(Refused, GarbageDatagramsAreCountedAndUnanswered) {
  struct Garbage {
    const char* what;
    Bytes bytes;
    DropReason reason;
  };
  const auto sized = [](std::size_t size, std::uint32_t type) {
    Bytes b(size, 0x5a);
    if (size >= 4) store_le32(b.data(), type);
    return b;
  };
  const std::vector<Garbage> cases = {
      {"empty", {}, DropReason::kTooShort},
      {"31 bytes", sized(31, 4), DropReason::kTooShort},
      {"type 0", sized(148, 0), DropReason::kBadType},
      {"type 5", sized(148, 5), DropReason::kBadType},
      {"reserved bits of an initiation", sized(148, 0x101), DropReason::kBadType},
      {"reserved bits of data", sized(148, 0x1000004), DropReason::kBadType},
      {"initiation too short", sized(147, 1), DropReason::kBadLength},
      {"initiation too long", sized(149, 1), DropReason::kBadLength},
      {"response too long", sized(148, 2), DropReason::kBadLength},
      {"cookie reply too short", sized(63, 3), DropReason::kBadLength},
      {"initiation with a bad mac1", sized(148, 1), DropReason::kBadMac1},
      {"response with a bad mac1", sized(92, 2), DropReason::kBadMac1},
      {"cookie reply for nobody", sized(64, 3), DropReason::kUnknownIndex},
      {"data for nobody", sized(128, 4), DropReason::kUnknownIndex},
  };
  std::uint64_t total = 0;
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    const auto before = pair.b.drops(c.reason);
    pair.b.receive(c.bytes, endpoint("203.0.113.5:99"), now());
    EXPECT_EQ(pair.b.drops(c.reason), before + 1);
    EXPECT_EQ(pair.b.all_drops(), ++total);
    EXPECT_TRUE(pair.b.take_sent().empty()) << "silence";
  }
  pair.b.handshake_queue_full = true;
  Bytes initiation = sized(148, 1);
  wireguard::MessageAuthenticator authenticator;
  authenticator.set_remote(pair.b.public_key());
  authenticator.add_macs(initiation, now());
  pair.b.receive(initiation, endpoint("203.0.113.5:99"), now());
  EXPECT_EQ(pair.b.drops(DropReason::kHandshakeQueueFull), 1U);
}

TEST_F(Refused, InnerPacketsThatAreNone) {
  seal_raw(Bytes(20, 0));
  carry_batch();
  expect_only(pair.b, DropReason::kBadInner);
  Bytes liar = Pair::packet_from_a();
  store_be16(&liar[2], static_cast<std::uint16_t>(liar.size() + 40));
  seal_raw(liar);
  carry_batch();
  expect_only(pair.b, DropReason::kBadInner, 2);
}

TEST_F(Refused, PaddingIsTrimmedToTheInnerLength) {
  Bytes padded = Pair::packet_from_a();
  const Bytes packet = padded;
  padded.resize(padded.size() + 333);
  seal_raw(padded);
  carry_batch();
  const auto delivered = pair.b.take_delivered();
  ASSERT_EQ(delivered.size(), 1U);
  EXPECT_EQ(delivered[0].bytes, packet);
}

TEST_F(Refused, StrictSourcesAreAllowedIps) {
  seal_raw(Pair::packet(9, 2, 0, 20));
  carry_batch();
  expect_only(pair.b, DropReason::kSourceNotAllowed);
  // Learned prefixes count under the strict rule; refused ones do not.
  const LearnedRoute routes[] = {{prefix("10.0.0.9/32"), LearnedRoute::Action::kToPeer, pair.a_of_b}};
  pair.b.book.learn(routes);
  pair.b.book.flush();
  seal_raw(Pair::packet(9, 2, 0, 20));
  carry_batch();
  EXPECT_EQ(pair.b.take_delivered().size(), 1U);
  const LearnedRoute refused[] = {{prefix("10.0.0.9/32"), LearnedRoute::Action::kRefused, pair.a_of_b}};
  pair.b.book.learn(refused);
  pair.b.book.flush();
  seal_raw(Pair::packet(9, 2, 0, 20));
  carry_batch();
  expect_only(pair.b, DropReason::kSourceNotAllowed, 2);
}

TEST_F(Refused, TheCeilingIsIndependentOfRoutesButNeverOverOverlayAddresses) {
  auto& entry = pair.b.entry(pair.a_of_b);
  entry.strict = false;
  const Prefix ceiling[] = {prefix("10.0.0.0/29")};
  entry.sources = PrefixSet(ceiling);
  pair.b.publish();
  SeededRandom random(1);
  PeerSetup other;
  other.overlay = {address("10.0.0.5")};
  pair.b.add_peer(derive_public_key(generate_private_key(random)), other, now());
  pair.b.set_own_overlay({address("10.0.0.2")});
  struct Case {
    std::uint8_t source;
    bool allowed;
  };
  for (const auto& c :
       {Case{1, true}, Case{7, true}, Case{8, false}, Case{5, false}, Case{2, false}, Case{3, true}}) {
    seal_raw(Pair::packet(c.source, 3, 0, 20));
    seal_raw(Pair::packet(c.source, 3, 0, 20));  // what a train repeats is judged alike
    carry_batch();
    EXPECT_EQ(pair.b.take_delivered().size(), c.allowed ? 2U : 0U) << "10.0.0." << int{c.source};
  }
  expect_only(pair.b, DropReason::kSourceNotAllowed, 6);
}

TEST_F(Refused, OurOwnNetworksComeFromNoPeer) {
  auto& entry = pair.b.entry(pair.a_of_b);
  const Prefix ceiling[] = {prefix("10.0.0.0/24")};
  entry.sources = PrefixSet(ceiling);
  pair.b.book.assign(prefix("10.0.0.0/24"), pair.a_of_b, Origin::kConfig);
  pair.b.book.flush();
  pair.b.set_own_networks({prefix("10.0.0.16/28")});
  for (const bool strict : {false, true}) {
    entry.strict = strict;
    pair.b.publish();
    for (const int source : {15, 16, 31, 32}) {
      seal_raw(Pair::packet(static_cast<std::uint8_t>(source), 3, 0, 20));
      carry_batch();
      EXPECT_EQ(pair.b.take_delivered().size(), source == 15 || source == 32 ? 1U : 0U) << "10.0.0." << source;
    }
  }
  expect_only(pair.b, DropReason::kSourceNotAllowed, 4);
}

TEST_F(Refused, NoPeerAndRefusedRoutesAreToldToTheSender) {
  struct Case {
    const char* what;
    DropReason reason;
    std::uint8_t code;
  };
  const LearnedRoute refused[] = {{prefix("10.0.0.9/32"), LearnedRoute::Action::kRefused, pair.b_of_a}};
  pair.a.book.learn(refused);
  pair.a.book.assign(prefix("10.0.0.8/29"), pair.b_of_a, Origin::kConfig);
  pair.a.book.flush();
  std::uint8_t host = 200;
  for (const auto& c :
       {Case{"nobody's", DropReason::kNoPeer, 0}, Case{"refused", DropReason::kRouteRefused, 13}}) {
    SCOPED_TRACE(c.what);
    pair.a.frame(kPlainLink, Pair::packet(1, host, 0, 20), now());
    EXPECT_EQ(pair.a.drops(c.reason), 1U);
    const auto told = pair.a.take_delivered();
    ASSERT_EQ(told.size(), 1U);
    IpPacketInfo info;
    ASSERT_TRUE(parse_ip(told[0].bytes, info));
    EXPECT_EQ(info.protocol, kProtocolIcmp);
    EXPECT_EQ(told[0].bytes[20], 3);
    EXPECT_EQ(told[0].bytes[21], c.code);
    EXPECT_EQ(destination(told[0].bytes, info), address("10.0.0.1"));
    host = 9;  // inside the fixed 10.0.0.8/29: a refused prefix does not fall through to it
  }
  EXPECT_EQ(pair.a.all_drops(), 2U);
  EXPECT_TRUE(pair.a.take_sent().empty());
}

TEST_F(Refused, IcmpErrorsAreLimited) {
  for (int i = 0; i < 300; ++i) pair.a.frame(kPlainLink, Pair::packet(1, 200, 0, 20), now());
  EXPECT_EQ(pair.a.take_delivered().size(), 100U);
  expect_only(pair.a, DropReason::kNoPeer, 300);
}

TEST_F(Refused, TooBigIsToldWithTheMtuFromTheOverlayAddress) {
  auto& entry = pair.a.entry(pair.b_of_a);
  entry.overlay_v4 = address("10.0.0.2");
  entry.overlay_v6 = address("fd00::2");
  pair.a.publish();
  PacketSpec spec;
  spec.payload.resize(1500 - 28);
  pair.a.frame(kPlainLink, udp_packet(spec), now());
  auto told = pair.a.take_delivered();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].bytes[20], 3);
  EXPECT_EQ(told[0].bytes[21], 4);
  EXPECT_EQ(load_be16(&told[0].bytes[26]), 1420);
  EXPECT_EQ(told[0].bytes[15], 2) << "from the peer's overlay address";
  spec.family = Family::kV6;
  spec.payload.resize(1500 - 48);
  pair.a.frame(kPlainLink, udp_packet(spec), now());
  told = pair.a.take_delivered();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].bytes[40], 2);
  EXPECT_EQ(load_be32(&told[0].bytes[44]), 1420U);
  expect_only(pair.a, DropReason::kTooBig, 2);
  spec.family = Family::kV4;
  spec.dont_fragment = false;
  spec.payload.resize(1500 - 28);
  pair.a.frame(kPlainLink, udp_packet(spec), now());
  EXPECT_EQ(pair.a.take_sent().size(), 2U) << "without DF it is fragmented";
}

TEST_F(Refused, OurOwnDatagramsNeverGoIntoTheTunnel) {
  pair.a.book.assign(prefix("0.0.0.0/0"), pair.b_of_a, Origin::kConfig);
  pair.a.book.flush();
  pair.a.set_listen_port(51820);
  pair.a.frame(kPlainLink, Pair::packet_from_a(), now());
  const auto sealed = pair.a.take_sent();
  PacketSpec spec;
  spec.source_port = spec.destination_port = 51820;
  spec.payload = sealed[0].bytes;
  Bytes outer = udp_packet(spec);
  std::memcpy(&outer[16], pair.b_at.address.data(), 4);
  pair.a.frame(kPlainLink, outer, now());
  expect_only(pair.a, DropReason::kInnerLoop);
  EXPECT_TRUE(pair.a.take_sent().empty());
}

TEST_F(Refused, FramesThatAreNoneOrOfNoLink) {
  pair.a.frame(kPlainLink, {1, 2, 3}, now());
  expect_only(pair.a, DropReason::kNotIp);
  pair.a.frame(LinkId{7}, Pair::packet_from_a(), now());
  EXPECT_EQ(pair.a.drops(DropReason::kPeerDisabled), 1U);
  VirtioNetHeader header;
  header.gso_type = kGsoTcpV4;
  pair.a.frame(kPlainLink, Pair::packet_from_a(), now(), header);
  EXPECT_EQ(pair.a.drops(DropReason::kBadOffload), 1U);
  EXPECT_EQ(pair.a.all_drops(), 3U);
}

TEST_F(Refused, PacketsOfAPeerThatIsNotPublishedAreEachCounted) {
  for (int i = 0; i < 5; ++i) pair.send_from_a();
  const auto sent = pair.a.take_sent();
  ASSERT_EQ(sent.size(), 5U);
  const auto entry = pair.b.entry(pair.a_of_b);
  // Workers may see the new tables a moment before the sessions go.
  ForwardingTables none;
  std::vector<Bytes> copies;
  for (const auto& d : sent) copies.push_back(d.bytes);
  pair.b.inbound->begin(none, *pair.b.routes.root().load(), pair.b.device.index_table(), now());
  for (auto& copy : copies) pair.b.inbound->message(copy, 0, wireguard::Route{pair.a_at, {}, 0, false}, 0);
  pair.b.inbound->finish();
  expect_only(pair.b, DropReason::kPeerDisabled, 5);
}

TEST_F(Refused, ADeviceThatIsDownCountsEachPacket) {
  pair.b.device_takes_frames = false;
  for (int i = 0; i < 5; ++i) pair.send_from_a();
  carry_batch();
  expect_only(pair.b, DropReason::kDeviceFull, 5);
}

TEST_F(Refused, StagedPacketsBeyondTheNewest128) {
  Pair fresh(2);
  fresh.network.model.down = true;
  for (std::uint32_t i = 0; i < 200; ++i) fresh.send_from_a(i);
  expect_only(fresh.a, DropReason::kStagedFull, 72);
  fresh.run_for(1s);
  fresh.network.model.down = false;
  fresh.run_for(6s);
  const auto delivered = fresh.b.take_delivered();
  ASSERT_EQ(delivered.size(), 128U);
  for (std::uint32_t i = 0; i < 128; ++i) EXPECT_EQ(Pair::number_of(delivered[i]), 72 + i);
  fresh.network.model.down = true;
  fresh.a.device.remove_peer(fresh.b_of_a);
}

TEST_F(Refused, WhatWaitsForARemovedPeerIsCounted) {
  Pair fresh(3);
  for (std::uint32_t i = 0; i < 7; ++i) fresh.send_from_a(i);
  fresh.a.remove_peer(fresh.b_of_a);
  expect_only(fresh.a, DropReason::kPeerDisabled, 7);
}

TEST_F(Refused, EcnFollowsRfc6040) {
  struct Case {
    std::uint8_t inner, outer;
    int delivered;  // -1: dropped
  };
  for (const auto& c : {Case{0, 0, 0}, Case{0, 1, 0}, Case{0, 2, 0}, Case{0, 3, -1}, Case{2, 0, 2},
                        Case{2, 1, 1}, Case{2, 2, 2}, Case{2, 3, 3}, Case{1, 0, 1}, Case{1, 2, 1},
                        Case{1, 3, 3}, Case{3, 0, 3}, Case{3, 3, 3}}) {
    PacketSpec spec;
    spec.ds_field = static_cast<std::uint8_t>(0xb8 | c.inner);
    const Bytes packet = udp_packet(spec);
    pair.a.frame(kPlainLink, packet, now());
    auto sent = pair.a.take_sent();
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_EQ(sent[0].ds_field, c.inner) << "the outer DSCP is 0";
    sent[0].ds_field = c.outer;
    pair.b.receive_batch(sent, pair.a_at, now());
    const auto delivered = pair.b.take_delivered();
    ASSERT_EQ(delivered.size(), c.delivered < 0 ? 0U : 1U) << int{c.inner} << " in " << int{c.outer};
    if (c.delivered >= 0) {
      EXPECT_EQ(delivered[0].bytes[1], 0xb8 | c.delivered) << int{c.inner} << " in " << int{c.outer};
      EXPECT_TRUE(ipv4_checksum_right(delivered[0].bytes));
    }
  }
  expect_only(pair.b, DropReason::kCongestion);
}

TEST_F(Refused, GreOfAWrongKey) {
  tunnels(7, 8);
  pair.a.frame(kTunnelLink, Pair::packet_from_a(), now());
  carry_batch();
  expect_only(pair.b, DropReason::kGreWrongKey);
}

TEST_F(Refused, GreWithoutTheKey) {
  tunnels(std::nullopt, 8);
  pair.a.frame(kTunnelLink, Pair::packet_from_a(), now());
  carry_batch();
  expect_only(pair.b, DropReason::kGreMissingKey);
}

TEST_F(Refused, GreOfNoConfiguredPairGoesToThePlainLink) {
  gre::TunnelConfig config;
  config.local = address("10.0.0.1");
  config.remote = address("10.0.0.2");
  pair.a.add_tunnel({.link = kTunnelLink, .peer = pair.b_of_a, .config = config});
  gre::TunnelConfig other;
  other.local = address("10.0.0.2");
  other.remote = address("10.0.0.77");
  pair.b.add_tunnel({.link = kTunnelLink, .peer = pair.a_of_b, .config = other});
  pair.a.frame(kTunnelLink, Pair::packet_from_a(), now());
  carry_batch();
  const auto delivered = pair.b.take_delivered();
  ASSERT_EQ(delivered.size(), 1U);
  EXPECT_EQ(delivered[0].link, kPlainLink);
  EXPECT_EQ(delivered[0].bytes[9], kProtocolGre);
  EXPECT_EQ(pair.b.all_drops(), 0U);
}

TEST_F(Refused, GrePayloadsObeyTheirSources) {
  tunnels(7, 7, true);
  pair.a.frame(kTunnelLink, Pair::packet(3, 2, 0, 20), now());
  pair.a.frame(kTunnelLink, Pair::packet(77, 2, 0, 20), now());
  carry_batch();
  const auto delivered = pair.b.take_delivered();
  ASSERT_EQ(delivered.size(), 1U);
  EXPECT_EQ(delivered[0].link, kTunnelLink);
  expect_only(pair.b, DropReason::kSourceNotAllowed);
}

TEST_F(Refused, GreFromInsideAnotherPeerIsNotOurTunnels) {
  tunnels(7, 7);
  Site third(77);
  PeerSetup setup;
  setup.endpoint = pair.b_at;
  setup.allowed_ips = {prefix("10.0.0.2/32")};
  const PeerId b_of_third = third.add_peer(pair.b.public_key(), setup, now());
  PeerSetup of_third;
  of_third.allowed_ips = {prefix("10.0.0.3/32")};
  pair.b.add_peer(third.public_key(), of_third, now());
  gre::TunnelConfig config;
  config.local = address("10.0.0.1");  // as if it were A
  config.remote = address("10.0.0.2");
  config.key = 7;
  third.add_tunnel({.link = kTunnelLink, .peer = b_of_third, .config = config});
  const Endpoint third_at = endpoint("203.0.113.3:51820");
  third.frame(kTunnelLink, Pair::packet_from_a(), now());
  exchange(third, third_at, pair.b, pair.b_at, now());
  EXPECT_TRUE(pair.b.take_delivered().empty());
  expect_only(pair.b, DropReason::kSourceNotAllowed);
}

TEST_F(Refused, FragmentsWithoutMemoryForThem) {
  pair.b.entry(pair.a_of_b).reassembly = nullptr;
  tunnels(7, 7);
  PacketSpec spec;
  spec.dont_fragment = false;
  spec.payload.resize(1400);
  pair.a.shared(pair.b_of_a).inner_mtu = 1300;
  pair.a.frame(kTunnelLink, udp_packet(spec), now());
  carry_batch();
  expect_only(pair.b, DropReason::kFragmentMemory, 2);
}

TEST_F(Refused, ALostFragmentIsCountedWhenItsTimeIsOver) {
  tunnels(7, 7);
  PacketSpec spec;
  spec.dont_fragment = false;
  spec.payload.resize(1400);
  pair.a.shared(pair.b_of_a).inner_mtu = 1300;
  pair.a.frame(kTunnelLink, udp_packet(spec), now());
  auto sent = pair.a.take_sent();
  ASSERT_EQ(sent.size(), 2U);
  pair.b.receive(sent[0].bytes, pair.a_at, now());
  pair.run_for(5s);
  pair.a.frame(kTunnelLink, udp_packet(spec), now());
  carry_batch();
  expect_only(pair.b, DropReason::kFragmentTimeout);
  EXPECT_EQ(pair.b.take_delivered().size(), 1U);
}

TEST_F(Refused, ARoutedTunnelTellsTooBig) {
  tunnels(7, 7);
  PacketSpec spec;
  spec.payload.resize(1400 - 28);
  pair.a.frame(kTunnelLink, udp_packet(spec), now());
  const auto told = pair.a.take_delivered();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].link, kTunnelLink);
  EXPECT_EQ(load_be16(&told[0].bytes[26]), 1420 - 28);
  expect_only(pair.a, DropReason::kTooBig);
}

TEST_F(Refused, MssIsClampedOnBothWays) {
  tunnels(7, 7);
  pair.a.entry(pair.b_of_a).clamp_mss = true;
  pair.b.entry(pair.a_of_b).clamp_mss = true;
  pair.a.publish();
  pair.b.publish();
  PacketSpec syn;
  syn.flags = 2;
  syn.options = {2, 4, 0x05, 0xb4};
  const auto mss_at = [](const Bytes& p, bool v4) { return load_be16(&p[(v4 ? 20U : 40U) + 22U]); };
  for (const bool v4 : {true, false}) {
    syn.family = v4 ? Family::kV4 : Family::kV6;
    const std::uint16_t headers = v4 ? 40 : 60;
    for (const LinkId link : {kPlainLink, kTunnelLink}) {
      const auto expected = static_cast<std::uint16_t>(1420 - headers - (link == kTunnelLink ? 28 : 0));
      pair.a.frame(link, tcp_packet(syn), now());
      carry_batch();
      auto delivered = pair.b.take_delivered();
      ASSERT_EQ(delivered.size(), 1U);
      EXPECT_EQ(mss_at(delivered[0].bytes, v4), expected);
      EXPECT_TRUE(l4_checksum_right(delivered[0].bytes, 0, v4 ? 20 : 40, 6));
    }
    // From a sender that does not clamp.
    seal_raw(tcp_packet(syn));
    carry_batch();
    const auto delivered = pair.b.take_delivered();
    ASSERT_EQ(delivered.size(), 1U);
    EXPECT_EQ(mss_at(delivered[0].bytes, v4), 1420 - headers);
  }
}

TEST_F(Refused, NothingIsSentToALowOrderKey) {
  PeerSetup setup;
  setup.endpoint = endpoint("203.0.113.9:1");
  setup.allowed_ips = {prefix("10.0.0.50/32")};
  setup.keepalive = 5;
  const std::array<std::uint8_t, 32> one = {1};
  for (const PublicKey& key : {PublicKey{}, PublicKey(one)}) {
    pair.a.add_peer(key, setup, now());
    pair.a.frame(kPlainLink, Pair::packet(1, 50, 0, 20), now());
    pair.log.clear();
    pair.run_for(30s);
    for (const auto& entry : pair.log) EXPECT_NE(entry.type, 1U);
  }
}

}  // namespace
}  // namespace greywire::test
