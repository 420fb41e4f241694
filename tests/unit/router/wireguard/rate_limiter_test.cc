#include "router/wireguard/rate_limiter.h"

#include <gtest/gtest.h>

namespace greywire::wireguard {
namespace {

using namespace std::chrono_literals;

IpAddress address(std::string_view text) {
  return IpAddress::parse(text).value();
}
TimePoint at(Duration d) {
  return TimePoint{100s + d};
}

TEST(RateLimiter, BurstOfFiveThenTwentyASecond) {
  HandshakeRateLimiter limiter;
  const auto source = address("192.0.2.1");
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.admit(source, at(0s))) << i;
  EXPECT_FALSE(limiter.admit(source, at(0s)));
  EXPECT_FALSE(limiter.admit(source, at(50ms) - 1ns));
  EXPECT_TRUE(limiter.admit(source, at(50ms)));
  EXPECT_FALSE(limiter.admit(source, at(50ms)));
  int admitted = 0;
  for (auto t = 50ms; t < 10050ms; t += 1ms) admitted += limiter.admit(source, at(t)) ? 1 : 0;
  EXPECT_GE(admitted, 199);
  EXPECT_LE(admitted, 200);
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(limiter.admit(source, at(60s))) << "the burst comes back, and no more";
  EXPECT_FALSE(limiter.admit(source, at(60s)));
}

TEST(RateLimiter, OneBucketAnIpv4AddressOrIpv6Slash64) {
  HandshakeRateLimiter limiter;
  const auto drain = [&](std::string_view text) {
    int n = 0;
    while (limiter.admit(address(text), at(0s))) ++n;
    return n;
  };
  EXPECT_EQ(drain("192.0.2.1"), 5);
  EXPECT_EQ(drain("192.0.2.2"), 5);
  EXPECT_EQ(drain("2001:db8:0:1::1"), 5);
  EXPECT_EQ(drain("2001:db8:0:1:ffff::2"), 0);
  EXPECT_EQ(drain("2001:db8:0:2::1"), 5);
}

TEST(RateLimiter, TheTableIsBoundedAndForgets) {
  HandshakeRateLimiter limiter;
  for (std::uint32_t i = 0; i < HandshakeRateLimiter::kMaxSources; ++i)
    ASSERT_TRUE(limiter.admit(IpAddress::v4(i), at(0s)));
  EXPECT_FALSE(limiter.admit(address("192.0.2.1"), at(0s)));
  EXPECT_TRUE(limiter.admit(IpAddress::v4(7U), at(0s))) << "known sources go on";
  EXPECT_EQ(limiter.sources(), HandshakeRateLimiter::kMaxSources);
  EXPECT_TRUE(limiter.admit(address("192.0.2.1"), at(2100ms)));
  EXPECT_EQ(limiter.sources(), 1U);
}

TEST(EndpointLimiter, BurstThenOneEachInterval) {
  EndpointLimiter limiter(1, 50ms, 20, 16384);
  const Endpoint source{address("192.0.2.1"), 51820};
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(limiter.admit(source, at(0s))) << i;
  EXPECT_FALSE(limiter.admit(source, at(0s)));
  EXPECT_FALSE(limiter.admit(source, at(49ms)));
  EXPECT_TRUE(limiter.admit(source, at(50ms)));
  EXPECT_FALSE(limiter.admit(source, at(50ms)));
  EXPECT_TRUE(limiter.admit({address("192.0.2.1"), 51821}, at(50ms))) << "another port is another device";
  EXPECT_TRUE(limiter.admit({address("192.0.2.2"), 51820}, at(50ms)));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(limiter.admit(source, at(10s))) << "full again: " << i;
  EXPECT_FALSE(limiter.admit(source, at(10s)));
}

TEST(EndpointLimiter, ManySourcesSpreadOverItsBuckets) {
  EndpointLimiter limiter(7, 50ms, 1, 16384);
  int admitted = 0;
  for (std::uint32_t i = 0; i < 4096; ++i) {
    admitted += limiter.admit({IpAddress::v4(0xc6120000 + i), 1000}, at(0s)) ? 1 : 0;
  }
  EXPECT_GT(admitted, 3300) << "of 4096 in 16384 buckets some 3620 meet nobody";
}

}  // namespace
}  // namespace greywire::wireguard
