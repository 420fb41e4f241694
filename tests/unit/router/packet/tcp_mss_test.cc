#include "router/packet/tcp_mss.h"

#include <gtest/gtest.h>

#include "tests/unit/router/packet/packets.h"

namespace greywire {
namespace {

using test::Bytes;
using test::PacketSpec;

Bytes mss_option(std::uint16_t mss) {
  return {2, 4, static_cast<std::uint8_t>(mss >> 8), static_cast<std::uint8_t>(mss)};
}

TEST(ClampTcpMss, LowersSynAndSynAckOfBothFamilies) {
  for (const Family family : {Family::kV4, Family::kV6}) {
    for (const std::uint8_t flags : std::initializer_list<std::uint8_t>{0x02, 0x12, 0xc2}) {
      PacketSpec spec{.family = family, .flags = flags, .options = mss_option(1460)};
      Bytes p = test::tcp_packet(spec);
      ASSERT_TRUE(clamp_tcp_mss(p, 1380));
      spec.options = mss_option(1380);
      EXPECT_EQ(p, test::tcp_packet(spec));
    }
  }
}

TEST(ClampTcpMss, OnlyLowers) {
  for (const std::uint16_t mss : std::initializer_list<std::uint16_t>{536, 1379, 1380}) {
    Bytes p = test::tcp_packet({.flags = 2, .options = mss_option(mss)});
    const Bytes before = p;
    EXPECT_FALSE(clamp_tcp_mss(p, 1380));
    EXPECT_EQ(p, before);
  }
}

TEST(ClampTcpMss, AnyPlaceAmongTheOptions) {
  const Bytes value = mss_option(1460);
  for (std::size_t before = 0; before <= 4; ++before) {
    PacketSpec spec{.flags = 2, .options = Bytes(8, 1)};
    std::copy(value.begin(), value.end(), spec.options.begin() + static_cast<std::ptrdiff_t>(before));
    Bytes p = test::tcp_packet(spec);
    ASSERT_TRUE(clamp_tcp_mss(p, 1234)) << before;
    EXPECT_EQ(load_be16(&p[40 + before + 2]), 1234);
    EXPECT_TRUE(test::l4_checksum_right(p, 0, 20, 6)) << before;
  }
}

TEST(ClampTcpMss, APartialChecksumStays) {
  Bytes p = test::tcp_packet({.flags = 2, .options = mss_option(1460)});
  const std::uint16_t checksum = load_be16(&p[36]);
  EXPECT_TRUE(clamp_tcp_mss(p, 1380, TcpChecksum::kPartial));
  EXPECT_EQ(load_be16(&p[36]), checksum);
  EXPECT_EQ(load_be16(&p[42]), 1380);
}

TEST(ClampTcpMss, LeavesAllElseAlone) {
  struct Case {
    const char* what;
    Bytes packet;
  };
  Bytes fragment = test::tcp_packet({.flags = 2, .options = mss_option(1460)});
  store_be16(&fragment[6], 0x2000);
  Bytes long_header = test::tcp_packet({.flags = 2, .options = mss_option(1460)});
  long_header[32] = 0xf0;
  Bytes short_header = test::tcp_packet({.flags = 2, .options = mss_option(1460)});
  short_header[32] = 0x40;
  for (const Case& c :
       {Case{"no SYN", test::tcp_packet({.flags = 0x10, .options = mss_option(1460)})},
        Case{"no options", test::tcp_packet({.flags = 2})},
        Case{"UDP", test::udp_packet({.payload = Bytes(40, 2)})}, Case{"fragment", fragment},
        Case{"header past the packet", long_header}, Case{"header too short", short_header},
        Case{"MSS of the wrong length", test::tcp_packet({.flags = 2, .options = {2, 3, 9, 9}})},
        Case{"MSS cut short", test::tcp_packet({.flags = 2, .options = {1, 1, 2, 4}})},
        Case{"option of length 0", test::tcp_packet({.flags = 2, .options = {8, 0, 1, 1, 2, 4, 9, 9}})},
        Case{"option past the header", test::tcp_packet({.flags = 2, .options = {8, 9, 1, 1, 2, 4, 9, 9}})},
        Case{"after the end", test::tcp_packet({.flags = 2, .options = {0, 1, 1, 1, 2, 4, 9, 9}})},
        Case{"nothing", {}}}) {
    Bytes p = c.packet;
    EXPECT_FALSE(clamp_tcp_mss(p, 100)) << c.what;
    EXPECT_EQ(p, c.packet) << c.what;
  }
}

}  // namespace
}  // namespace greywire
