#include "router/gre/tunnel.h"

#include <gtest/gtest.h>

#include "router/packet/checksum.h"
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

std::size_t payload_at(const Bytes& packet, const Decapsulated& decoded) {
  return static_cast<std::size_t>(decoded.payload.data() - packet.data());
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
        encapsulation.write(packet.data(), size, protocol,
                            {.ds_field = 0xb9, .ipv4_id = 0xbeef, .flow_label = 0x54321});
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
  for (const auto policy : {DfPolicy::kClear, DfPolicy::kSet, DfPolicy::kInherit}) {
    config.df = policy;
    for (const bool inner : {false, true}) {
      Bytes packet(24);
      Encapsulation(config).write(packet.data(), 0, kProtocolIpv4, {.dont_fragment = inner, .ipv4_id = 1});
      const bool expected = policy == DfPolicy::kSet || (policy == DfPolicy::kInherit && inner);
      EXPECT_EQ(load_be16(&packet[6]), expected ? 0x4000 : 0);
      EXPECT_TRUE(test::ipv4_checksum_right(packet));
    }
  }
}

TEST(GreTunnel, TtlIsFixedOrInherited) {
  for (const Family family : {Family::kV4, Family::kV6}) {
    for (const std::uint8_t ttl : {std::uint8_t{0}, std::uint8_t{9}}) {
      TunnelConfig config = config_of(family);
      config.ttl = ttl;
      Bytes packet(Encapsulation(config).header_size());
      Encapsulation(config).write(packet.data(), 0, kProtocolIpv4, {.ttl = 33});
      IpPacketInfo ip;
      ASSERT_TRUE(parse_ip(packet, ip));
      EXPECT_EQ(ip.hop_limit, ttl == 0 ? 33 : 9);
      if (family == Family::kV4) {
        EXPECT_TRUE(test::ipv4_checksum_right(packet));
      }
    }
  }
}

TEST(GreTunnel, EveryOptionThereAndBack) {
  std::mt19937_64 random(7);
  for (unsigned options = 0; options < 32; ++options) {
    TunnelConfig config = config_of((options & 16) != 0 ? Family::kV6 : Family::kV4);
    if (options & 1) config.key = 0xfffffffe;
    config.sequence = (options & 2) != 0;
    config.checksum = (options & 4) != 0;
    if (options & 8) config.encap_limit = 4;
    const bool limited = (options & 24) == 24;
    const Encapsulation encapsulation(config);
    ASSERT_EQ(encapsulation.header_size(), ((options & 16) != 0 ? 44U : 24U) + (options & 1) * 4U +
                                               (config.sequence ? 4U : 0U) + (config.checksum ? 4U : 0U) +
                                               (limited ? 8U : 0U));
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{777}}) {
      Bytes packet = test::random_bytes(random, encapsulation.header_size() + size);
      encapsulation.write(packet.data(), size, kProtocolIpv6, {.encap_limit = 3, .sequence = 0xcafe0000});
      if (encapsulation.has_checksum()) {
        const std::uint64_t sum = checksum_add(packet.data() + encapsulation.header_size(), size, 0);
        encapsulation.finish_checksum(packet.data(), sum);
      }
      Decapsulated out;
      ASSERT_FALSE(decapsulate(packet, out)) << options;
      EXPECT_EQ(out.payload.size(), size);
      EXPECT_EQ(out.header.key, config.key);
      EXPECT_EQ(out.header.checksum, config.checksum);
      EXPECT_EQ(out.header.sequence.value_or(0), config.sequence ? 0xcafe0000U : 0U);
      const auto limit = inner_encap_limit(packet);
      ASSERT_EQ(limit.has_value(), limited);
      if (limited) {
        EXPECT_EQ(limit->limit, 3);
        EXPECT_EQ(limit->offset, 44U);
      }
    }
  }
}

// The quick way in takes no packet that the whole one would not take, for the same tunnel and with the same payload.
TEST(GreTunnel, PlainArrivalSaysWhatDecapsulationSays) {
  std::mt19937_64 random(7);
  unsigned taken = 0;
  for (int round = 0; round < 20000; ++round) {
    TunnelConfig config = config_of(Family::kV4);
    config.ethernet = random() % 2 == 0;
    if (random() % 2 == 0) config.key = static_cast<std::uint32_t>(random() % 3);
    TunnelConfig sender = config;
    std::swap(sender.local, sender.remote);
    const Encapsulation encapsulation(sender);
    const std::size_t size = random() % 20;
    Bytes packet(encapsulation.header_size() + size, 0x45);
    const std::uint16_t protocol = config.ethernet ? kProtocolEthernet : random() % 2 == 0 ? kProtocolIpv4 : kProtocolIpv6;
    encapsulation.write(packet.data(), size, protocol, {.ipv4_id = 1});
    const PlainArrival plain(config);
    EXPECT_EQ(plain.header_size(packet), encapsulation.header_size());
    for (auto flips = random() % 3; flips > 0; --flips) {
      packet[random() % packet.size()] ^= static_cast<std::uint8_t>(1U << random() % 8);
    }
    IpPacketInfo ip;
    if (!parse_ip(packet, ip)) continue;
    packet.resize(ip.total_size);
    const std::size_t at = plain.header_size(packet);
    if (at == 0) continue;
    ++taken;
    Decapsulated out;
    ASSERT_FALSE(decapsulate(packet, out));
    EXPECT_EQ(demux_key(out), demux_key(config));
    EXPECT_EQ(payload_at(packet, out), at);
  }
  EXPECT_GT(taken, 5000U);
  for (const bool sequence : {true, false}) {
    TunnelConfig config = config_of(Family::kV4);
    (sequence ? config.sequence : config.checksum) = true;
    Bytes packet(24);
    Encapsulation(config_of(Family::kV4)).write(packet.data(), 0, kProtocolIpv4, {});
    EXPECT_EQ(PlainArrival(config).header_size(packet), 0U) << "it demands more than a plain header";
  }
}

// Four GRE headers in each other are enough, and a tunnel's own delivery packet is none of its payload at any depth.
TEST(GreTunnel, RecursionIsSeen) {
  const TunnelConfig config = config_of(Family::kV4);
  const auto wrap = [](const TunnelConfig& around, const Bytes& payload, std::uint16_t protocol) {
    const Encapsulation encapsulation(around);
    Bytes out(encapsulation.header_size());
    encapsulation.write(out.data(), payload.size(), protocol, {});
    test::append(out, payload);
    return out;
  };
  TunnelConfig other = config;
  other.remote = address("10.9.1.7");
  other.key = 1;
  other.checksum = other.sequence = true;
  Bytes packet = test::udp_packet({});
  EXPECT_FALSE(is_recursion(config, packet));
  for (unsigned depth = 1; depth <= 5; ++depth) {
    packet = wrap(other, packet, kProtocolIpv4);
    EXPECT_EQ(is_recursion(config, packet), depth >= kMaxNesting) << depth;
  }
  const Bytes own = wrap(config, test::udp_packet({}), kProtocolIpv4);
  EXPECT_TRUE(is_recursion(config, own));
  EXPECT_TRUE(is_recursion(config, wrap(other, own, kProtocolIpv4)));
  Bytes frame = test::ethernet(Family::kV4, 1);
  test::append(frame, own);
  EXPECT_TRUE(is_recursion(config, wrap(other, frame, kProtocolEthernet)));
  for (std::size_t n = 0; n < own.size(); ++n) is_recursion(config, std::span(own).first(n));
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
           Case{"version 1", DropReason::kGreBadVersion,
                gre_packet(Family::kV4, 47, {0x20, 1, 0x88, 0x0b, 0, 0, 0, 0})},
           Case{"the strict source route bit", DropReason::kGreReservedBits,
                gre_packet(Family::kV4, 47, {0x08, 0, 8, 0})},
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
// The tunnel that a packet belongs to.
TunnelConfig far_end_of(const Decapsulated& packet) {
  return {.ethernet = packet.protocol == kProtocolEthernet,
          .local = packet.destination,
          .remote = packet.source,
          .key = packet.header.key};
}

Bytes encode_again(const Bytes& packet, const Decapsulated& decoded) {
  IpPacketInfo ip;
  EXPECT_TRUE(parse_ip(packet, ip));
  const bool v4 = ip.family == Family::kV4;
  TunnelConfig config{.local = decoded.source,
                      .remote = decoded.destination,
                      .key = decoded.header.key,
                      .ttl = ip.hop_limit,
                      .df = v4 && ip.dont_fragment ? DfPolicy::kSet : DfPolicy::kClear,
                      .sequence = decoded.header.sequence.has_value(),
                      .checksum = decoded.header.checksum};
  DeliveryFields fields{.ds_field = decoded.ds_field, .sequence = decoded.header.sequence.value_or(0)};
  if (v4) {
    fields.ipv4_id = load_be16(&packet[4]);
  } else {
    fields.flow_label = load_be32(packet.data()) & 0xfffff;
    if (const auto limit = inner_encap_limit(packet)) fields.encap_limit = *(config.encap_limit = limit->limit);
  }
  const Encapsulation encapsulation(config);
  Bytes out(encapsulation.header_size() + decoded.payload.size());
  encapsulation.write(out.data(), decoded.payload.size(), decoded.protocol, fields);
  const std::uint64_t sum =
      checksum_copy(out.data() + encapsulation.header_size(), decoded.payload.data(), decoded.payload.size(), 0);
  if (encapsulation.has_checksum()) encapsulation.finish_checksum(out.data(), sum);
  return out;
}

bool ip_is_v4(const Bytes& packet) {
  return packet[0] >> 4 == 4;
}

TEST(GreCaptures, EveryPacketIsDecodedAndEncodedToTheSameBytes) {
  std::size_t same = 0;
  std::size_t with_options = 0;
  std::size_t plain = 0;
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
      EXPECT_EQ(!ip_is_v4(packet) && inner_encap_limit(packet).has_value(), has_options);
      if (has_options) ++with_options;
      EXPECT_EQ(encode_again(packet, out), packet);
      ++same;
      const bool ordinary = ip_is_v4(packet) && !out.header.checksum && !out.header.sequence;
      EXPECT_EQ(PlainArrival(far_end_of(out)).header_size(packet), ordinary ? payload_at(packet, out) : 0);
      plain += ordinary ? 1 : 0;
    }
    EXPECT_GT(in_file, 0U);
    EXPECT_EQ(reassembly.pending(), 0U);
  }
  EXPECT_GT(same, 300U);
  EXPECT_GT(with_options, 20U);
  EXPECT_GT(plain, 100U);
  EXPECT_GT(reassembled, 15U);
}

}  // namespace
}  // namespace greywire::gre
