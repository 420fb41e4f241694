#include "router/gre/tunnel.h"

#include <gtest/gtest.h>

#include "router/packet/ip_header.h"
#include "router/packet/ip_reassembly.h"
#include "tests/unit/router/gre/captures.h"

namespace greywire::gre {
namespace {

using test::Bytes;

IpAddress address(const char* text) {
  return IpAddress::parse(text).value();
}

TunnelConfig config_of(Family family, std::optional<std::uint32_t> key = std::nullopt) {
  if (family == Family::kV4) return {.local = address("10.9.0.2"), .remote = address("10.9.1.1"), .key = key};
  return {.local = address("fd00:9::2"), .remote = address("fd00:9:1::1"), .key = key};
}

TEST(GreTunnel, ThereAndBack) {
  for (const Family family : {Family::kV4, Family::kV6}) {
    for (const bool with_key : {false, true}) {
      TunnelConfig config = config_of(family, with_key ? std::optional<std::uint32_t>{42} : std::nullopt);
      config.ethernet = with_key;
      const Encapsulation encapsulation(config);
      const std::size_t header = (family == Family::kV4 ? 24U : 44U) + (with_key ? 4U : 0U);
      ASSERT_EQ(encapsulation.header_size(), header);
      for (const std::size_t size :
           {std::size_t{0}, std::size_t{1}, std::size_t{1500}, encapsulation.max_payload()}) {
        Bytes packet(header + size, 0xe7);
        const std::uint16_t protocol = config.ethernet ? kProtocolEthernet : kProtocolIpv4;
        encapsulation.write(packet.data(), size, protocol, 0xb9, 0xbeef, 0x54321);
        IpPacketInfo ip;
        ASSERT_TRUE(parse_ip(packet, ip));
        EXPECT_EQ(ip.total_size, packet.size());
        EXPECT_EQ(ip.hop_limit, 64);
        if (family == Family::kV4) {
          EXPECT_TRUE(test::ipv4_checksum_right(packet));
          EXPECT_EQ(load_be16(&packet[4]), 0xbeef);
          EXPECT_FALSE(ip.dont_fragment);
        } else {
          EXPECT_EQ(load_be32(packet.data()), 0x6b954321U);
        }
        packet.resize(packet.size() + 7);  // padding
        EXPECT_TRUE(is_gre(packet));
        Decapsulated out;
        ASSERT_FALSE(decapsulate(packet, out));
        EXPECT_EQ(out.payload.size(), size);
        EXPECT_EQ(out.protocol, protocol);
        EXPECT_EQ(out.ds_field, 0xb9);
        EXPECT_EQ(out.source, config.local);
        TunnelConfig other = config;  // as the far end has it
        std::swap(other.local, other.remote);
        EXPECT_EQ(demux_key(out), demux_key(other));
        EXPECT_NE(demux_key(out), demux_key(config));
      }
    }
  }
}

TEST(GreTunnel, DontFragmentIsAChoice) {
  TunnelConfig config = config_of(Family::kV4);
  config.dont_fragment = true;
  Bytes packet(24);
  Encapsulation(config).write(packet.data(), 0, kProtocolIpv4, 0, 1);
  EXPECT_EQ(load_be16(&packet[6]), 0x4000);
  EXPECT_TRUE(test::ipv4_checksum_right(packet));
}

TEST(GreTunnel, DemuxKeysDiffer) {
  const TunnelConfig base = config_of(Family::kV4);
  TunnelConfig zero = base;
  zero.key = 0;
  TunnelConfig tap = base;
  tap.ethernet = true;
  const std::hash<DemuxKey> hash;
  EXPECT_NE(demux_key(base), demux_key(zero));
  EXPECT_NE(demux_key(base), demux_key(tap));
  EXPECT_NE(hash(demux_key(base)), hash(demux_key(zero)));
  EXPECT_NE(hash(demux_key(base)), hash(demux_key(tap)));
}

Bytes gre_packet(Family family, std::uint8_t protocol, const Bytes& upper) {
  return test::ip_packet({.family = family, .dont_fragment = false}, protocol, upper);
}

TEST(GreTunnel, WhatIsRefused) {
  const Bytes plain = {0, 0, 8, 0, 1, 2, 3, 4};
  const auto options = [&](Bytes header) {
    header.insert(header.end(), plain.begin(), plain.end());
    return gre_packet(Family::kV6, 60, header);
  };
  Bytes fragment = gre_packet(Family::kV4, 47, plain);
  store_be16(&fragment[6], 0x2000);
  struct Case {
    const char* what;
    std::optional<DropReason> reason;
    Bytes packet;
  };
  for (const Case& c : {
           Case{"plain", std::nullopt, gre_packet(Family::kV4, 47, plain)},
           Case{"plain over IPv6", std::nullopt, gre_packet(Family::kV6, 47, plain)},
           Case{"encapsulation limit", std::nullopt, options({47, 0, 4, 1, 4, 1, 1, 0})},
           Case{"padding options", std::nullopt, options({47, 0, 0, 0, 1, 2, 0, 0})},
           Case{"an unknown option to be skipped", std::nullopt, options({47, 0, 0x1e, 4, 0, 0, 0, 0})},
           Case{"an unknown option that forbids", DropReason::kGreBadHeader,
                options({47, 0, 0x5e, 4, 0, 0, 0, 0})},
           Case{"an option past the header", DropReason::kGreBadHeader, options({47, 0, 1, 9, 0, 0, 0, 0})},
           Case{"options past the packet", DropReason::kGreBadHeader, options({47, 9, 1, 4, 0, 0, 0, 0})},
           Case{"options before UDP", DropReason::kGreBadHeader, options({17, 0, 1, 4, 0, 0, 0, 0})},
           Case{"UDP", DropReason::kGreBadHeader, test::udp_packet({})},
           Case{"a fragment", DropReason::kGreBadHeader, fragment},
           Case{"cut short", DropReason::kGreBadHeader, gre_packet(Family::kV4, 47, {0, 0, 8})},
           Case{"version 1", DropReason::kGreBadHeader,
                gre_packet(Family::kV4, 47, {0x20, 1, 0x88, 0x0b, 0, 0, 0, 0})},
           Case{"bad checksum", DropReason::kGreBadChecksum,
                gre_packet(Family::kV4, 47, {0x80, 0, 8, 0, 1, 2, 0, 0})},
           Case{"ARP", DropReason::kGreBadProtocol, gre_packet(Family::kV4, 47, {0, 0, 8, 6, 0, 0})},
           Case{"nothing", DropReason::kGreBadHeader, {}},
       }) {
    Bytes packet = c.packet;
    Decapsulated out;
    EXPECT_EQ(decapsulate(packet, out), c.reason) << c.what;
    if (!c.reason) {
      EXPECT_EQ(out.payload.size(), 4U) << c.what;
    }
  }
}

TEST(IsGre, AlsoFragmentsAndBehindOptions) {
  Bytes fragment(24);
  fragment[0] = 47;
  store_be16(&fragment[2], 1280);
  EXPECT_TRUE(is_gre(gre_packet(Family::kV6, 44, fragment)));
  EXPECT_TRUE(is_gre(gre_packet(Family::kV6, 60, {47, 0, 4, 1, 4, 1, 1, 0, 0, 0, 8, 0})));
  EXPECT_FALSE(is_gre(test::udp_packet({})));
  EXPECT_FALSE(is_gre(test::udp_packet({.family = Family::kV6})));
  EXPECT_FALSE(is_gre({}));
}

// Builds the same delivery packet from what was decoded.
Bytes encode_again(const Bytes& packet, const Decapsulated& decoded) {
  IpPacketInfo ip;
  EXPECT_TRUE(parse_ip(packet, ip));
  const bool v4 = ip.family == Family::kV4;
  const std::size_t ip_size = ip.header_size;
  Bytes out(ip_size + decoded.header.size + decoded.payload.size());
  if (!decoded.payload.empty()) {
    std::memcpy(out.data() + ip_size + decoded.header.size, decoded.payload.data(), decoded.payload.size());
  }
  const std::uint16_t id = v4 ? load_be16(&packet[4]) : std::uint16_t{0};
  const std::uint32_t flow_label = v4 ? 0 : load_be32(packet.data()) & 0xfffff;
  const TunnelConfig config{.local = decoded.source,
                            .remote = decoded.destination,
                            .key = decoded.header.key,
                            .ttl = ip.hop_limit,
                            .dont_fragment = v4 && ip.dont_fragment};
  const Encapsulation encapsulation(config);
  const std::size_t payload = out.size() - encapsulation.header_size();
  encapsulation.write(out.data(), payload, decoded.protocol, decoded.ds_field, id, flow_label);
  // Options that Encapsulation does not have: the header codec writes them over it.
  encode(decoded.header, out.data() + ip_size);
  if (decoded.header.checksum) write_checksum(std::span(out).subspan(ip_size));
  return out;
}

TEST(GreCaptures, EveryPacketIsDecodedAndEncodedToTheSameBytes) {
  std::size_t same = 0;
  std::size_t with_options = 0;
  std::size_t reassembled = 0;
  for (const auto& path : test::gre_captures()) {
    SCOPED_TRACE(path.filename().string());
    const bool has_options = path.string().find("default") != std::string::npos ||
                             path.string().find("encaplimit") != std::string::npos;
    IpReassembly reassembly;
    std::size_t in_file = 0;
    for (Bytes packet : test::read_pcap(path)) {
      if (!is_gre(packet)) continue;
      IpPacketInfo ip;
      ASSERT_TRUE(parse_ip(packet, ip));
      if (ip.is_fragment) {
        const auto result = reassembly.add(packet, TimePoint{});
        ASSERT_FALSE(result.drop);
        if (result.packet.empty()) continue;
        packet.assign(result.packet.begin(), result.packet.end());
        ++reassembled;
      }
      Decapsulated out;
      ASSERT_FALSE(decapsulate(packet, out));
      ++in_file;
      const bool tap = path.string().find("gretap") != std::string::npos;
      EXPECT_EQ(out.protocol == kProtocolEthernet, tap);
      EXPECT_EQ(out.header.key.has_value(), path.string().find("key") != std::string::npos ||
                                                path.string().find("gretap4-1500") != std::string::npos ||
                                                path.string().find("encaplimit") != std::string::npos);
      EXPECT_EQ(out.header.checksum, path.string().find("csum") != std::string::npos);
      EXPECT_EQ(out.header.sequence.has_value(), path.string().find("seq") != std::string::npos);
      if (has_options) {
        // The option itself is never sent: what is left without it must still be the same.
        packet.erase(packet.begin() + 40, packet.begin() + 48);
        packet[6] = 47;
        store_be16(&packet[4], static_cast<std::uint16_t>(packet.size() - 40));
        ASSERT_FALSE(decapsulate(packet, out));
        ++with_options;
      }
      EXPECT_EQ(encode_again(packet, out), packet);
      ++same;
    }
    EXPECT_GT(in_file, 0U);
    EXPECT_EQ(reassembly.pending(), 0U);
  }
  EXPECT_GT(same, 300U);
  EXPECT_GT(with_options, 20U);
  EXPECT_GT(reassembled, 15U);
}

}  // namespace
}  // namespace greywire::gre
