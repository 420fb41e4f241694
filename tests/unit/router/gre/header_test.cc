#include "router/gre/header.h"

#include <gtest/gtest.h>

#include "tests/unit/router/packet/packets.h"

namespace greywire::gre {
namespace {

using test::Bytes;

TEST(GreHeader, EveryCombinationThereAndBack) {
  for (unsigned options = 0; options < 8; ++options) {
    Header header{.checksum = (options & 4) != 0, .protocol = kProtocolIpv6};
    if (options & 1) header.key = 0x01020304;
    if (options & 2) header.sequence = 0xfffffffe;
    Bytes packet(header_size(header) + 11, 0x5c);
    EXPECT_EQ(encode(header, packet.data()), header_size(header));
    if (header.checksum) write_checksum(packet);
    Header decoded;
    ASSERT_FALSE(decode(packet, decoded));
    EXPECT_EQ(decoded.key, header.key);
    EXPECT_EQ(decoded.sequence, header.sequence);
    EXPECT_EQ(decoded.checksum, header.checksum);
    EXPECT_EQ(decoded.protocol, kProtocolIpv6);
    EXPECT_EQ(decoded.size, header_size(header));
    for (std::size_t n = 0; n < header_size(header); ++n) {
      EXPECT_EQ(decode(std::span(packet).first(n), decoded), DropReason::kGreBadHeader) << n;
    }
  }
}

TEST(GreHeader, BytesOfRfc2890) {
  Bytes out(16);
  EXPECT_EQ(encode({.key = 0x0a0b0c0d, .sequence = 7, .checksum = true, .protocol = 0x6558}, out.data()),
            16U);
  EXPECT_EQ(out, (Bytes{0xb0, 0, 0x65, 0x58, 0, 0, 0, 0, 0x0a, 0x0b, 0x0c, 0x0d, 0, 0, 0, 7}));
}

TEST(GreHeader, EachBitOfTheFirstWord) {
  // C, routing, K, S, strict, recursion high bit: bits 0-5; 6-12 reserved; 13-15 version.
  for (unsigned bit = 0; bit < 16; ++bit) {
    Bytes packet(20);
    store_be16(packet.data(), static_cast<std::uint16_t>(0x8000U >> bit));
    if (bit == 0) write_checksum(packet);
    std::optional<DropReason> reason;
    if (bit == 1 || bit == 4 || bit == 5) reason = DropReason::kGreReservedBits;
    if (bit >= 13) reason = DropReason::kGreBadVersion;
    Header header;
    EXPECT_EQ(decode(packet, header), reason) << "bit " << bit;
  }
}

TEST(GreHeader, AWrongChecksumIsSeenAnywhere) {
  Bytes packet(50, 0x33);
  encode({.checksum = true, .protocol = kProtocolIpv4}, packet.data());
  write_checksum(packet);
  for (std::size_t i = 2; i < packet.size(); ++i) {
    Bytes bad = packet;
    bad[i] ^= 0x10;
    Header header;
    EXPECT_EQ(decode(bad, header), DropReason::kGreBadChecksum) << i;
  }
}

}  // namespace
}  // namespace greywire::gre
