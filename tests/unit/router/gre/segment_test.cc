#include "router/gre/segment.h"

#include <gtest/gtest.h>

#include <random>

#include "router/base/byte_order.h"
#include "tests/unit/router/packet/packets.h"

namespace greywire::gre {
namespace {

using namespace std::chrono_literals;
using test::Bytes;
using Action = SegmentVerdict::Action;

TimePoint at(Duration since_start) {
  return TimePoint{7000s + since_start};
}

MacAddress mac(std::uint8_t number) {
  return {{2, 0, 0, 0, 0, number}};
}
const MacAddress kBroadcast{{255, 255, 255, 255, 255, 255}};
const MacAddress kMulticast{{1, 0, 0x5e, 0, 0, 5}};

Bytes frame(const MacAddress& to, const MacAddress& from, std::uint16_t vlan = 0) {
  Bytes out(60);
  std::copy(to.bytes.begin(), to.bytes.end(), out.begin());
  std::copy(from.bytes.begin(), from.bytes.end(), out.begin() + 6);
  store_be16(&out[12], vlan != 0 ? 0x8100 : 0x0800);
  if (vlan != 0) store_be16(&out[14], static_cast<std::uint16_t>(0xe000 | vlan));
  return out;
}

SegmentConfig config_of(std::vector<bool> spokes = {false, false, false}) {
  SegmentConfig config;
  config.spokes = std::move(spokes);
  config.nonce = 0x1122334455667788;
  return config;
}

struct Case : public ::testing::Test {
  explicit Case(const SegmentConfig& config = config_of()) : segment(config) {}
  SegmentVerdict in(SegmentPort port, const Bytes& bytes, TimePoint now = at(0s)) {
    return segment.receive(port, bytes, 1, now);
  }
  std::vector<SegmentPort> flooded(SegmentPort from, TimePoint now = at(0s)) {
    std::vector<SegmentPort> out;
    for (SegmentPort port = 0; port < segment.ports(); ++port) {
      if (segment.floods(from, port, now)) out.push_back(port);
    }
    return out;
  }
  static void expect_drop(const SegmentVerdict& verdict, DropReason reason) {
    EXPECT_EQ(verdict.action, Action::kDrop);
    EXPECT_EQ(verdict.reason, reason) << drop_reason_name(verdict.reason);
  }
  Segment segment;
};
struct MeshSegment : Case {};

TEST_F(MeshSegment, LearnsAndSendsToOnePort) {
  EXPECT_EQ(in(0, frame(mac(9), mac(1))).action, Action::kFlood);
  EXPECT_EQ(flooded(0), (std::vector<SegmentPort>{1, 2, 3}));
  const auto back = in(2, frame(mac(1), mac(9)));
  EXPECT_EQ(back.action, Action::kSend);
  EXPECT_EQ(back.to, 0);
  const auto there = in(0, frame(mac(9), mac(1)));
  EXPECT_EQ(there.action, Action::kSend);
  EXPECT_EQ(there.to, 2);
  EXPECT_EQ(in(0, frame(mac(9), mac(1), 5)).action, Action::kFlood) << "not in that VLAN";
  EXPECT_EQ(in(0, frame(mac(9), mac(1)), at(301s)).action, Action::kFlood) << "too long ago";
}

TEST_F(MeshSegment, SplitHorizonKeepsPeersApart) {
  in(1, frame(kBroadcast, mac(1)));
  EXPECT_EQ(flooded(1), (std::vector<SegmentPort>{0}));
  expect_drop(in(2, frame(mac(1), mac(2))), DropReason::kSegmentSplitHorizon);
  in(0, frame(kBroadcast, mac(7)));
  expect_drop(in(0, frame(mac(7), mac(8))), DropReason::kSegmentSamePort);
}

struct HubSegment : Case {
  HubSegment() : Case(config_of({true, false, false})) {}
};
TEST_F(HubSegment, SpokesReachEverybodyAndTheMeshStaysApart) {
  EXPECT_EQ(in(1, frame(kBroadcast, mac(1))).action, Action::kFlood);
  EXPECT_EQ(flooded(1), (std::vector<SegmentPort>{0, 2, 3}));
  EXPECT_EQ(flooded(2), (std::vector<SegmentPort>{0, 1}));
  const auto verdict = in(2, frame(mac(1), mac(2)));
  EXPECT_EQ(verdict.action, Action::kSend);
  EXPECT_EQ(verdict.to, 1);
  in(3, frame(kBroadcast, mac(3)));
  expect_drop(in(2, frame(mac(3), mac(2))), DropReason::kSegmentSplitHorizon);
}

TEST_F(MeshSegment, NoFrameOfNobody) {
  expect_drop(in(1, Bytes(13)), DropReason::kSegmentBadFrame);
  expect_drop(in(1, frame(mac(1), kMulticast)), DropReason::kSegmentBadFrame);
  expect_drop(in(1, frame(mac(1), MacAddress{})), DropReason::kSegmentBadFrame);
}

TEST_F(MeshSegment, LinkLocalProtocolsStayOnTheLink) {
  for (std::uint8_t last = 0; last < 0x10; ++last) {
    expect_drop(in(0, frame(MacAddress{{1, 0x80, 0xc2, 0, 0, last}}, mac(1))), DropReason::kSegmentReserved);
  }
  expect_drop(in(0, frame(MacAddress{{1, 0, 0x0c, 0xcc, 0xcc, 0xcd}}, mac(1))), DropReason::kSegmentReserved);
  EXPECT_EQ(in(0, frame(MacAddress{{1, 0x80, 0xc2, 0, 0, 0x21}}, mac(1))).action, Action::kFlood) << "GVRP is none";
  SegmentConfig config = config_of();
  config.forward_bpdus = true;
  Segment forwarding(config);
  EXPECT_EQ(forwarding.receive(0, frame(MacAddress{{1, 0x80, 0xc2, 0, 0, 0}}, mac(1)), 1, at(0s)).action, Action::kFlood);
  EXPECT_EQ(forwarding.receive(0, frame(MacAddress{{1, 0x80, 0xc2, 0, 0, 0x0e}}, mac(1)), 1, at(0s)).action, Action::kDrop);
}

// What passes in a second from one port, and from all.
TEST_F(MeshSegment, StormsAreLimitedAPortAndInAll) {
  struct Kind {
    MacAddress to;
    std::uint32_t limit;
    DropReason reason;
  };
  for (const Kind& kind : {Kind{kBroadcast, 1000, DropReason::kSegmentBroadcast},
                           Kind{kMulticast, 4000, DropReason::kSegmentMulticast},
                           Kind{mac(200), 1000, DropReason::kSegmentUnknown}}) {
    Segment fresh(config_of());
    std::uint32_t passed = 0;
    DropReason reason{};
    for (std::uint32_t i = 0; i < 50'000; ++i) {  // for ten seconds
      const auto verdict = fresh.receive(1, frame(kind.to, mac(1)), 1, at(std::chrono::microseconds(200) * i));
      if (verdict.action == Action::kFlood) ++passed;
      if (verdict.action == Action::kDrop) reason = verdict.reason;
    }
    EXPECT_NEAR(passed, kind.limit * 10, kind.limit / 4) << drop_reason_name(kind.reason);
    if (passed < 50'000) {
      EXPECT_EQ(reason, kind.reason);
    }
    // Others may still.
    EXPECT_EQ(fresh.receive(2, frame(kind.to, mac(2)), 1, at(10s)).action, Action::kFlood);
  }
  SegmentConfig many = config_of(std::vector<bool>(20, false));
  Segment wide(many);
  std::uint32_t passed = 0;
  for (std::uint32_t i = 0; i < 200'000; ++i) {
    const auto port = static_cast<SegmentPort>(1 + i % 20);
    if (wide.receive(port, frame(kBroadcast, mac(static_cast<std::uint8_t>(port))), 1, at(std::chrono::microseconds(50) * i))
            .action == Action::kFlood) {
      ++passed;
    }
  }
  EXPECT_NEAR(passed, 4 * 1000 * 10, 1000) << "the segment's own limit";
}

TEST_F(MeshSegment, UnicastAndLimitsThatAreOffPass) {
  SegmentConfig config = config_of();
  config.broadcast = 0;
  Segment open(config);
  open.receive(2, frame(kBroadcast, mac(2)), 1, at(0s));
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_EQ(open.receive(1, frame(kBroadcast, mac(1)), 1, at(0s)).action, Action::kFlood);
    ASSERT_EQ(open.receive(0, frame(mac(2), mac(3)), 40, at(0s)).action, Action::kSend);
  }
}

TEST_F(MeshSegment, MacLimitsAreToldOnce) {
  SegmentConfig config = config_of();
  config.macs.per_port = 10;
  config.unknown = 0;
  Segment small(config);
  for (std::uint8_t i = 1; i < 200; ++i) {
    EXPECT_NE(small.receive(1, frame(mac(250), mac(i)), 1, at(0s)).action, Action::kDrop) << "not learned, but carried";
  }
  const auto events = small.take_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].kind, SegmentEvent::Kind::kMacLimit);
  EXPECT_EQ(events[0].port, 1);
  const auto status = small.status(at(0s));
  EXPECT_LE(status.ports[1].macs, 10U);
  EXPECT_EQ(status.not_learned, 199 - status.ports[1].macs);
}

TEST_F(MeshSegment, FixedAddressesCannotBeTakenOver) {
  SegmentConfig config = config_of();
  config.fixed = {{mac(5), 2}, {mac(6), 0}};
  Segment fixed(config);
  expect_drop(fixed.receive(1, frame(mac(1), mac(5)), 1, at(0s)), DropReason::kSegmentFixedMac);
  expect_drop(fixed.receive(1, frame(mac(1), mac(6)), 1, at(0s)), DropReason::kSegmentFixedMac);
  EXPECT_EQ(fixed.receive(0, frame(mac(5), mac(1)), 1, at(0s)).to, 2);
  EXPECT_EQ(fixed.receive(2, frame(mac(1), mac(5)), 1, at(0s)).action, Action::kSend);
}

TEST_F(MeshSegment, AMacThatMovesTooOftenIsToldOf) {
  for (std::uint8_t i = 0; i < 12; ++i) in(i % 2 == 0 ? 1 : 2, frame(mac(9), mac(1)), at(std::chrono::seconds(i)));
  const auto events = segment.take_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].kind, SegmentEvent::Kind::kFlapping);
  EXPECT_EQ(events[0].mac.mac, mac(1));
  EXPECT_EQ(segment.status(at(12s)).loops, 0U) << "between two peers it is not our loop to break";
  EXPECT_TRUE(segment.take_events().empty());
}

// A machine that is moved to another site, now and then, is no loop.
TEST_F(MeshSegment, AFewMovesAreNoLoop) {
  for (int i = 0; i < 40; ++i) in(i % 2 == 0 ? 0 : 2, frame(kBroadcast, mac(1)), at(std::chrono::seconds(15 * i)));
  EXPECT_TRUE(segment.take_events().empty());
  EXPECT_EQ(segment.status(at(600s)).moves, 39U);
}

TEST_F(MeshSegment, OurOwnAddressThatKeepsComingBackBlocksThePeer) {
  for (int i = 0; i < 30; ++i) in(i % 2 == 0 ? 0 : 2, frame(kBroadcast, mac(1)), at(std::chrono::milliseconds(i)));
  const auto events = segment.take_events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[1].kind, SegmentEvent::Kind::kLoop);
  EXPECT_EQ(events[1].port, 2);
  expect_drop(in(2, frame(kBroadcast, mac(3)), at(1s)), DropReason::kSegmentBlocked);
  EXPECT_EQ(in(1, frame(kBroadcast, mac(4)), at(1s)).action, Action::kFlood);
  EXPECT_EQ(flooded(0, at(1s)), (std::vector<SegmentPort>{1, 3}));
  EXPECT_GT(segment.status(at(1s)).ports[2].blocked_for, 55s);
  EXPECT_EQ(in(2, frame(kBroadcast, mac(3)), at(61s)).action, Action::kFlood) << "after a minute it may again";
  EXPECT_EQ(segment.status(at(61s)).ports[2].blocked_for, 0s);
}

// A frame for it would come from the TAP and so go nowhere, until its host says something by itself.
TEST_F(MeshSegment, WhatWasHeardByTheOtherLinkIsForgottenWhenTheBlockEnds) {
  for (int i = 0; i < 30; ++i) in(i % 2 == 0 ? 0 : 2, frame(kBroadcast, mac(1)), at(std::chrono::milliseconds(i)));
  in(0, frame(kBroadcast, mac(3)), at(30s));
  expect_drop(in(0, frame(mac(3), mac(1)), at(31s)), DropReason::kSegmentSamePort);
  EXPECT_EQ(in(0, frame(mac(3), mac(1)), at(61s)).action, Action::kFlood);
  in(2, frame(kBroadcast, mac(3)), at(62s));
  EXPECT_EQ(in(0, frame(mac(3), mac(1)), at(63s)).to, 2);
}

Bytes probe_of(const Segment& segment, SegmentPort port) {
  Bytes out(Segment::kProbeSize);
  segment.write_probe(port, out.data());
  return out;
}

TEST_F(MeshSegment, ProbesGoRoundAndOnesThatComeBackBlock) {
  std::vector<SegmentPort> turns;
  for (int i = 0; i < 80; ++i) {
    if (const auto port = segment.probe_due(at(i * 100ms))) turns.push_back(*port);
  }
  EXPECT_EQ(turns, (std::vector<SegmentPort>{0, 1, 2, 3, 0, 1, 2, 3}));
  // Sent on the TAP, back from a peer.
  expect_drop(in(3, probe_of(segment, 0), at(10s)), DropReason::kSegmentLoop);
  expect_drop(in(3, frame(kBroadcast, mac(1)), at(10s)), DropReason::kSegmentBlocked);
  // As long as they come, it stays; the other end of the circle does not suffer for it.
  for (int i = 0; i < 300; ++i) {
    in(0, probe_of(segment, 3), at(10s + std::chrono::seconds(i)));
    in(3, probe_of(segment, 0), at(10s + std::chrono::seconds(i)));
  }
  expect_drop(in(3, frame(kBroadcast, mac(1)), at(360s)), DropReason::kSegmentBlocked);
  EXPECT_EQ(in(0, frame(kBroadcast, mac(2)), at(360s)).action, Action::kFlood);
  EXPECT_EQ(segment.status(at(360s)).loops, 1U);
  EXPECT_EQ(in(3, frame(kBroadcast, mac(1)), at(370s)).action, Action::kFlood);
  const auto events = segment.take_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].port, 3);
}

TEST_F(MeshSegment, AProbeOfAPeerThatComesInByTheTapBlocksThePeer) {
  in(0, probe_of(segment, 2), at(0s));
  EXPECT_EQ(flooded(0), (std::vector<SegmentPort>{1, 3}));
  in(1, probe_of(segment, 3), at(1s));
  EXPECT_EQ(flooded(0, at(1s)), (std::vector<SegmentPort>{3})) << "of two peers, the one it came from";
}

TEST_F(MeshSegment, ALoopBehindTheTapBlocksTheTap) {
  in(0, probe_of(segment, 0), at(0s));
  expect_drop(in(0, frame(kBroadcast, mac(1))), DropReason::kSegmentBlocked);
}

TEST_F(MeshSegment, TaggedProbesAreKnownAndThoseOfOthersAreFrames) {
  Bytes tagged = probe_of(segment, 1);
  const std::uint8_t tag[4] = {0x81, 0, 0, 9};
  tagged.insert(tagged.begin() + 12, tag, tag + 4);
  expect_drop(in(0, tagged), DropReason::kSegmentLoop);
  SegmentConfig other = config_of();
  other.nonce = 5;
  EXPECT_EQ(in(0, probe_of(Segment(other), 1)).action, Action::kFlood);
  Bytes beyond = probe_of(segment, 1);
  store_be16(&beyond[30], 4);
  EXPECT_EQ(in(0, beyond).action, Action::kFlood) << "no port of ours";
  for (std::size_t n = 0; n < tagged.size(); ++n) in(0, Bytes(tagged.begin(), tagged.begin() + static_cast<std::ptrdiff_t>(n)));
}

TEST_F(MeshSegment, WithoutProbesNoneIsDue) {
  SegmentConfig config = config_of();
  config.probe_every = Duration::zero();
  Segment silent(config);
  EXPECT_FALSE(silent.probe_due(at(1000s)));
}

}  // namespace
}  // namespace greywire::gre
