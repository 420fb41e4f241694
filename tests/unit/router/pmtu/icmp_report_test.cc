#include "router/pmtu/icmp_report.h"

#include <gtest/gtest.h>

#include <vector>

#include "router/base/byte_order.h"
#include "router/packet/checksum.h"
#include "router/packet/icmp.h"
#include "tests/unit/router/packet/packets.h"

namespace greywire::pmtu {
namespace {

using Bytes = std::vector<std::uint8_t>;

// A WireGuard datagram of ours as it went out.
Bytes outer(Family family, std::size_t size = 1500) {
  test::PacketSpec spec;
  spec.family = family;
  spec.source_port = 51820;
  spec.destination_port = 4444;
  spec.payload.resize(size - (family == Family::kV4 ? 28 : 48));
  store_le32(spec.payload.data(), 4);
  store_le32(spec.payload.data() + 4, 0xabcd1234);
  store_le64(spec.payload.data() + 8, 77);
  Bytes packet = test::udp_packet(spec);
  if (family == Family::kV4) {
    packet[6] |= 0x40;  // DF
    store_be16(&packet[10], 0);
    store_be16(&packet[10], checksum_finish(checksum_add(packet.data(), 20, 0)));
  }
  return packet;
}

Bytes report_v4(const Bytes& offending, Mtu mtu = Mtu{1400}) {
  Bytes out(576);
  out.resize(write_packet_too_big(out, IpAddress::parse("192.0.2.254").value(), offending, mtu));
  return out;
}

TEST(TooBigReport, IsReadWithWhatItQuotes) {
  const auto v4 = parse_too_big(Family::kV4, report_v4(outer(Family::kV4)));
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->mtu, Mtu{1400});
  EXPECT_EQ(v4->source_port, 51820);
  EXPECT_EQ(v4->destination, Endpoint::parse("10.0.0.2:4444").value());
  EXPECT_EQ(v4->receiver_index, 0xabcd1234U);
  EXPECT_EQ(v4->counter, 77U);

  Bytes out(1280);
  const Bytes offending = outer(Family::kV6);
  out.resize(write_packet_too_big(out, IpAddress::parse("2001:db8::fe").value(), offending, Mtu{1300}));
  const auto v6 = parse_too_big(Family::kV6, std::span(out).subspan(40));
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->mtu, Mtu{1300});
  EXPECT_EQ(v6->destination, Endpoint::parse("[fd00::2]:4444").value());
  EXPECT_EQ(v6->counter, 77U);
}

TEST(TooBigReport, EverythingElseIsNone) {
  const Bytes good = report_v4(outer(Family::kV4));
  ASSERT_TRUE(parse_too_big(Family::kV4, good));
  for (std::size_t size = 0; size < 20 + 8 + 20 + 8 + 16; ++size) {
    EXPECT_FALSE(parse_too_big(Family::kV4, std::span(good).first(size))) << size;
  }
  for (const std::size_t at : {20U, 21U, 28U, 37U, 56U}) {  // type, code, quoted version, quoted protocol, message type
    Bytes bad = good;
    bad[at] ^= 0x10;
    store_be16(&bad[22], 0);
    store_be16(&bad[22], checksum_finish(checksum_add(&bad[20], bad.size() - 20, 0)));
    EXPECT_FALSE(parse_too_big(Family::kV4, bad)) << at;
  }
  Bytes damaged = good;
  damaged.back() ^= 1;
  EXPECT_FALSE(parse_too_big(Family::kV4, damaged)) << "a wrong checksum";
}

}  // namespace
}  // namespace greywire::pmtu
