#include "router/base/ip_address.h"

#include <gtest/gtest.h>

#include <unordered_set>

namespace greywire {
namespace {

TEST(IpAddress, ParsesAndPrints) {
  for (const char* text : {"0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1",
                           "::ffff:192.0.2.1"}) {
    const auto a = IpAddress::parse(text);
    ASSERT_TRUE(a) << text;
    EXPECT_EQ(a->to_string(), text);
  }
  for (const char* text :
       {"", "10.0.0", "10.0.0.256", "10.0.0.1 ", "1.2.3.4/8", "[::1]", "fe80::1%eth0", ":::", "host",
        "2001:db8::12345", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(IpAddress, KnowsItsKinds) {
  struct Kind {
    const char* text;
    bool unspecified, loopback, multicast, link_local, mapped;
  };
  for (const auto& k :
       {Kind{"0.0.0.0", true, false, false, false, false},
        Kind{"127.1.2.3", false, true, false, false, false},
        Kind{"224.0.0.1", false, false, true, false, false},
        Kind{"239.255.255.255", false, false, true, false, false},
        Kind{"240.0.0.1", false, false, false, false, false},
        Kind{"169.254.1.1", false, false, false, true, false}, Kind{"::", true, false, false, false, false},
        Kind{"::1", false, true, false, false, false}, Kind{"ff02::1", false, false, true, false, false},
        Kind{"fe80::1", false, false, false, true, false}, Kind{"febf::1", false, false, false, true, false},
        Kind{"fec0::1", false, false, false, false, false},
        Kind{"::ffff:1.2.3.4", false, false, false, false, true}}) {
    const auto a = IpAddress::parse(k.text).value();
    EXPECT_EQ(a.is_unspecified(), k.unspecified) << k.text;
    EXPECT_EQ(a.is_loopback(), k.loopback) << k.text;
    EXPECT_EQ(a.is_multicast(), k.multicast) << k.text;
    EXPECT_EQ(a.is_link_local(), k.link_local) << k.text;
    EXPECT_EQ(a.is_v4_mapped(), k.mapped) << k.text;
  }
}

TEST(IpAddress, FamiliesNeverEqual) {
  EXPECT_NE(IpAddress::parse("0.0.0.0").value(), IpAddress::parse("::").value());
  EXPECT_EQ(IpAddress::v4(0x0a000001U), IpAddress::parse("10.0.0.1").value());
  EXPECT_EQ(IpAddress::parse("10.0.0.1")->v4_host_order(), 0x0a000001U);
  std::unordered_set<IpAddress> set = {IpAddress::parse("0.0.0.0").value(), IpAddress::parse("::").value()};
  EXPECT_EQ(set.size(), 2U);
}

TEST(Prefix, MasksHostBitsAtEveryLength) {
  const auto v4 = IpAddress::parse("255.255.255.255").value();
  for (unsigned n = 0; n <= 32; ++n) {
    const std::uint32_t mask = n == 0 ? 0 : ~std::uint32_t{0} << (32 - n);
    EXPECT_EQ(Prefix(v4, n).address().v4_host_order(), mask) << n;
  }
  const auto v6 = IpAddress::parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").value();
  for (unsigned n = 0; n <= 128; ++n) {
    const Prefix p(v6, n);
    for (unsigned bit = 0; bit < 128; ++bit) {
      EXPECT_EQ((p.address().data()[bit / 8] >> (7 - bit % 8) & 1) != 0, bit < n) << n << " " << bit;
    }
  }
  EXPECT_EQ(Prefix(v4, 99).length(), 32U);
}

TEST(Prefix, ParsesAndContains) {
  EXPECT_EQ(Prefix::parse("10.1.2.3/8")->to_string(), "10.0.0.0/8");
  EXPECT_EQ(Prefix::parse("10.1.2.3")->to_string(), "10.1.2.3/32");
  EXPECT_EQ(Prefix::parse("fd00::5/64")->to_string(), "fd00::/64");
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/+8", "::/129",
                           "/8", "10.0.0.0/8/9", "10/8"}) {
    EXPECT_FALSE(Prefix::parse(text)) << text;
  }
  const auto p = Prefix::parse("10.32.0.0/11").value();
  EXPECT_TRUE(p.contains(IpAddress::parse("10.63.255.255").value()));
  EXPECT_FALSE(p.contains(IpAddress::parse("10.64.0.0").value()));
  EXPECT_FALSE(p.contains(IpAddress::parse("::").value()));
  EXPECT_TRUE(p.contains(p));
  EXPECT_TRUE(p.contains(Prefix::parse("10.40.0.0/13").value()));
  EXPECT_FALSE(p.contains(Prefix::parse("10.0.0.0/8").value()));
  EXPECT_TRUE(Prefix::parse("0.0.0.0/0")->contains(IpAddress::parse("255.1.2.3").value()));
  EXPECT_FALSE(Prefix::parse("0.0.0.0/0")->contains(IpAddress::parse("::1").value()));
}

TEST(Endpoint, ParsesAndPrints) {
  for (const char* text : {"192.0.2.1:51820", "[2001:db8::1]:51820", "[fe80::1%3]:1", "0.0.0.0:65535"}) {
    const auto e = Endpoint::parse(text);
    ASSERT_TRUE(e) << text;
    EXPECT_EQ(e->to_string(), text);
  }
  EXPECT_EQ(Endpoint::parse("[fe80::1%3]:1")->scope, 3U);
  for (const char* text : {"", "192.0.2.1", "192.0.2.1:", ":1", "192.0.2.1:65536", "192.0.2.1:-1",
                           "2001:db8::1:51820", "[2001:db8::1]", "[192.0.2.1]:1", "host:1", "[fe80::1%]:1",
                           "[fe80::1%eth0]:1", "192.0.2.1%3:1", "192.0.2.1:1 "}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
}

}  // namespace
}  // namespace greywire
