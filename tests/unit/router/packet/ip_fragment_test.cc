#include "router/packet/ip_fragment.h"

#include <gtest/gtest.h>

#include "router/packet/ip_header.h"
#include "tests/unit/router/packet/packets.h"

namespace greywire {
namespace {

using test::Bytes;

std::vector<Bytes> fragments(const Bytes& packet, std::uint32_t mtu, std::uint32_t id = 0x01020304) {
  FragmentPlan plan;
  if (!plan_fragments(packet, Mtu{mtu}, plan, DontFragment::kIgnore, id)) return {};
  std::vector<Bytes> out;
  for (std::size_t i = 0; i < plan.count; ++i) {
    Bytes f(plan.fragment_size(i));
    EXPECT_EQ(write_fragment(plan, packet, i, f.data()), f.size());
    out.push_back(f);
  }
  return out;
}

TEST(IpFragment, WhatFitsStaysAsItIs) {
  for (const Family family : {Family::kV4, Family::kV6}) {
    const Bytes p = test::udp_packet({.family = family, .payload = Bytes(1000, 3)});
    const auto out = fragments(p, static_cast<std::uint32_t>(p.size()));
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(out[0], p);
  }
}

TEST(IpFragment, Ipv4) {
  const Bytes p = test::udp_packet({.payload = Bytes(3000, 3), .id = 0x1234, .dont_fragment = true});
  const auto out = fragments(p, 1421);
  ASSERT_EQ(out.size(), 3U);
  Bytes joined;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const Bytes& f = out[i];
    EXPECT_LE(f.size(), 1421U);
    EXPECT_EQ(load_be16(&f[2]), f.size());
    EXPECT_EQ(load_be16(&f[4]), 0x1234);
    EXPECT_EQ(load_be16(&f[6]), joined.size() / 8 | (i < 2 ? 0x2000U : 0U));
    EXPECT_TRUE(test::ipv4_checksum_right(f));
    joined.insert(joined.end(), f.begin() + 20, f.end());
  }
  EXPECT_EQ(out[0].size(), 20U + 1400U);  // the most in multiples of 8
  EXPECT_EQ(joined, Bytes(p.begin() + 20, p.end()));
}

TEST(IpFragment, DontFragmentIsHonouredOnlyWhenItMatters) {
  const Bytes p = test::udp_packet({.payload = Bytes(3000, 3), .dont_fragment = true});
  const Bytes free = test::udp_packet({.payload = Bytes(3000, 3), .dont_fragment = false});
  FragmentPlan plan;
  EXPECT_FALSE(plan_fragments(p, Mtu{1500}, plan));
  EXPECT_TRUE(plan_fragments(p, Mtu{3028}, plan));
  EXPECT_TRUE(plan_fragments(free, Mtu{1500}, plan));
  EXPECT_EQ(plan.count, 3U);
}

TEST(IpFragment, AnIpv4FragmentIsCutAgain) {
  const Bytes p = test::udp_packet({.payload = Bytes(3000, 3), .dont_fragment = false});
  const auto first = fragments(p, 1500);
  const auto again = fragments(first[1], 804);
  ASSERT_EQ(again.size(), 2U);
  EXPECT_EQ(load_be16(&again[0][6]), 0x2000 | 1480 / 8);
  EXPECT_EQ(load_be16(&again[1][6]), 0x2000 | (1480 + 784) / 8);
}

TEST(IpFragment, Ipv4OptionsNotToBeCopiedAreBlank) {
  Bytes p = test::udp_packet({.payload = Bytes(100, 3), .dont_fragment = false});
  // Record route (not copied), then strict source route (copied), end.
  const Bytes options = {7, 3, 4, 0x89, 3, 4, 0, 0};
  p.insert(p.begin() + 20, options.begin(), options.end());
  p[0] = 0x47;
  store_be16(&p[2], static_cast<std::uint16_t>(p.size()));
  const auto out = fragments(p, 92);
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(Bytes(out[0].begin() + 20, out[0].begin() + 28), options);
  EXPECT_EQ(Bytes(out[1].begin() + 20, out[1].begin() + 28), (Bytes{1, 1, 1, 0x89, 3, 4, 0, 0}));
  EXPECT_TRUE(test::ipv4_checksum_right(out[0]));
  EXPECT_TRUE(test::ipv4_checksum_right(out[1]));
}

TEST(IpFragment, Ipv6) {
  const Bytes p = test::udp_packet({.family = Family::kV6, .payload = Bytes(3000, 3), .flow_label = 0x77});
  const auto out = fragments(p, 1420);
  ASSERT_EQ(out.size(), 3U);
  Bytes joined;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const Bytes& f = out[i];
    EXPECT_LE(f.size(), 1420U);
    EXPECT_EQ(load_be32(f.data()), 0x60000077U);
    EXPECT_EQ(load_be16(&f[4]), f.size() - 40);
    EXPECT_EQ(f[6], 44);
    EXPECT_EQ(f[40], 17);
    EXPECT_EQ(load_be16(&f[42]), joined.size() | (i < 2 ? 1U : 0U));
    EXPECT_EQ(load_be32(&f[44]), 0x01020304U);
    joined.insert(joined.end(), f.begin() + 48, f.end());
  }
  EXPECT_EQ(joined, Bytes(p.begin() + 40, p.end()));
}

TEST(IpFragment, Ipv6UnfragmentablePart) {
  // Hop-by-Hop and a Destination Options header without Routing behind it: only the first belongs to it.
  Bytes upper(16 + 2000);
  upper[0] = 60;
  upper[8] = 17;
  const auto out = fragments(test::ip_packet({.family = Family::kV6}, 0, upper), 1280);
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[1][6], 0);
  EXPECT_EQ(out[1][40], 44);
  EXPECT_EQ(out[1][48], 60);
}

TEST(IpFragment, RefusesWhatCannotBe) {
  FragmentPlan plan;
  const Bytes v4 = test::udp_packet({.payload = Bytes(100, 3), .dont_fragment = false});
  const Bytes v6 = test::udp_packet({.family = Family::kV6, .payload = Bytes(100, 3)});
  EXPECT_FALSE(plan_fragments(v4, Mtu{27}, plan));
  EXPECT_TRUE(plan_fragments(v4, Mtu{28}, plan));
  EXPECT_FALSE(plan_fragments(v6, Mtu{55}, plan));
  EXPECT_TRUE(plan_fragments(v6, Mtu{56}, plan));
  EXPECT_FALSE(plan_fragments(fragments(v6, 100)[0], Mtu{80}, plan));
  EXPECT_FALSE(plan_fragments({}, Mtu{1500}, plan));
  EXPECT_FALSE(plan_fragments(Bytes(40, 0x45), Mtu{1500}, plan));
}

}  // namespace
}  // namespace greywire
