// Frames through two whole sites back to back: what goes in on one side comes out on the other, or is counted
// once.
#include <gtest/gtest.h>

#include "router/packet/gro_merge.h"
#include "router/packet/gso_split.h"
#include "router/packet/ip_header.h"
#include "tests/sim/pair.h"

namespace greywire::test {
namespace {

constexpr LinkId kTunnelLink{1};

// A TCP super-frame as a TUN hands it over: `payload` bytes after one header, to be cut every `mss`.
Bytes super_frame(const PacketSpec& base, std::size_t payload, std::uint16_t mss, VirtioNetHeader& header) {
  PacketSpec spec = base;
  std::mt19937_64 random(payload);
  spec.payload = random_bytes(random, payload);
  const Bytes frame = tcp_packet(spec);
  const std::size_t l4 = l4_offset(spec);
  header = {};
  header.flags = kNeedsCsum;
  header.gso_type = spec.family == Family::kV4 ? kGsoTcpV4 : kGsoTcpV6;
  header.gso_size = mss;
  header.hdr_len = static_cast<std::uint16_t>(l4 + 20);
  header.csum_start = static_cast<std::uint16_t>(l4);
  header.csum_offset = 16;
  return frame;
}

// The packets of a frame, each for itself.
std::vector<Bytes> cut(const VirtioNetHeader& header, const Bytes& frame, std::size_t l3) {
  GsoPlan plan;
  if (header.gso_type == kGsoNone) return {frame};
  EXPECT_TRUE(plan_gso(header, frame, l3, plan));
  std::vector<Bytes> out;
  for (std::size_t i = 0; i < plan.segments; ++i) {
    out.emplace_back(plan.segment_size(i));
    write_gso_segment(plan, frame, i, out.back().data());
  }
  return out;
}

struct Encapsulation {
  const char* name;
  bool tunnel;
  bool ethernet;
  bool v6_delivery;
  bool key;
  Family inner;
  std::uint32_t inner_mtu = 1420;
  bool all_options = false;  // sequence numbers, checksum, encapsulation limit
  bool trains = false;       // PairOptions'
};

class Carried : public ::testing::TestWithParam<Encapsulation> {
 protected:
  Carried() : pair(draw_seed("Carried"), {.trains = GetParam().trains}) {
    const auto& e = GetParam();
    pair.connect();
    pair.a.shared(pair.b_of_a).inner_mtu = e.inner_mtu;
    pair.b.shared(pair.a_of_b).inner_mtu = e.inner_mtu;
    if (!e.tunnel) return;
    gre::TunnelConfig there;
    there.ethernet = e.ethernet;
    there.local = address(e.v6_delivery ? "fd00::1" : "10.0.0.1");
    there.remote = address(e.v6_delivery ? "fd00::2" : "10.0.0.2");
    if (e.key) there.key = 42;
    if (e.all_options) {
      there.sequence = there.checksum = true;
      there.encap_limit = 4;
    }
    gre::TunnelConfig back = there;
    std::swap(back.local, back.remote);
    pair.a.add_tunnel({.link = kTunnelLink, .peer = pair.b_of_a, .config = there});
    pair.b.add_tunnel({.link = kTunnelLink, .peer = pair.a_of_b, .config = back});
  }
  LinkId link() const { return GetParam().tunnel ? kTunnelLink : kPlainLink; }
  PacketSpec spec() const {
    PacketSpec s;
    s.family = GetParam().inner;
    if (GetParam().ethernet) s.l2 = ethernet(s.family);
    return s;
  }
  std::size_t l3() const { return GetParam().ethernet ? 14 : 0; }
  void carry() { exchange(pair.a, pair.a_at, pair.b, pair.b_at, pair.network.now()); }
  // What A sends now, in one batch at B.
  void carry_batch() { pair.b.receive_batch(pair.a.take_sent(), pair.a_at, pair.network.now()); }

  Pair pair;
};

TEST_P(Carried, ATcpSuperFrameComesOutMergedAndIdentical) {
  for (const std::size_t payload : {std::size_t{50'000}, std::size_t{30'001}, std::size_t{1201}}) {
    VirtioNetHeader header;
    const Bytes frame = super_frame(spec(), payload, 1200, header);
    pair.a.frame(link(), frame, pair.network.now(), header);
    carry_batch();
    const auto delivered = pair.b.take_delivered();
    ASSERT_EQ(delivered.size(), 1U) << "one super-frame";
    EXPECT_EQ(delivered[0].link, link());
    EXPECT_EQ(delivered[0].packets, (payload + 1199) / 1200);
    EXPECT_EQ(cut(delivered[0].header, delivered[0].bytes, l3()), cut(header, frame, l3()));
  }
  EXPECT_EQ(pair.a.all_drops() + pair.b.all_drops(), 0U) << ::testing::PrintToString(pair.b.drop_report());
}

// Marked on the way (RFC 3168, RFC 6040): the headers change behind the sums that came with the plaintexts.
TEST_P(Carried, ATrainThatWasMarkedIsMergedAllTheSame) {
  PacketSpec before = spec(), after = spec();
  before.ds_field = 2;
  after.ds_field = 3;
  for (int round = 0; round < 2; ++round) {
    VirtioNetHeader header;
    pair.a.frame(link(), super_frame(before, 12'000, 1200, header), pair.network.now(), header);
    auto sent = pair.a.take_sent();
    for (auto& datagram : sent) datagram.ds_field |= 3;
    pair.b.receive_batch(sent, pair.a_at, pair.network.now());
    const auto delivered = pair.b.take_delivered();
    ASSERT_EQ(delivered.size(), 1U);
    EXPECT_EQ(delivered[0].packets, 10U);
    EXPECT_EQ(cut(delivered[0].header, delivered[0].bytes, l3()), cut(header, super_frame(after, 12'000, 1200, header), l3()));
  }
}

TEST_P(Carried, SinglePacketsOfEverySize) {
  const bool fragments = GetParam().tunnel && GetParam().ethernet;
  const std::size_t most = fragments ? 1500 : 1340;
  const std::size_t headers = l4_offset(spec()) - l3() + 8;
  std::size_t n = 0;
  for (std::size_t size = headers; size <= most; size += 7, ++n) {
    PacketSpec s = spec();
    s.payload.resize(size - headers, static_cast<std::uint8_t>(n));
    const Bytes packet = udp_packet(s);
    pair.a.frame(link(), packet, pair.network.now());
    carry_batch();
    const auto delivered = pair.b.take_delivered();
    ASSERT_EQ(delivered.size(), 1U) << size;
    ASSERT_EQ(delivered[0].bytes, packet) << size;
  }
  EXPECT_EQ(pair.a.all_drops() + pair.b.all_drops(), 0U) << ::testing::PrintToString(pair.b.drop_report());
}

// A routed link follows the peer's MTU; only a bridged one carries what is too large for it.
class CarriedFrames : public Carried {};

// The bridge stays at 1500: what does not fit is fragmented inside WireGuard. Whole, in any order, mixed in a
// batch.
TEST_P(CarriedFrames, FullEthernetFramesInOneBatchInAnyOrder) {
  SeededRandom random(draw_seed("FullEthernetFramesInOneBatchInAnyOrder"));
  std::vector<Bytes> frames;
  for (std::uint32_t i = 0; i < 40; ++i) {
    PacketSpec s = spec();
    const std::size_t headers = l4_offset(s) - l3() + 8;
    s.payload = random_bytes(random.generator(), i % 3 == 0 ? 20 : 1500 - headers);
    store_be32(s.payload.data(), i);
    frames.push_back(udp_packet(s));
    pair.a.frame(link(), frames.back(), pair.network.now());
  }
  auto sent = pair.a.take_sent();
  EXPECT_GT(sent.size(), frames.size());
  if (!GetParam().all_options) std::shuffle(sent.begin(), sent.end(), random.generator());
  pair.b.receive_batch(sent, pair.a_at, pair.network.now());
  auto delivered = pair.b.take_delivered();
  ASSERT_EQ(delivered.size(), frames.size());
  std::vector<Bytes> got;
  for (const auto& d : delivered) got.push_back(d.bytes);
  std::sort(got.begin(), got.end());
  std::sort(frames.begin(), frames.end());
  EXPECT_EQ(got, frames);
}

// More small frames than a merger holds, and reassembled ones right behind them in the same batch.
TEST_P(CarriedFrames, ReassembledFramesSurviveAFullBatch) {
  std::vector<Bytes> frames;
  for (std::uint32_t i = 0; i < GroMerger::kMaxPackets + 5; ++i) {
    PacketSpec s = spec();
    const std::size_t headers = l4_offset(s) - l3() + 8;
    s.payload.resize(i < GroMerger::kMaxPackets ? 16 : 1500 - headers, static_cast<std::uint8_t>(i));
    store_be32(s.payload.data(), i);
    frames.push_back(udp_packet(s));
    pair.a.frame(link(), frames.back(), pair.network.now());
  }
  carry_batch();
  const auto delivered = pair.b.take_delivered();
  ASSERT_EQ(delivered.size(), frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) ASSERT_EQ(delivered[i].bytes, frames[i]) << i;
}

TEST_P(Carried, WaitsForTheSessionAndStaysWhole) {
  // Without a session yet: frames are staged as delivery packets, fragments included.
  Pair fresh(draw_seed("WaitsForTheSessionAndStaysWhole"));
  const auto& e = GetParam();
  fresh.a.shared(fresh.b_of_a).inner_mtu = e.inner_mtu;
  if (e.tunnel) {
    fresh.a.add_tunnel(
        {.link = kTunnelLink, .peer = fresh.b_of_a, .config = pair.a.entry(pair.b_of_a).tunnels[0]->config});
    fresh.b.add_tunnel(
        {.link = kTunnelLink, .peer = fresh.a_of_b, .config = pair.b.entry(pair.a_of_b).tunnels[0]->config});
  }
  std::vector<Bytes> frames;
  for (int i = 0; i < 10; ++i) {
    PacketSpec s = spec();
    s.payload.resize(e.ethernet ? 1400 : 1100, static_cast<std::uint8_t>(i));
    frames.push_back(udp_packet(s));
    fresh.a.frame(link(), frames.back(), fresh.network.now());
  }
  fresh.run_for(1s);
  const auto delivered = fresh.b.take_delivered();
  ASSERT_EQ(delivered.size(), frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) EXPECT_EQ(delivered[i].bytes, frames[i]);
}

const Encapsulation kRouted[] = {{"plain4", false, false, false, false, Family::kV4},
                                 {"plain6", false, false, false, false, Family::kV6},
                                 {"gre4over4", true, false, false, false, Family::kV4},
                                 {"gre6over4key", true, false, false, true, Family::kV6},
                                 {"gre4over6", true, false, true, false, Family::kV4},
                                 {"gre6over6key", true, false, true, true, Family::kV6}};
const Encapsulation kBridged[] = {{"gretap4over4", true, true, false, false, Family::kV4},
                                  {"gretap4over4at1440", true, true, false, false, Family::kV4, 1440},
                                  {"gretap6over4key", true, true, false, true, Family::kV6, 1440},
                                  {"gretap4over6key", true, true, true, true, Family::kV4},
                                  {"gretap6over6", true, true, true, false, Family::kV6, 1280},
                                  {"gretap4over4csum", true, true, false, true, Family::kV4, 1420, true},
                                  {"gretap6over6csum", true, true, true, true, Family::kV6, 1420, true}};
std::vector<Encapsulation> with_trains(std::span<const Encapsulation> all) {
  std::vector<Encapsulation> both(all.begin(), all.end());
  for (Encapsulation each : all) {
    each.trains = true;
    both.push_back(each);
  }
  return both;
}
std::string name_of(const ::testing::TestParamInfo<Encapsulation>& instance) {
  return std::string(instance.param.name) + (instance.param.trains ? "Trains" : "");
}

INSTANTIATE_TEST_SUITE_P(Routed, Carried, ::testing::ValuesIn(with_trains(kRouted)), name_of);
INSTANTIATE_TEST_SUITE_P(Bridged, Carried, ::testing::ValuesIn(with_trains(kBridged)), name_of);
INSTANTIATE_TEST_SUITE_P(Bridged, CarriedFrames, ::testing::ValuesIn(with_trains(kBridged)), name_of);

}  // namespace
}  // namespace greywire::test
