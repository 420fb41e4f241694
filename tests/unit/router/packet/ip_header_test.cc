#include "router/packet/ip_header.h"

#include <gtest/gtest.h>

#include "tests/unit/router/packet/packets.h"

namespace greywire {
namespace {

using test::Bytes;
using test::PacketSpec;

TEST(ParseIp, Ipv4) {
  Bytes p = test::udp_packet({.payload = {1, 2, 3}, .ttl = 9, .ds_field = 0xb9});
  p.resize(p.size() + 13);  // padding
  IpPacketInfo ip;
  ASSERT_TRUE(parse_ip(p, ip));
  EXPECT_EQ(ip.family, Family::kV4);
  EXPECT_EQ(ip.protocol, 17);
  EXPECT_EQ(ip.ds_field, 0xb9);
  EXPECT_EQ(ip.hop_limit, 9);
  EXPECT_EQ(ip.header_size, 20);
  EXPECT_EQ(ip.total_size, 31U);
  EXPECT_FALSE(ip.is_fragment);
  EXPECT_TRUE(ip.dont_fragment);
  EXPECT_EQ(source(p, ip).to_string(), "10.0.0.1");
  EXPECT_EQ(destination(p, ip).to_string(), "10.0.0.2");
  EXPECT_EQ(destination_bytes(p, ip)[3], 2);
}

TEST(ParseIp, Ipv6) {
  Bytes p = test::udp_packet(
      {.family = Family::kV6, .payload = {1, 2, 3}, .ttl = 9, .ds_field = 0xb9, .flow_label = 0x12345});
  IpPacketInfo ip;
  ASSERT_TRUE(parse_ip(p, ip));
  EXPECT_EQ(ip.family, Family::kV6);
  EXPECT_EQ(ip.protocol, 17);
  EXPECT_EQ(ip.ds_field, 0xb9);
  EXPECT_EQ(ip.hop_limit, 9);
  EXPECT_EQ(ip.total_size, 51U);
  EXPECT_EQ(source(p, ip).to_string(), "fd00::1");
  EXPECT_EQ(destination(p, ip).to_string(), "fd00::2");
}

TEST(ParseIp, RefusesWhatIsNotSane) {
  const Bytes v4 = test::udp_packet({.payload = {1, 2, 3}});
  const Bytes v6 = test::udp_packet({.family = Family::kV6, .payload = {1, 2, 3}});
  IpPacketInfo ip;
  for (const Bytes& good : {v4, v6}) {
    for (std::size_t n = 0; n < good.size(); ++n) {
      EXPECT_FALSE(parse_ip(std::span(good).first(n), ip)) << n;
    }
  }
  struct Case {
    const char* what;
    std::size_t at;
    std::uint8_t value;
  };
  for (const Case& c : {Case{"version 0", 0, 0x05}, Case{"version 5", 0, 0x55}, Case{"header of 16", 0, 0x44},
                        Case{"header past the total", 0, 0x4f}, Case{"total below the header", 3, 19},
                        Case{"total past the packet", 3, 32}}) {
    Bytes p = v4;
    p[c.at] = c.value;
    EXPECT_FALSE(parse_ip(p, ip)) << c.what;
  }
  Bytes p = v6;
  p[5] = 12;
  EXPECT_FALSE(parse_ip(p, ip));
}

TEST(ParseIp, Fragments) {
  struct Case {
    std::uint16_t field;
    bool fragment;
  };
  for (const Case& c : {Case{0x0000, false}, Case{0x4000, false}, Case{0x8000, false}, Case{0x2000, true},
                        Case{0x0001, true}}) {
    Bytes p = test::udp_packet({});
    store_be16(&p[6], c.field);
    IpPacketInfo ip;
    ASSERT_TRUE(parse_ip(p, ip));
    EXPECT_EQ(ip.is_fragment, c.fragment) << c.field;
  }
}

TEST(FindUpperLayer, WalksExtensionHeaders) {
  // Hop-by-Hop, Destination Options of 16 bytes, Fragment (first), UDP.
  Bytes upper(8 + 16 + 8 + 8);
  upper[0] = 60;
  upper[8] = 44;
  upper[9] = 1;
  upper[24] = 17;
  upper[27] = 1;
  const Bytes p = test::ip_packet({.family = Family::kV6}, 0, upper);
  IpPacketInfo ip;
  UpperLayer found;
  ASSERT_TRUE(parse_ip(p, ip));
  EXPECT_FALSE(ip.is_fragment);
  ASSERT_TRUE(find_upper_layer(p, ip, found));
  EXPECT_EQ(found.protocol, 17);
  EXPECT_EQ(found.offset, 72U);
  EXPECT_TRUE(found.is_fragment);
  EXPECT_EQ(found.fragment_offset, 0);
}

TEST(FindUpperLayer, ALaterFragmentIsNotParsedFurther) {
  Bytes upper(24);
  upper[0] = 60;
  store_be16(&upper[2], 1232);
  upper[8] = 44;
  const Bytes p = test::ip_packet({.family = Family::kV6}, 44, upper);
  IpPacketInfo ip;
  UpperLayer found;
  ASSERT_TRUE(parse_ip(p, ip));
  EXPECT_TRUE(ip.is_fragment);
  ASSERT_TRUE(find_upper_layer(p, ip, found));
  EXPECT_EQ(found.protocol, 60);
  EXPECT_EQ(found.offset, 48U);
  EXPECT_EQ(found.fragment_offset, 1232);
}

TEST(FindUpperLayer, RefusesACutChain) {
  Bytes upper(16);
  upper[0] = 60;
  upper[8] = 17;
  upper[9] = 9;
  const Bytes p = test::ip_packet({.family = Family::kV6}, 0, upper);
  IpPacketInfo ip;
  UpperLayer found;
  ASSERT_TRUE(parse_ip(p, ip));
  EXPECT_FALSE(find_upper_layer(p, ip, found));
}

TEST(SetDsField, KeepsChecksumAndNeighbours) {
  for (unsigned value = 0; value < 256; ++value) {
    const auto ds_field = static_cast<std::uint8_t>(value);
    Bytes v4 = test::udp_packet({.ds_field = 0x2e});
    IpPacketInfo ip;
    ASSERT_TRUE(parse_ip(v4, ip));
    set_ds_field(v4, ip, ds_field);
    EXPECT_EQ(v4, test::udp_packet({.ds_field = ds_field}));
    Bytes v6 = test::udp_packet({.family = Family::kV6, .ds_field = 0x2e, .flow_label = 0xabcde});
    ASSERT_TRUE(parse_ip(v6, ip));
    set_ds_field(v6, ip, ds_field);
    EXPECT_EQ(v6, test::udp_packet({.family = Family::kV6, .ds_field = ds_field, .flow_label = 0xabcde}));
    EXPECT_EQ(ip.ds_field, ds_field);
  }
}

TEST(Ecn, DecapsulationTableOfRfc6040) {
  constexpr std::uint8_t kDrop = 0xff;
  // Rows: inner Not-ECT, ECT(1), ECT(0), CE. Columns: outer Not-ECT, ECT(1), ECT(0), CE.
  constexpr std::uint8_t table[4][4] = {{0, 0, 0, kDrop}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};
  for (std::uint8_t inner = 0; inner < 4; ++inner) {
    for (std::uint8_t outer = 0; outer < 4; ++outer) {
      EXPECT_EQ(ecn_decapsulate(inner, outer).value_or(kDrop), table[inner][outer])
          << int{inner} << " in " << int{outer};
    }
  }
  EXPECT_EQ(ecn_encapsulate(0xbb), 3);
}

}  // namespace
}  // namespace greywire
