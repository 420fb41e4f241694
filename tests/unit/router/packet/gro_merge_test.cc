#include "router/packet/gro_merge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "router/packet/checksum.h"
#include "router/packet/gso_split.h"
#include "tests/unit/router/packet/packets.h"

namespace greywire {
namespace {

using test::Bytes;
using test::PacketSpec;

struct Merged {
  VirtioNetHeader header;
  Bytes bytes;
  std::size_t packets;
};

// The merger writes into the packets: it gets copies. `sums`: it is told what they add up to.
std::vector<Merged> merge_once(GroMerger& merger, std::vector<Bytes> packets, bool sums) {
  for (auto& p : packets) EXPECT_TRUE(merger.add(p, sums ? checksum_add(p.data(), p.size(), 0) : 0));
  std::vector<Merged> out;
  merger.flush([&](const MergedFrame& frame) {
    Merged m{frame.header, {}, frame.packets};
    for (std::size_t i = 0; i < frame.part_count; ++i) {
      const auto* begin = static_cast<const std::uint8_t*>(frame.parts[i].iov_base);
      m.bytes.insert(m.bytes.end(), begin, begin + frame.parts[i].iov_len);
    }
    EXPECT_EQ(m.bytes.size(), frame.bytes);
    out.push_back(m);
  });
  EXPECT_TRUE(merger.empty());
  return out;
}

// With sums or without, it is the same.
std::vector<Merged> merge(GroMerger& merger, const std::vector<Bytes>& packets) {
  const auto out = merge_once(merger, packets, false);
  EXPECT_TRUE(std::ranges::equal(merge_once(merger, packets, true), out, [](const Merged& a, const Merged& b) {
    return a.bytes == b.bytes && std::memcmp(&a.header, &b.header, sizeof a.header) == 0;
  }));
  return out;
}

std::vector<Merged> merge(const std::vector<Bytes>& packets, Layer layer = Layer::kL3) {
  GroMerger merger(layer);
  return merge(merger, packets);
}

std::vector<Bytes> split(const std::vector<Merged>& frames, std::size_t l3_offset) {
  std::vector<Bytes> out;
  for (const Merged& m : frames) {
    if (m.packets == 1) {
      const VirtioNetHeader zero;
      EXPECT_EQ(std::memcmp(&m.header, &zero, sizeof zero), 0);
      out.push_back(m.bytes);
      continue;
    }
    GsoPlan plan;
    EXPECT_TRUE(plan_gso(m.header, m.bytes, l3_offset, plan));
    EXPECT_EQ(plan.segments, m.packets);
    EXPECT_EQ(plan.header_size, m.header.hdr_len);
    EXPECT_EQ(plan.l4_offset, m.header.csum_start);
    for (std::size_t i = 0; i < plan.segments; ++i) {
      Bytes segment(plan.segment_size(i));
      write_gso_segment(plan, m.bytes, i, segment.data());
      out.push_back(segment);
    }
  }
  return out;
}

// A run of `n` packets that the kernel would merge.
std::vector<PacketSpec> run_of(std::size_t n, std::size_t size, PacketSpec spec = {}) {
  std::vector<PacketSpec> out;
  for (std::size_t i = 0; i < n; ++i) {
    spec.payload = Bytes(size, static_cast<std::uint8_t>(i + 1));
    out.push_back(spec);
    spec.sequence += static_cast<std::uint32_t>(size);
    ++spec.id;
  }
  return out;
}

std::vector<Bytes> build(const std::vector<PacketSpec>& specs) {
  std::vector<Bytes> out;
  for (const auto& s : specs) out.push_back(test::tcp_packet(s));
  return out;
}

std::vector<std::size_t> sizes(const std::vector<Merged>& frames) {
  std::vector<std::size_t> out;
  for (const auto& m : frames) out.push_back(m.packets);
  return out;
}
using Sizes = std::vector<std::size_t>;

TEST(GroMerge, ARunBecomesOneFrameOfBothFamiliesAndLayers) {
  for (const Family family : {Family::kV4, Family::kV6}) {
    for (int tags = -1; tags < 3; ++tags) {
      PacketSpec spec{.family = family, .sequence = 0xfffffff0, .options = Bytes(12, 1), .id = 0xfffe};
      if (tags >= 0) spec.l2 = test::ethernet(family, static_cast<unsigned>(tags));
      const auto packets = build(run_of(10, 1000, spec));
      const auto frames = merge(packets, tags >= 0 ? Layer::kEthernet : Layer::kL3);
      ASSERT_EQ(sizes(frames), Sizes{10});
      const Merged& m = frames[0];
      const std::size_t l3 = spec.l2.size();
      const std::size_t l4 = test::l4_offset(spec);
      EXPECT_EQ(m.header.flags, kNeedsCsum);
      EXPECT_EQ(m.header.gso_type, family == Family::kV4 ? kGsoTcpV4 : kGsoTcpV6);
      EXPECT_EQ(m.header.gso_size, 1000);
      EXPECT_EQ(m.header.csum_start, l4);
      EXPECT_EQ(m.header.csum_offset, 16);
      EXPECT_EQ(m.header.hdr_len, l4 + 32);
      EXPECT_EQ(load_be16(&m.bytes[l4 + 16]), test::pseudo_sum(m.bytes, l3, l4, 6));
      if (family == Family::kV4) {
        EXPECT_TRUE(test::ipv4_checksum_right(m.bytes, l3));
      }
      EXPECT_EQ(split(frames, tags >= 0 ? 14 : 0), packets);
    }
  }
}

TEST(GroMerge, WhatBreaksARun) {
  struct Case {
    const char* what;
    std::function<void(std::vector<PacketSpec>&)> change;
    Sizes expected;
    bool ipv4_only = false;
  };
  const std::vector<Case> cases = {
      {"nothing", [](auto&) {}, {6}},
      {"a gap",
       [](auto& r) {
         for (std::size_t i = 3; i < 6; ++i) r[i].sequence += 1;
       },
       {3, 3}},
      {"two swapped", [](auto& r) { std::swap(r[2], r[3]); }, {2, 1, 1, 2}},
      {"a shorter one ends",
       [](auto& r) {
         r[2].payload.pop_back();
         for (std::size_t i = 3; i < 6; ++i) --r[i].sequence;
       },
       {3, 3}},
      {"a longer one starts",
       [](auto& r) {
         r[3].payload.push_back(1);
         r[4].sequence++;
         r[5].sequence++;
       },
       {3, 2, 1}},
      {"PSH ends", [](auto& r) { r[2].flags = 0x18; }, {3, 3}},
      {"PSH alone", [](auto& r) { r[0].flags = 0x18; }, {1, 5}},
      {"FIN passes alone", [](auto& r) { r[5].flags = 0x11; }, {5, 1}},
      {"URG passes alone", [](auto& r) { r[2].flags = 0x30; }, {2, 1, 3}},
      {"SYN passes alone", [](auto& r) { r[0].flags = 0x12; }, {1, 5}},
      {"CWR passes alone", [](auto& r) { r[2].flags = 0x90; }, {2, 1, 3}},
      {"a pure ACK", [](auto& r) { r[5].payload.clear(); }, {5, 1}},
      {"another acknowledgment",
       [](auto& r) {
         for (std::size_t i = 3; i < 6; ++i) r[i].acknowledgment++;
       },
       {3, 3}},
      {"another window",
       [](auto& r) {
         for (std::size_t i = 3; i < 6; ++i) r[i].window++;
       },
       {3, 3}},
      {"other options",
       [](auto& r) {
         for (std::size_t i = 3; i < 6; ++i) r[i].options = Bytes(4, 1);
       },
       {3, 3}},
      {"another TTL",
       [](auto& r) {
         for (std::size_t i = 3; i < 6; ++i) r[i].ttl--;
       },
       {3, 3}},
      {"another DS field",
       [](auto& r) {
         for (std::size_t i = 3; i < 6; ++i) r[i].ds_field = 3;
       },
       {3, 3}},
      {"another DF",
       [](auto& r) {
         for (std::size_t i = 3; i < 6; ++i) r[i].dont_fragment = false;
       },
       {3, 3},
       true},
      {"another port",
       [](auto& r) {
         for (std::size_t i = 3; i < 6; ++i) r[i].source_port++;
       },
       {3, 3}},
      {"identifications that jump, under DF", [](auto& r) { r[3].id = 9999; }, {6}},
      {"identifications that jump",
       [](auto& r) {
         for (auto& s : r) s.dont_fragment = false;
         r[3].id = 9999;
       },
       {3, 1, 2},
       true},
  };
  for (const Family family : {Family::kV4, Family::kV6}) {
    for (const Case& c : cases) {
      if (c.ipv4_only && family == Family::kV6) continue;
      auto run = run_of(6, 500, {.family = family});
      c.change(run);
      EXPECT_EQ(sizes(merge(build(run))), c.expected) << c.what << (family == Family::kV4 ? ", IPv4" : ", IPv6");
    }
  }
  auto run = run_of(6, 500, {.family = Family::kV6});
  for (std::size_t i = 3; i < 6; ++i) run[i].flow_label = 5;
  EXPECT_EQ(sizes(merge(build(run))), (Sizes{3, 3})) << "another flow label";
}

TEST(GroMerge, AWrongChecksumPassesAloneAndUntouched) {
  for (std::size_t bad = 0; bad < 5; ++bad) {
    auto packets = build(run_of(5, 500));
    packets[bad][300] ^= 0x40;
    const auto frames = merge(packets);
    bool found = false;
    for (const Merged& m : frames) found |= m.packets == 1 && m.bytes == packets[bad];
    EXPECT_TRUE(found) << bad;
    EXPECT_EQ(split(frames, 0), packets);
  }
}

TEST(GroMerge, AWrongIpv4HeaderChecksumToo) {
  auto packets = build(run_of(5, 500));
  packets[2][10] ^= 0x40;
  const auto frames = merge(packets);
  EXPECT_EQ(sizes(frames), (Sizes{2, 1, 2}));
  EXPECT_EQ(split(frames, 0), packets);
}

TEST(GroMerge, NeverBeyond65535Bytes) {
  for (const Family family : {Family::kV4, Family::kV6}) {
    const auto packets = build(run_of(50, 1400, {.family = family}));
    const auto frames = merge(packets);
    EXPECT_EQ(sizes(frames), (Sizes{46, 4}));
    EXPECT_LE(frames[0].bytes.size(), 65535U);
    EXPECT_EQ(split(frames, 0), packets);
  }
}

std::vector<Bytes> build_udp(const std::vector<PacketSpec>& specs) {
  std::vector<Bytes> out;
  for (const auto& s : specs) out.push_back(test::udp_packet(s));
  return out;
}

std::vector<Merged> merge_udp(const std::vector<Bytes>& packets, Layer layer = Layer::kL3) {
  GroMerger merger(layer);
  merger.merge_udp(MergeUdp::kYes);
  return merge(merger, packets);
}

TEST(GroMergeUdp, ARunBecomesOneFrameOfBothFamiliesAndLayers) {
  for (const Family family : {Family::kV4, Family::kV6}) {
    for (int tags = -1; tags < 3; ++tags) {
      PacketSpec spec{.family = family, .id = 0xfffe};
      if (tags >= 0) spec.l2 = test::ethernet(family, static_cast<unsigned>(tags));
      const Layer layer = tags >= 0 ? Layer::kEthernet : Layer::kL3;
      const auto packets = build_udp(run_of(10, 1000, spec));
      EXPECT_EQ(sizes(merge(packets, layer)), Sizes(10, 1)) << "a device that does not take them";
      const auto frames = merge_udp(packets, layer);
      ASSERT_EQ(sizes(frames), Sizes{10});
      const Merged& m = frames[0];
      const std::size_t l3 = spec.l2.size();
      const std::size_t l4 = test::l4_offset(spec);
      EXPECT_EQ(m.header.flags, kNeedsCsum);
      EXPECT_EQ(m.header.gso_type, kGsoUdpL4);
      EXPECT_EQ(m.header.gso_size, 1000);
      EXPECT_EQ(m.header.csum_start, l4);
      EXPECT_EQ(m.header.csum_offset, 6);
      EXPECT_EQ(m.header.hdr_len, l4 + 8);
      EXPECT_EQ(load_be16(&m.bytes[l4 + 4]), 10'008);
      EXPECT_EQ(load_be16(&m.bytes[l4 + 6]), test::pseudo_sum(m.bytes, l3, l4, 17));
      EXPECT_EQ(split(frames, tags >= 0 ? 14 : 0), packets);
    }
  }
}

TEST(GroMergeUdp, WhatBreaksARun) {
  struct Case {
    const char* what;
    std::function<void(std::vector<Bytes>&)> change;
    Sizes expected;
  };
  const auto replace = [](std::vector<Bytes>& run, std::size_t at, PacketSpec spec) {
    spec.id = load_be16(&run[at][4]);
    run[at] = test::udp_packet(spec);
  };
  const std::vector<Case> cases = {
      {"nothing", [](auto&) {}, {6}},
      {"a shorter one ends", [&](auto& r) { replace(r, 2, {.payload = Bytes(99, 1)}); }, {3, 3}},
      {"a longer one begins", [&](auto& r) { replace(r, 2, {.payload = Bytes(101, 1)}); }, {2, 2, 2}},
      {"no payload", [&](auto& r) { replace(r, 2, {}); }, {2, 1, 3}},
      {"another flow between", [&](auto& r) { replace(r, 2, {.source_port = 7, .payload = Bytes(100, 1)}); }, {5, 1}},
      {"TCP of the same ports between", [&](auto& r) { r[2] = test::tcp_packet({.payload = Bytes(100, 1)}); }, {5, 1}},
      {"another TTL", [&](auto& r) { replace(r, 2, {.payload = Bytes(100, 1), .ttl = 3}); }, {2, 1, 3}},
      {"a wrong checksum", [](auto& r) { r[2].back() ^= 1; }, {2, 1, 3}},
      {"no checksum", [](auto& r) { store_be16(&r[2][26], 0); }, {2, 1, 3}},
      {"a length of its own", [](auto& r) { store_be16(&r[2][24], 50); }, {2, 1, 3}},
      {"a fragment", [](auto& r) { store_be16(&r[2][6], 0x2000); }, {2, 1, 3}},
  };
  for (const Case& c : cases) {
    auto packets = build_udp(run_of(6, 100));
    c.change(packets);
    auto frames = merge_udp(packets);
    EXPECT_EQ(sizes(frames), c.expected) << c.what;
  }
}

TEST(GroMergeUdp, NeverMoreDatagramsOrBytesThanTheKernelTakes) {
  EXPECT_EQ(sizes(merge_udp(build_udp(run_of(150, 40)))), (Sizes{64, 64, 22}));
  const auto frames = merge_udp(build_udp(run_of(50, 1400)));
  EXPECT_EQ(sizes(frames), (Sizes{46, 4}));
  EXPECT_LE(frames[0].bytes.size(), 65535U);
}

TEST(GroMerge, FlowsInterleavedKeepTheOrderOfTheirFirstPackets) {
  std::vector<Bytes> packets;
  const auto a = build(run_of(4, 100, {.source_port = 1}));
  const auto b = build(run_of(4, 100, {.family = Family::kV6, .source_port = 1}));
  const auto c = build(run_of(4, 100, {.host = 9, .source_port = 1}));
  for (std::size_t i = 0; i < 4; ++i) packets.insert(packets.end(), {a[i], b[i], c[i]});
  packets.insert(packets.begin() + 5, test::udp_packet({.payload = Bytes(100, 3)}));
  const auto frames = merge(packets);
  ASSERT_EQ(sizes(frames), (Sizes{4, 4, 4, 1}));
  EXPECT_EQ(load_be16(&frames[1].bytes[40]), 1);
  EXPECT_EQ(frames[2].bytes[15], 9);
}

TEST(GroMerge, FragmentsAndIpOptionsAreOvertakenByNothing) {
  auto packets = build(run_of(4, 500));
  Bytes fragment = packets[0];
  store_be16(&fragment[6], 0x2000);
  packets.insert(packets.begin() + 2, fragment);
  EXPECT_EQ(sizes(merge(packets)), (Sizes{2, 1, 2}));
}

TEST(GroMerge, PaddedAndForeignFramesPass) {
  GroMerger merger(Layer::kEthernet);
  Bytes ack = test::tcp_packet({.l2 = test::ethernet(Family::kV4)});
  ack.resize(60);
  Bytes padded = test::tcp_packet({.payload = {1}, .l2 = test::ethernet(Family::kV4)});
  padded.resize(60);
  const std::vector<Bytes> packets = {
      ack, padded, padded, Bytes(13, 1), {}, test::ethernet(0x0806), Bytes(60, 0xff)};
  const auto frames = merge(merger, packets);
  EXPECT_EQ(sizes(frames), Sizes(packets.size(), 1));
  EXPECT_EQ(split(frames, 14), packets);
}

TEST(GroMerge, CapacityIsSaid) {
  GroMerger merger(Layer::kL3);
  std::vector<Bytes> packets(GroMerger::kMaxPackets, test::udp_packet({}));
  for (auto& p : packets) ASSERT_TRUE(merger.add(p));
  EXPECT_TRUE(merger.full());
  EXPECT_FALSE(merger.add(packets[0]));
  std::size_t count = 0;
  merger.flush([&](const MergedFrame&) { ++count; });
  EXPECT_EQ(count, GroMerger::kMaxPackets);
  EXPECT_TRUE(merger.add(packets[0]));
}

TEST(GroMerge, MoreFlowsThanTheTableHoldsStillPass) {
  std::vector<Bytes> packets;
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::uint16_t flow = 0; flow < 100; ++flow) {
      packets.push_back(build(run_of(2, 50, {.source_port = flow}))[i]);
    }
  }
  const auto frames = merge(packets);
  EXPECT_EQ(frames.size(), 64U + 2 * 36U);
}

std::string flow_of(const Bytes& p, std::size_t l3) {
  const bool v4 = p[l3] >> 4 == 4;
  const auto at = [&](std::size_t offset) { return p.begin() + static_cast<std::ptrdiff_t>(l3 + offset); };
  return std::string(at(v4 ? 12 : 8), at(v4 ? 24 : 44)) + static_cast<char>(p[l3 + (v4 ? 9 : 6)]);
}

// Random flows of TCP and UDP with losses, swaps, PSH, pure ACKs, wrong checksums: cut again, each flow is what went in, in
// its order.
TEST(GroMerge, SplitAfterMergeIsTheIdentityPerFlow) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  GroMerger l3(Layer::kL3);
  GroMerger l2(Layer::kEthernet);
  for (GroMerger* merger : {&l3, &l2}) merger->merge_udp(MergeUdp::kYes);
  std::size_t merged = 0;
  std::size_t merged_udp = 0;
  for (int round = 0; round < 300; ++round) {
    const bool tap = round % 2 == 1;
    std::vector<PacketSpec> flows(1 + random() % 6);
    for (std::size_t i = 0; i < flows.size(); ++i) {
      flows[i] = {.family = random() % 2 ? Family::kV4 : Family::kV6,
                  .source_port = static_cast<std::uint16_t>(i),
                  .sequence = static_cast<std::uint32_t>(random()),
                  .options = Bytes(random() % 4 * 4, 1),
                  .id = static_cast<std::uint16_t>(random()),
                  .dont_fragment = false};
      if (tap) flows[i].l2 = test::ethernet(flows[i].family, static_cast<unsigned>(random() % 2));
    }
    std::vector<Bytes> packets;
    const std::size_t count = random() % 256;
    while (packets.size() < count) {
      PacketSpec& flow = flows[random() % flows.size()];
      flow.flags = random() % 12 == 0 ? 0x18 : 0x10;
      if (random() % 20 == 0) flow.acknowledgment++;
      if (random() % 40 == 0) flow.sequence += 5;
      flow.payload = test::random_bytes(random, random() % 10 == 0 ? random() % 700 : 700);
      Bytes p = flow.source_port % 2 == 0 ? test::tcp_packet(flow) : test::udp_packet(flow);
      if (random() % 50 == 0) p.back() ^= 1;
      packets.push_back(p);
      flow.sequence += static_cast<std::uint32_t>(flow.payload.size());
      flow.id++;
      if (packets.size() > 1 && random() % 15 == 0) std::swap(packets.back(), packets[packets.size() - 2]);
    }
    const auto frames = merge(tap ? l2 : l3, packets);
    for (const auto& m : frames) {
      if (m.packets > 1) ++(m.header.gso_type == kGsoUdpL4 ? merged_udp : merged);
    }
    std::map<std::string, std::vector<Bytes>> in;
    std::map<std::string, std::vector<Bytes>> out;
    const auto l3_of = [&](const Bytes& p) {
      return !tap ? std::size_t{0} : p[12] == 0x81 ? std::size_t{18} : std::size_t{14};
    };
    for (const auto& p : packets) in[flow_of(p, l3_of(p))].push_back(p);
    for (const auto& p : split(frames, tap ? 14 : 0)) out[flow_of(p, l3_of(p))].push_back(p);
    ASSERT_EQ(in, out);
  }
  EXPECT_GT(merged, 500U);
  EXPECT_GT(merged_udp, 500U);
}

}  // namespace
}  // namespace greywire
