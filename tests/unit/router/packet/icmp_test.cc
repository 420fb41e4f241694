#include "router/packet/icmp.h"

#include <gtest/gtest.h>

#include "router/packet/ip_header.h"
#include "tests/unit/router/packet/packets.h"

namespace greywire {
namespace {

using test::Bytes;

IpAddress address(const char* text) {
  return IpAddress::parse(text).value();
}

bool checksums_right(const Bytes& p) {
  if (p[0] >> 4 == 6) return test::l4_checksum_right(p, 0, 40, 58);
  return test::ipv4_checksum_right(p) && test::plain_checksum(std::span(p).subspan(20)) == 0;
}

TEST(IcmpEcho, RequestAndReplyOfBothFamilies) {
  struct Case {
    const char *from, *to;
    std::uint8_t request, reply;
  };
  for (const Case& c : {Case{"10.0.0.1", "10.0.0.2", 8, 0}, Case{"fd00::1", "fd00::2", 128, 129}}) {
    const Bytes payload = {9, 8, 7, 6, 5};
    Bytes out(200);
    out.resize(write_echo_request(out, address(c.from), address(c.to), 0x1234, 7, payload, 0xc0));
    const std::size_t header = address(c.from).is_v4() ? 20 : 40;
    ASSERT_EQ(out.size(), header + 8 + 5);
    EXPECT_EQ(out[header], c.request);
    EXPECT_TRUE(checksums_right(out));
    IpPacketInfo ip;
    ASSERT_TRUE(parse_ip(out, ip));
    EXPECT_EQ(ip.ds_field, 0xc0);

    Bytes padded = out;
    padded.resize(500);  // zeros behind it, as in a padded WireGuard plaintext
    EchoMessage echo;
    ASSERT_TRUE(parse_echo(padded, echo));
    EXPECT_FALSE(echo.is_reply);
    EXPECT_EQ(echo.identifier, 0x1234);
    EXPECT_EQ(echo.sequence, 7);
    EXPECT_EQ(echo.source, address(c.from));
    EXPECT_EQ(echo.destination, address(c.to));
    EXPECT_EQ(Bytes(echo.payload.begin(), echo.payload.end()), payload);

    Bytes reply(200);
    reply.resize(write_echo_reply(reply, echo));
    ASSERT_EQ(reply.size(), out.size());
    EXPECT_EQ(reply[header], c.reply);
    EXPECT_TRUE(checksums_right(reply));
    ASSERT_TRUE(parse_echo(reply, echo));
    EXPECT_TRUE(echo.is_reply);
    EXPECT_EQ(echo.source, address(c.to));
    EXPECT_EQ(write_echo_reply(out, echo), 0U);

    for (std::size_t i = header; i < out.size(); ++i) {
      Bytes bad = out;
      bad[i] ^= 1;
      EXPECT_FALSE(parse_echo(bad, echo)) << i;
    }
    for (std::size_t n = 0; n < out.size(); ++n) EXPECT_FALSE(parse_echo(std::span(out).first(n), echo));
  }
}

TEST(IcmpEcho, NoReplyFromAMulticastAddress) {
  Bytes out(100);
  for (const char* to : {"224.0.0.1", "ff02::1"}) {
    EchoMessage echo{.source = address("10.0.0.1"), .destination = address(to), .payload = {}};
    if (echo.destination.is_v6()) echo.source = address("fd00::1");
    EXPECT_EQ(write_echo_reply(out, echo), 0U) << to;
  }
}

TEST(IcmpEcho, DoesNotFit) {
  Bytes out(100);
  EXPECT_EQ(write_echo_request(out, address("10.0.0.1"), address("fd00::2"), 1, 1, {}), 0U);
  EXPECT_EQ(write_echo_request(std::span(out).first(27), address("10.0.0.1"), address("10.0.0.2"), 1, 1, {}),
            0U);
  EXPECT_EQ(write_echo_request(std::span(out).first(28), address("10.0.0.1"), address("10.0.0.2"), 1, 1, {}),
            28U);
}

TEST(IcmpError, UnreachableOfBothFamilies) {
  struct Case {
    Unreachable reason;
    std::uint8_t v4_code, v6_code;
  };
  for (const Case& c : {Case{Unreachable::kNoRoute, 0, 0}, Case{Unreachable::kAdmin, 13, 1},
                        Case{Unreachable::kNoEndpoint, 1, 3}}) {
    const Bytes v4 = test::udp_packet({.payload = Bytes(2000, 1)});
    Bytes out(1500);
    out.resize(write_unreachable(out, c.reason, address("10.0.0.9"), v4));
    ASSERT_EQ(out.size(), 576U);
    EXPECT_EQ(out[20], 3);
    EXPECT_EQ(out[21], c.v4_code);
    EXPECT_TRUE(checksums_right(out));
    EXPECT_EQ(Bytes(out.begin() + 28, out.end()), Bytes(v4.begin(), v4.begin() + 548));
    IpPacketInfo ip;
    ASSERT_TRUE(parse_ip(out, ip));
    EXPECT_EQ(source(out, ip), address("10.0.0.9"));
    EXPECT_EQ(destination(out, ip), address("10.0.0.1"));

    const Bytes v6 = test::udp_packet({.family = Family::kV6, .payload = Bytes(2000, 1)});
    out.assign(1500, 0);
    out.resize(write_unreachable(out, c.reason, address("fd00::9"), v6));
    ASSERT_EQ(out.size(), 1280U);
    EXPECT_EQ(out[40], 1);
    EXPECT_EQ(out[41], c.v6_code);
    EXPECT_TRUE(checksums_right(out));
    EXPECT_EQ(Bytes(out.begin() + 48, out.end()), Bytes(v6.begin(), v6.begin() + 1232));
  }
}

TEST(IcmpError, PacketTooBig) {
  Bytes out(1500);
  const Bytes v4 = test::udp_packet({.payload = Bytes(100, 1)});
  out.resize(write_packet_too_big(out, address("10.0.0.2"), v4, Mtu{1396}));
  ASSERT_EQ(out.size(), 28 + v4.size());
  EXPECT_EQ(out[20], 3);
  EXPECT_EQ(out[21], 4);
  EXPECT_EQ(load_be32(&out[24]), 1396U);
  EXPECT_TRUE(checksums_right(out));
  out.assign(1500, 0);
  EXPECT_EQ(
      write_packet_too_big(out, address("10.0.0.2"), test::udp_packet({.dont_fragment = false}), Mtu{1396}),
      0U);
  EXPECT_EQ(write_packet_too_big(out, address("fd00::2"), v4, Mtu{1396}), 0U);
  const Bytes v6 = test::udp_packet({.family = Family::kV6, .payload = Bytes(100, 1)});
  out.resize(write_packet_too_big(out, address("fd00::2"), v6, Mtu{1376}));
  ASSERT_EQ(out.size(), 48 + v6.size());
  EXPECT_EQ(out[40], 2);
  EXPECT_EQ(out[41], 0);
  EXPECT_EQ(load_be32(&out[44]), 1376U);
  EXPECT_TRUE(checksums_right(out));
}

TEST(IcmpError, QuotesOnlyWhatThereIsRoomFor) {
  Bytes out(80);
  const Bytes v4 = test::udp_packet({.payload = Bytes(100, 1)});
  EXPECT_EQ(write_unreachable(out, Unreachable::kNoRoute, address("10.0.0.9"), v4), 80U);
  EXPECT_EQ(write_unreachable(std::span(out).first(56), Unreachable::kNoRoute, address("10.0.0.9"), v4), 56U);
  EXPECT_EQ(write_unreachable(std::span(out).first(55), Unreachable::kNoRoute, address("10.0.0.9"), v4), 0U);
}

Bytes with(Bytes packet, std::size_t at, Bytes value) {
  std::copy(value.begin(), value.end(), packet.begin() + static_cast<std::ptrdiff_t>(at));
  return packet;
}

TEST(IcmpError, WhatMustNotBeAnswered) {
  const Bytes v4 = test::udp_packet({.payload = Bytes(100, 1)});
  const Bytes v6 = test::udp_packet({.family = Family::kV6, .payload = Bytes(100, 1)});
  const auto icmp4 = [](std::uint8_t type) { return test::ip_packet({}, 1, with(Bytes(16), 0, {type})); };
  const auto icmp6 = [](std::uint8_t type) {
    return test::ip_packet({.family = Family::kV6}, 58, with(Bytes(16), 0, {type}));
  };
  Bytes error_behind_options(16);
  error_behind_options[0] = 58;
  error_behind_options[8] = 1;
  struct Case {
    const char* what;
    bool allowed;
    Bytes packet;
  };
  for (const Case& c : {
           Case{"IPv4", true, v4},
           Case{"IPv6", true, v6},
           Case{"echo request", true, icmp4(8)},
           Case{"ICMPv6 echo request", true, icmp6(128)},
           Case{"unreachable", false, icmp4(3)},
           Case{"redirect", false, icmp4(5)},
           Case{"time exceeded", false, icmp4(11)},
           Case{"parameter problem", false, icmp4(12)},
           Case{"ICMPv6 unreachable", false, icmp6(1)},
           Case{"ICMPv6 too big", false, icmp6(2)},
           Case{"ICMPv6 unknown error", false, icmp6(100)},
           Case{"ICMPv6 redirect", false, icmp6(137)},
           Case{"ICMPv6 error behind options", false,
                test::ip_packet({.family = Family::kV6}, 60, error_behind_options)},
           Case{"first fragment", true, with(v4, 6, {0x20, 0})},
           Case{"later fragment", false, with(v4, 6, {0x20, 1})},
           Case{"to multicast", false, with(v4, 16, {224, 0, 0, 5})},
           Case{"to broadcast", false, with(v4, 16, {255, 255, 255, 255})},
           Case{"from multicast", false, with(v4, 12, {239, 1, 1, 1})},
           Case{"from 0.0.0.0", false, with(v4, 12, {0, 0, 0, 0})},
           Case{"from loopback", false, with(v4, 12, {127, 0, 0, 1})},
           Case{"from class E", false, with(v4, 12, {240, 0, 0, 1})},
           Case{"to IPv6 multicast", false, with(v6, 24, {0xff, 2})},
           Case{"from ::", false, with(v6, 8, Bytes(16))},
           Case{"garbage", false, Bytes(60, 0x11)},
       }) {
    EXPECT_EQ(may_send_icmp_error(c.packet), c.allowed) << c.what;
    Bytes out(1500);
    const auto from = address(!c.packet.empty() && c.packet[0] >> 4 == 6 ? "fd00::9" : "10.0.0.9");
    EXPECT_EQ(write_unreachable(out, Unreachable::kNoRoute, from, c.packet) != 0, c.allowed) << c.what;
  }
  EXPECT_TRUE(may_send_icmp_error(with(v6, 24, {0xff, 2}), true));
  EXPECT_FALSE(may_send_icmp_error(with(v4, 16, {224, 0, 0, 5}), true));
}

}  // namespace
}  // namespace greywire
