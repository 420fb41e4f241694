#include "router/pmtu/overhead.h"

#include <gtest/gtest.h>

namespace greywire::pmtu {
namespace {

constexpr Family kV4 = Family::kV4;
constexpr Family kV6 = Family::kV6;

// wg-quick's well-known figures.
static_assert(max_inner(Mtu{1500}, kV4) == Mtu{1440});
static_assert(max_inner(Mtu{1500}, kV6) == Mtu{1420});

// What Linux gives its links over a WireGuard device at 1420: ip -d link, each option in turn.
static_assert(gre_payload_mtu(Mtu{1420}, kV4) == Mtu{1396});
static_assert(gre_payload_mtu(Mtu{1420}, kV4, {.key = true}) == Mtu{1392});
static_assert(gre_payload_mtu(Mtu{1420}, kV4, {.checksum = true}) == Mtu{1392});
static_assert(gre_payload_mtu(Mtu{1420}, kV4, {.key = true, .sequence = true, .checksum = true}) ==
              Mtu{1384});
static_assert(gretap_payload_mtu(Mtu{1420}, kV4) == Mtu{1382});
static_assert(gretap_payload_mtu(Mtu{1420}, kV4, {.key = true}) == Mtu{1378});

TEST(Overhead, HandMadeTable) {
  struct Row {
    std::uint32_t path;
    Family underlay;
    std::uint32_t inner;
    Family delivery;
    GreOptions options;
    std::uint32_t gre, gretap, gretap_vlan;
  };
  for (const Row& r : {
           Row{1500, kV4, 1440, kV4, {}, 1416, 1402, 1398},
           Row{1500, kV4, 1440, kV6, {}, 1396, 1382, 1378},
           Row{1500, kV6, 1420, kV4, {}, 1396, 1382, 1378},
           Row{1500, kV6, 1420, kV6, {.key = true}, 1372, 1358, 1354},
           Row{1492, kV4, 1432, kV4, {.key = true}, 1404, 1390, 1386},
           Row{9000, kV6, 8920, kV4, {.key = true, .sequence = true, .checksum = true}, 8884, 8870, 8866},
           Row{1280, kV6, 1200, kV6, {}, 1156, 1142, 1138},
           Row{60, kV4, 0, kV4, {}, 0, 0, 0},
           Row{0, kV6, 0, kV6, {}, 0, 0, 0},
       }) {
    const Mtu inner = max_inner(Mtu{r.path}, r.underlay);
    EXPECT_EQ(inner.bytes, r.inner) << r.path;
    EXPECT_EQ(gre_payload_mtu(inner, r.delivery, r.options).bytes, r.gre) << r.path;
    EXPECT_EQ(gretap_payload_mtu(inner, r.delivery, r.options).bytes, r.gretap) << r.path;
    EXPECT_EQ(gretap_payload_mtu(inner, r.delivery, r.options, 1).bytes, r.gretap_vlan) << r.path;
  }
}

TEST(Overhead, PaddingNeverGoesPastTheLargest) {
  struct Row {
    std::uint32_t inner, largest, padded;
  };
  for (const Row& r :
       {Row{0, 1420, 0}, Row{1, 1420, 16}, Row{16, 1420, 16}, Row{17, 1420, 32}, Row{1408, 1420, 1408},
        Row{1409, 1420, 1420}, Row{1420, 1420, 1420}, Row{1440, 1440, 1440}, Row{1500, 1420, 1500}}) {
    EXPECT_EQ(padded_size(r.inner, Mtu{r.largest}), r.padded) << r.inner;
  }
}

// No packet of a permitted size makes an underlay packet above the path's MTU, and the largest one fills it.
TEST(Overhead, TheUnderlayPacketFitsThePath) {
  for (const Family underlay : {kV4, kV6}) {
    for (std::uint32_t path = 576; path <= 1600; ++path) {
      const Mtu largest = max_inner(Mtu{path}, underlay);
      for (std::uint32_t inner = 0; inner <= largest.bytes; ++inner) {
        ASSERT_LE(underlay_size(padded_size(inner, largest), underlay), path);
      }
      ASSERT_EQ(underlay_size(padded_size(largest.bytes, largest), underlay), path);
    }
  }
}

TEST(Overhead, ABridgeAt1500) {
  EXPECT_EQ(gretap_delivery_size(Mtu{1500}, kV4), 1538U);
  EXPECT_EQ(gretap_delivery_size(Mtu{1500}, kV6, {.key = true}, 1), 1566U);
  EXPECT_EQ(gretap_delivery_size(Mtu{1500}, kV6, {.encap_limit = true}), 1566U);
  EXPECT_EQ(gretap_delivery_size(Mtu{1500}, kV4, {.encap_limit = true}), 1538U);
}

TEST(Overhead, SegmentSizes) {
  EXPECT_EQ(tcp_mss(Mtu{1500}, kV4), 1460);
  EXPECT_EQ(tcp_mss(Mtu{1500}, kV6), 1440);
  EXPECT_EQ(tcp_mss(Mtu{1416}, kV4), 1376);
  EXPECT_EQ(tcp_mss(Mtu{40}, kV4), 0);
  EXPECT_EQ(tcp_mss(Mtu{70000}, kV6), 65535);
}

}  // namespace
}  // namespace greywire::pmtu
