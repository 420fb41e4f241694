#include "router/packet/gso_split.h"

#include <gtest/gtest.h>

#include "router/packet/checksum.h"
#include "tests/unit/router/packet/packets.h"

namespace greywire {
namespace {

using test::Bytes;
using test::PacketSpec;

struct Shape {
  Family family;
  bool udp;
  bool tap;
  unsigned vlan_tags;
};

std::vector<Shape> all_shapes() {
  std::vector<Shape> shapes;
  for (const Family family : {Family::kV4, Family::kV6}) {
    for (const bool udp : {false, true}) {
      shapes.push_back({family, udp, false, 0});
      for (unsigned tags = 0; tags < 3; ++tags) shapes.push_back({family, udp, true, tags});
    }
  }
  return shapes;
}

std::uint8_t gso_type(const Shape& shape) {
  if (shape.udp) return kGsoUdpL4;
  return shape.family == Family::kV4 ? kGsoTcpV4 : kGsoTcpV6;
}

std::vector<Bytes> split(const VirtioNetHeader& header, const Bytes& frame, std::size_t l3_offset) {
  GsoPlan plan;
  if (!plan_gso(header, frame, l3_offset, plan)) return {};
  std::vector<Bytes> out;
  for (std::size_t i = 0; i < plan.segments; ++i) {
    Bytes segment(plan.segment_size(i));
    EXPECT_EQ(write_gso_segment(plan, frame, i, segment.data()), segment.size());
    EXPECT_EQ(plan.packet_size(i), segment.size() - plan.l3_offset);
    EXPECT_EQ(checksum_fold(gso_segment_sum(plan, i, segment.data())) % 0xffff,
              checksum_fold(checksum_add(segment.data(), segment.size(), 0)) % 0xffff);
    out.push_back(segment);
  }
  return out;
}

TEST(GsoSplit, SegmentsAreThePacketsThatASenderWithoutOffloadMakes) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 40; ++round) {
    for (const Shape& shape : all_shapes()) {
      const std::size_t size = 1 + random() % 1460;
      const std::size_t total = 1 + random() % (round % 8 == 0 ? 60000 : 6000);
      PacketSpec spec{.family = shape.family,
                      .sequence = static_cast<std::uint32_t>(random()),
                      .flags = static_cast<std::uint8_t>(0x10 | (random() & 0xc9)),
                      .id = static_cast<std::uint16_t>(random()),
                      .ds_field = static_cast<std::uint8_t>(random())};
      if (shape.tap) spec.l2 = test::ethernet(shape.family, shape.vlan_tags);
      if (!shape.udp) spec.options = Bytes(random() % 11 * 4, 1);
      const Bytes payload = test::random_bytes(random, total);

      spec.payload = payload;
      Bytes frame = shape.udp ? test::udp_packet(spec) : test::tcp_packet(spec);
      const std::size_t l4 = test::l4_offset(spec);
      // What the kernel leaves in the checksum field does not matter, nor does hdr_len.
      store_be16(&frame[l4 + (shape.udp ? 6 : 16)], static_cast<std::uint16_t>(random()));
      const VirtioNetHeader header{.flags = kNeedsCsum,
                                   .gso_type = gso_type(shape),
                                   .hdr_len = static_cast<std::uint16_t>(random()),
                                   .gso_size = static_cast<std::uint16_t>(size)};
      const auto segments = split(header, frame, shape.tap ? 14 : 0);
      ASSERT_EQ(segments.size(), (total + size - 1) / size);

      PacketSpec expected = spec;
      for (std::size_t i = 0; i < segments.size(); ++i) {
        const std::size_t at = i * size;
        const std::size_t n = std::min(size, total - at);
        expected.payload.assign(payload.begin() + static_cast<std::ptrdiff_t>(at),
                                payload.begin() + static_cast<std::ptrdiff_t>(at + n));
        expected.sequence = static_cast<std::uint32_t>(spec.sequence + at);
        expected.id = static_cast<std::uint16_t>(spec.id + i);
        expected.flags = spec.flags;
        if (i != 0) expected.flags &= 0x7f;
        if (i + 1 != segments.size()) expected.flags &= 0xf6;
        ASSERT_EQ(segments[i], shape.udp ? test::udp_packet(expected) : test::tcp_packet(expected))
            << "segment " << i;
      }
    }
  }
}

TEST(GsoSplit, EcnTypeIsTheSame) {
  PacketSpec spec{.flags = 0x90, .payload = Bytes(2000, 7)};
  const auto segments = split({.flags = kNeedsCsum, .gso_type = kGsoTcpV4 | kGsoEcn, .gso_size = 1000},
                              test::tcp_packet(spec), 0);
  ASSERT_EQ(segments.size(), 2U);
  EXPECT_EQ(segments[0][33], 0x90);
  EXPECT_EQ(segments[1][33], 0x10);
}

TEST(GsoSplit, NoPayloadIsOneSegment) {
  const Bytes frame = test::tcp_packet({});
  const auto segments = split({.gso_type = kGsoTcpV4, .gso_size = 1000}, frame, 0);
  ASSERT_EQ(segments.size(), 1U);
  EXPECT_EQ(segments[0], frame);
}

TEST(GsoSplit, RefusesWhatDoesNotHold) {
  const Bytes v4 = test::tcp_packet({.payload = Bytes(3000, 7)});
  const Bytes v6 = test::tcp_packet({.family = Family::kV6, .payload = Bytes(3000, 7)});
  const Bytes udp = test::udp_packet({.payload = Bytes(3000, 7)});
  Bytes fragment = v4;
  store_be16(&fragment[6], 0x2000);
  Bytes long_tcp = test::tcp_packet({});
  long_tcp[32] = 0xf0;
  Bytes short_tcp = v4;
  short_tcp[32] = 0x40;
  Bytes cut = v4;
  cut.resize(100);
  Bytes tags(14, 0);
  for (int i = 0; i < 4; ++i) tags.insert(tags.end(), {0, 0, 0x81, 0x00});
  store_be16(&tags[12], 0x8100);
  struct Case {
    const char* what;
    std::uint8_t type;
    std::uint16_t size;
    std::size_t l3;
    Bytes frame;
  };
  for (const Case& c :
       {Case{"size 0", kGsoTcpV4, 0, 0, v4}, Case{"no GSO", kGsoNone, 1000, 0, v4},
        Case{"type of the other family", kGsoTcpV6, 1000, 0, v4},
        Case{"type of the other family", kGsoTcpV4, 1000, 0, v6},
        Case{"TCP type for UDP", kGsoTcpV4, 1000, 0, udp}, Case{"UDP type for TCP", kGsoUdpL4, 1000, 0, v4},
        Case{"UFO", 3, 1000, 0, udp}, Case{"fragment", kGsoTcpV4, 1000, 0, fragment},
        Case{"TCP header past the packet", kGsoTcpV4, 1000, 0, long_tcp},
        Case{"TCP header too short", kGsoTcpV4, 1000, 0, short_tcp},
        Case{"cut short", kGsoTcpV4, 1000, 0, cut}, Case{"nothing", kGsoTcpV4, 1000, 0, {}},
        Case{"shorter than Ethernet", kGsoTcpV4, 1000, 14, Bytes(13)},
        Case{"only VLAN tags", kGsoTcpV4, 1000, 14, tags}}) {
    GsoPlan plan;
    EXPECT_FALSE(plan_gso({.gso_type = c.type, .gso_size = c.size}, c.frame, c.l3, plan)) << c.what;
  }
}

TEST(CompleteChecksum, OfBothFamiliesAndLayers) {
  for (const Shape& shape : all_shapes()) {
    PacketSpec spec{.family = shape.family, .payload = Bytes(301, 0x5a)};
    if (shape.tap) spec.l2 = test::ethernet(shape.family, shape.vlan_tags);
    const Bytes good = shape.udp ? test::udp_packet(spec) : test::tcp_packet(spec);
    const std::size_t l4 = test::l4_offset(spec);
    const std::size_t offset = shape.udp ? 6 : 16;
    Bytes frame = good;
    store_be16(&frame[l4 + offset], test::pseudo_sum(good, spec.l2.size(), l4, shape.udp ? 17 : 6));
    const VirtioNetHeader header{.flags = kNeedsCsum,
                                 .csum_start = static_cast<std::uint16_t>(l4),
                                 .csum_offset = static_cast<std::uint16_t>(offset)};
    ASSERT_TRUE(complete_checksum(header, frame));
    EXPECT_EQ(frame, good);
  }
}

TEST(CompleteChecksum, OnlyWhenAskedAndOnlyInsideTheFrame) {
  Bytes frame = test::udp_packet({.payload = {1, 2, 3}});
  const Bytes before = frame;
  EXPECT_TRUE(complete_checksum({.csum_start = 20, .csum_offset = 6}, frame));
  EXPECT_FALSE(complete_checksum({.flags = kNeedsCsum, .csum_start = 20, .csum_offset = 10}, frame));
  EXPECT_FALSE(complete_checksum({.flags = kNeedsCsum, .csum_start = 65535, .csum_offset = 65535}, frame));
  EXPECT_EQ(frame, before);
}

}  // namespace
}  // namespace greywire
