// Three sites in a full mesh, an L2 segment over them: frames through devices, tunnels and switches.
#include <gtest/gtest.h>

#include <array>

#include "tests/sim/site.h"
#include "tests/unit/router/packet/packets.h"

namespace greywire::test {
namespace {

constexpr LinkId kSegmentLink{3};

class ThreeSites : public ::testing::Test {
 protected:
  ThreeSites() : sites{std::make_unique<Site>(11, true), std::make_unique<Site>(12, true), std::make_unique<Site>(13)} {
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t j = 0; j < 3; ++j) {
        if (i == j) continue;
        PeerSetup setup;
        setup.endpoint = where(j);
        setup.allowed_ips = {Prefix::host(overlay(j))};
        peers[i][j] = sites[i]->add_peer(sites[j]->public_key(), setup, now);
      }
    }
  }
  static Endpoint where(std::size_t i) { return endpoint("192.0.2." + std::to_string(i + 1) + ":51820"); }
  static IpAddress overlay(std::size_t i) { return address("10.0.0." + std::to_string(i + 1)); }
  void segments(gre::SegmentConfig config = {}) {
    config.probe_every = Duration::zero();
    for (std::size_t i = 0; i < 3; ++i) {
      config.nonce = i + 1;
      std::vector<TunnelSetup> tunnels;
      for (std::size_t j = 0; j < 3; ++j) {
        if (i != j) tunnels.push_back(tunnel(i, j));
      }
      config.spokes.assign(2, false);
      states[i] = sites[i]->add_segment(kSegmentLink, config, tunnels);
    }
  }
  TunnelSetup tunnel(std::size_t i, std::size_t j) const {
    gre::TunnelConfig config;
    config.ethernet = true;
    config.local = overlay(i);
    config.remote = overlay(j);
    config.key = 7;
    return {.link = kSegmentLink, .peer = peers[i][j], .config = config};
  }
  // Site 0 in the middle.
  void segments_of_star() {
    gre::SegmentConfig config;
    config.probe_every = Duration::zero();
    config.spokes = {true, true};
    states[0] = sites[0]->add_segment(kSegmentLink, config, {tunnel(0, 1), tunnel(0, 2)});
    config.spokes = {false};
    states[1] = sites[1]->add_segment(kSegmentLink, config, {tunnel(1, 0)});
    states[2] = sites[2]->add_segment(kSegmentLink, config, {tunnel(2, 0)});
  }
  std::shared_ptr<gre::Segment> probing_segment(const gre::SegmentConfig& config) {
    for (std::size_t j = 1; j < 3; ++j) sites[0]->entry(peers[0][j]).tunnels.clear();
    return sites[0]->add_segment(kSegmentLink, config, {tunnel(0, 1), tunnel(0, 2)});
  }
  void exchange_all() {
    for (bool busy = true; busy;) {
      busy = false;
      for (std::size_t i = 0; i < 3; ++i) {
        for (const auto& datagram : sites[i]->take_sent()) {
          busy = true;
          ++datagrams[i];
          for (std::size_t j = 0; j < 3; ++j) {
            if (datagram.to == where(j)) sites[j]->receive(datagram.bytes, where(i), now, datagram.ds_field);
          }
        }
      }
    }
  }
  // Frames that came out at each site.
  std::array<std::size_t, 3> send(std::size_t at_site, const Bytes& frame, const VirtioNetHeader& header = {}) {
    sites[at_site]->frame(kSegmentLink, frame, now, header);
    exchange_all();
    std::array<std::size_t, 3> out{};
    for (std::size_t i = 0; i < 3; ++i) {
      last[i].clear();
      for (const auto& delivered : sites[i]->take_delivered()) {
        EXPECT_EQ(delivered.link, kSegmentLink);
        last[i].push_back(delivered.bytes);
      }
      out[i] = last[i].size();
    }
    return out;
  }
  static Bytes frame(std::uint8_t to, std::uint8_t from, std::size_t payload = 100) {
    PacketSpec spec;
    spec.host = from;
    spec.peer = to;
    spec.payload.resize(payload, from);
    spec.l2 = ethernet(Family::kV4);
    spec.l2[5] = to;
    if (to == 255) std::fill_n(spec.l2.begin(), 6, std::uint8_t{255});
    spec.l2[11] = from;
    return udp_packet(spec);
  }
  using Counts = std::array<std::size_t, 3>;

  TimePoint now = at(0s);
  std::array<std::unique_ptr<Site>, 3> sites;
  std::array<std::array<PeerId, 3>, 3> peers{};
  std::array<std::shared_ptr<gre::Segment>, 3> states;
  std::array<std::size_t, 3> datagrams{};
  std::array<std::vector<Bytes>, 3> last;
};

TEST_F(ThreeSites, LearnAndSendOnlyWhereTheDestinationIs) {
  segments();
  const Bytes hello = frame(255, 1);
  EXPECT_EQ(send(0, hello), (Counts{0, 1, 1})) << "waited for the handshakes, then went to both";
  EXPECT_EQ(last[1][0], hello);
  EXPECT_EQ(last[2][0], hello);
  EXPECT_EQ(send(1, frame(1, 2)), (Counts{1, 0, 0}));
  // 2 is not known there yet: it is flooded, and site 0 knows that site 1 gets its own copy.
  EXPECT_EQ(send(2, frame(2, 3)), (Counts{0, 1, 0}));
  EXPECT_EQ(sites[0]->drops(DropReason::kSegmentSplitHorizon), 1U);
  EXPECT_EQ(send(1, frame(3, 2)), (Counts{0, 0, 1}));
  EXPECT_EQ(send(0, frame(2, 1)), (Counts{0, 1, 0}));
  EXPECT_EQ(sites[0]->all_drops() + sites[1]->all_drops() + sites[2]->all_drops(), 1U);
  EXPECT_EQ(states[0]->status(now).ports[1].macs, 1U);
}

// More for two peers than one batch's arena holds, long ones and short ones: each peer gets its own, whole and in order.
TEST_F(ThreeSites, ABatchOfTwoPeers) {
  constexpr std::size_t kFrames = 600;
  const auto packet = [](std::size_t i) {
    PacketSpec spec;
    spec.host = 1;
    spec.peer = static_cast<std::uint8_t>(2 + i % 2);
    spec.destination_port = static_cast<std::uint16_t>(i);  // a flow of its own, so that nothing is merged
    spec.payload.resize(i % 7 == 0 ? 100 : 1000 + i % 380, static_cast<std::uint8_t>(i));
    return udp_packet(spec);
  };
  for (std::size_t i = 0; i < 2; ++i) sites[0]->frame(kPlainLink, packet(i), now);
  exchange_all();
  for (std::size_t site = 1; site < 3; ++site) ASSERT_EQ(sites[site]->take_delivered().size(), 1U);
  std::vector<Bytes> frames;
  for (std::size_t i = 0; i < kFrames; ++i) frames.push_back(packet(i));
  sites[0]->frame_batch(kPlainLink, frames, now);
  exchange_all();
  for (std::size_t site = 1; site < 3; ++site) {
    const auto delivered = sites[site]->take_delivered();
    ASSERT_EQ(delivered.size(), kFrames / 2);
    for (std::size_t i = 0; i < delivered.size(); ++i) ASSERT_EQ(delivered[i].bytes, frames[2 * i + site - 1]) << i;
  }
}

TEST_F(ThreeSites, FullFramesAreFragmentedForEach) {
  segments();
  send(0, frame(255, 1));
  const Bytes full = frame(255, 1, 1500 - 28);
  EXPECT_EQ(send(0, full), (Counts{0, 1, 1}));
  EXPECT_EQ(last[1][0], full);
  EXPECT_EQ(last[2][0], full);
}

// Flooding a frame whose checksum is still to be done must not do it twice.
TEST_F(ThreeSites, OffloadedFramesAndSuperFramesAreWholeAtEachPeer) {
  segments();
  send(0, frame(255, 1));
  const Bytes whole = frame(99, 1);
  Bytes partial = whole;
  store_be16(&partial[40], pseudo_sum(whole, 14, 34, 17));
  VirtioNetHeader header;
  header.flags = kNeedsCsum;
  header.csum_start = 34;
  header.csum_offset = 6;
  EXPECT_EQ(send(0, partial, header), (Counts{0, 1, 1}));
  EXPECT_EQ(last[1][0], whole);
  EXPECT_EQ(last[2][0], whole);

  PacketSpec spec;
  spec.l2 = ethernet(Family::kV4);
  spec.l2[5] = 99;
  spec.l2[11] = 1;
  spec.payload.resize(6000, 3);
  header = {};
  header.flags = kNeedsCsum;
  header.gso_type = kGsoTcpV4;
  header.gso_size = 1200;
  header.csum_start = 34;
  header.csum_offset = 16;
  const Counts got = send(0, tcp_packet(spec), header);
  for (std::size_t site = 1; site < 3; ++site) {
    EXPECT_EQ(got[site], 5U);
    for (const Bytes& packet : last[site]) EXPECT_TRUE(l4_checksum_right(packet, 14, 34, 6));
  }
}

TEST_F(ThreeSites, SplitHorizonKeepsCopiesAway) {
  segments();
  EXPECT_EQ(send(1, frame(255, 2)), (Counts{1, 0, 1})) << "site 0 does not send it on to site 2";
}

TEST_F(ThreeSites, AHubConnectsSpokesThatDoNotKnowEachOther) {
  // Sites 1 and 2 do not reach each other.
  sites[1]->remove_peer(peers[1][2]);
  sites[2]->remove_peer(peers[2][1]);
  segments_of_star();
  EXPECT_EQ(send(1, frame(255, 2)), (Counts{1, 0, 1}));
  EXPECT_EQ(send(2, frame(2, 3)), (Counts{0, 1, 0})) << "by the hub, and not to its own TAP";
  const Bytes full = frame(3, 2, 1500 - 28);
  EXPECT_EQ(send(1, full), (Counts{0, 0, 1}));
  EXPECT_EQ(last[2][0], full);
}

TEST_F(ThreeSites, AStormIsCutAtItsSource) {
  segments();
  send(0, frame(255, 1));
  std::size_t arrived = 0;
  for (int i = 0; i < 5000; ++i) arrived += send(0, frame(255, 1))[1];
  EXPECT_LE(arrived, 201U);
  EXPECT_GE(arrived, 150U);
  EXPECT_EQ(sites[0]->drops(DropReason::kSegmentBroadcast), 5000 - arrived);
}

TEST_F(ThreeSites, ALoopThroughAnotherLinkIsBlockedByOurProbes) {
  gre::SegmentConfig config;
  segments(config);
  config.spokes = {false, false};
  config.nonce = 77;
  // Site 0 with probes on. Sites 0 and 1 have a cable between their LANs: what comes out at one goes in at the other.
  states[0] = probing_segment(config);
  std::size_t hops = 0;
  sites[0]->frame(kSegmentLink, frame(255, 1), now);
  for (int round = 0; round < 2000; ++round, now += 10ms) {
    exchange_all();
    const auto at_0 = sites[0]->take_delivered();
    const auto at_1 = sites[1]->take_delivered();
    for (const auto& delivered : at_0) sites[1]->frame(kSegmentLink, delivered.bytes, now);
    for (const auto& delivered : at_1) sites[0]->frame(kSegmentLink, delivered.bytes, now);
    sites[2]->take_delivered();
    if (round > 1000) hops += at_0.size() + at_1.size();
  }
  const auto status = states[0]->status(now);
  EXPECT_GE(status.loops, 1U);
  EXPECT_GT(status.ports[1].blocked_for, 0s) << "the peer with the cable";
  EXPECT_EQ(status.ports[2].blocked_for, 0s);
  EXPECT_LT(hops, 50U) << "nothing goes round any more, but a probe now and then";
}

}  // namespace
}  // namespace greywire::test
