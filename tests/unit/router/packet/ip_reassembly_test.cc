#include "router/packet/ip_reassembly.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "router/packet/ip_fragment.h"
#include "tests/unit/router/packet/packets.h"

namespace greywire {
namespace {

using namespace std::chrono_literals;
using test::Bytes;
using test::PacketSpec;

constexpr TimePoint kStart{1000s};

std::vector<Bytes> fragments(const Bytes& packet, std::uint32_t mtu, std::uint32_t id = 1) {
  FragmentPlan plan;
  EXPECT_TRUE(plan_fragments(packet, Mtu{mtu}, plan, DontFragment::kIgnore, id));
  std::vector<Bytes> out;
  for (std::size_t i = 0; i < plan.count; ++i) {
    out.emplace_back(plan.fragment_size(i));
    write_fragment(plan, packet, i, out.back().data());
  }
  return out;
}

Bytes packet_of(Family family, std::size_t payload, std::uint16_t id = 7, std::uint8_t host = 1) {
  std::mt19937_64 random(id);
  return test::udp_packet({.family = family,
                           .host = host,
                           .payload = test::random_bytes(random, payload),
                           .id = id,
                           .dont_fragment = false});
}

// A fragment by hand: `field` is the offset in bytes, and 1 for "more".
Bytes piece(Family family, std::size_t offset, std::size_t size, bool more, std::uint8_t fill = 0xaa) {
  const PacketSpec spec{.family = family, .id = 7, .dont_fragment = false};
  if (family == Family::kV6) {
    Bytes upper(8 + size, fill);
    upper[0] = 17;
    upper[1] = 0;
    store_be16(&upper[2], static_cast<std::uint16_t>(offset | (more ? 1U : 0U)));
    store_be32(&upper[4], 1);
    return test::ip_packet(spec, 44, upper);
  }
  Bytes p = test::ip_packet(spec, 17, Bytes(size, fill));
  store_be16(&p[6], static_cast<std::uint16_t>(offset / 8 | (more ? 0x2000U : 0U)));
  return p;
}

TEST(IpReassembly, EveryOrderOfThreeFragments) {
  for (const Family family : {Family::kV4, Family::kV6}) {
    const Bytes packet = packet_of(family, 3000);
    const auto parts = fragments(packet, 1420);
    ASSERT_EQ(parts.size(), 3U);
    std::vector<std::size_t> order = {0, 1, 2};
    IpReassembly reassembly;
    do {
      for (std::size_t i = 0; i < 3; ++i) {
        const auto result = reassembly.add(parts[order[i]], kStart);
        EXPECT_FALSE(result.drop);
        if (i < 2) {
          EXPECT_TRUE(result.packet.empty());
        } else {
          EXPECT_EQ(Bytes(result.packet.begin(), result.packet.end()), packet);
        }
      }
      EXPECT_EQ(reassembly.pending(), 0U);
      EXPECT_EQ(reassembly.pending_bytes(), 0U);
      EXPECT_EQ(reassembly.next_expiry(), kNever);
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST(IpReassembly, RandomSizesOrdersAndInterleaving) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  IpReassembly reassembly({.bytes = 4 << 20, .datagrams = 32});
  for (int round = 0; round < 100; ++round) {
    std::vector<std::string> packets;
    std::vector<Bytes> parts;
    for (std::uint16_t i = 0; i < 8; ++i) {
      const Family family = random() % 2 ? Family::kV4 : Family::kV6;
      const Bytes packet = packet_of(family, 1500 + random() % (round % 10 == 0 ? 63000 : 8000), i);
      packets.push_back(test::as_string(packet));
      for (auto& f : fragments(packet, static_cast<std::uint32_t>(1280 + random() % 221), i))
        parts.push_back(f);
    }
    std::shuffle(parts.begin(), parts.end(), random);
    std::vector<std::string> out;
    for (const auto& f : parts) {
      const auto result = reassembly.add(f, kStart);
      ASSERT_FALSE(result.drop);
      if (!result.packet.empty()) out.push_back(test::as_string(result.packet));
    }
    std::sort(packets.begin(), packets.end());
    std::sort(out.begin(), out.end());
    ASSERT_EQ(out, packets);
  }
}

TEST(IpReassembly, ExactDuplicatesAreTolerated) {
  const Bytes packet = packet_of(Family::kV4, 3000);
  const auto parts = fragments(packet, 1420);
  IpReassembly reassembly;
  for (const std::size_t i : {0U, 0U, 2U, 2U}) {
    const auto result = reassembly.add(parts[i], kStart);
    EXPECT_FALSE(result.drop);
    EXPECT_TRUE(result.packet.empty());
  }
  const auto result = reassembly.add(parts[1], kStart);
  EXPECT_EQ(Bytes(result.packet.begin(), result.packet.end()), packet);
}

TEST(IpReassembly, AnOverlapDropsTheWholeDatagramAndWhatStillComes) {
  struct Case {
    std::size_t offset, size;
    bool more;
  };
  for (const Family family : {Family::kV4, Family::kV6}) {
    for (const Case& c :
         {Case{0, 16, true}, Case{8, 16, true}, Case{16, 8, true}, Case{24, 64, false}, Case{0, 64, true}}) {
      IpReassembly reassembly;
      EXPECT_FALSE(reassembly.add(piece(family, 8, 24, true), kStart).drop);
      const auto hit = reassembly.add(piece(family, c.offset, c.size, c.more), kStart);
      EXPECT_EQ(hit.drop, DropReason::kFragmentOverlap) << c.offset;
      EXPECT_EQ(hit.dropped_with, 1U);
      EXPECT_EQ(reassembly.pending_bytes(), 0U);
      const auto late = reassembly.add(piece(family, 128, 8, true), kStart + 900ms);
      EXPECT_EQ(late.drop, DropReason::kFragmentOverlap);
      EXPECT_EQ(late.dropped_with, 0U);
      // After the timeout the identification is free again.
      EXPECT_FALSE(reassembly.add(piece(family, 0, 8, true), kStart + 1s).drop);
      const auto done = reassembly.add(piece(family, 8, 8, false), kStart + 1s);
      EXPECT_FALSE(done.packet.empty());
    }
  }
}

TEST(IpReassembly, ImpossibleFragments) {
  IpReassembly reassembly;
  struct Case {
    const char* what;
    Bytes packet;
  };
  for (const Case& c :
       {Case{"no fragment", test::udp_packet({})},
        Case{"no IPv6 fragment", test::udp_packet({.family = Family::kV6})}, Case{"nothing", {}},
        Case{"more to come, no multiple of 8", piece(Family::kV4, 0, 9, true)},
        Case{"more to come, no multiple of 8", piece(Family::kV6, 0, 9, true)},
        Case{"empty", piece(Family::kV4, 8, 0, false)}, Case{"empty", piece(Family::kV6, 8, 0, false)},
        Case{"beyond 65535", piece(Family::kV4, 65504, 16, false)},
        Case{"beyond 65535", piece(Family::kV6, 65528, 16, false)},
        Case{"Fragment header cut short", test::ip_packet({.family = Family::kV6}, 44, Bytes(7))}}) {
    EXPECT_EQ(reassembly.add(c.packet, kStart).drop, DropReason::kFragmentBad) << c.what;
  }
  EXPECT_EQ(reassembly.pending(), 0U);
}

TEST(IpReassembly, ContradictionsAboutTheEnd) {
  struct Case {
    const char* what;
    Bytes first, second;
  };
  for (const Family family : {Family::kV4, Family::kV6}) {
    for (const Case& c :
         {Case{"data beyond the end", piece(family, 8, 8, false), piece(family, 16, 8, true)},
          Case{"two ends", piece(family, 8, 8, false), piece(family, 24, 8, false)},
          Case{"an end before data", piece(family, 64, 8, true), piece(family, 8, 8, false)},
          Case{"the same bytes, last and not last", piece(family, 8, 8, false), piece(family, 8, 8, true)},
          Case{"not last, then last", piece(family, 8, 8, true), piece(family, 8, 8, false)}}) {
      IpReassembly reassembly;
      EXPECT_FALSE(reassembly.add(c.first, kStart).drop);
      EXPECT_EQ(reassembly.add(c.second, kStart).drop, DropReason::kFragmentBad) << c.what;
      EXPECT_EQ(reassembly.pending_bytes(), 0U);
    }
  }
}

TEST(IpReassembly, TimeoutCountsEveryFragment) {
  IpReassembly reassembly({.timeout = 500ms});
  const auto parts = fragments(packet_of(Family::kV4, 3000), 1420);
  reassembly.add(parts[0], kStart);
  reassembly.add(parts[1], kStart + 400ms);
  EXPECT_EQ(reassembly.next_expiry(), kStart + 500ms);
  EXPECT_EQ(reassembly.expire(kStart + 499ms).timed_out, 0U);
  const auto result = reassembly.add(parts[2], kStart + 500ms);
  EXPECT_EQ(result.timed_out, 2U);
  EXPECT_FALSE(result.drop);
  EXPECT_EQ(reassembly.pending(), 1U);
  EXPECT_EQ(reassembly.expire(kStart + 2s).timed_out, 1U);
  EXPECT_EQ(reassembly.pending(), 0U);
}

TEST(IpReassembly, TheOldestMakesRoom) {
  IpReassembly reassembly({.bytes = 64 * 1024, .datagrams = 4});
  std::vector<std::vector<Bytes>> parts;
  for (std::uint16_t i = 0; i < 5; ++i) parts.push_back(fragments(packet_of(Family::kV4, 2000, i), 1420));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(reassembly.add(parts[i][0], kStart + i * 1ms).evicted, 0U);
  EXPECT_EQ(reassembly.add(parts[4][0], kStart + 5ms).evicted, 1U);
  EXPECT_EQ(reassembly.pending(), 4U);
  EXPECT_TRUE(reassembly.add(parts[0][1], kStart + 6ms).packet.empty());  // evicts the next
  EXPECT_FALSE(reassembly.add(parts[2][1], kStart + 7ms).packet.empty());
}

TEST(IpReassembly, BytesAreBounded) {
  IpReassembly reassembly({.bytes = 8 * 2048, .datagrams = 64});
  std::size_t evicted = 0;
  for (std::uint16_t i = 0; i < 64; ++i) {
    const auto result =
        reassembly.add(fragments(packet_of(Family::kV6, 3000, i), 1420, i)[0], kStart + i * 1ms);
    EXPECT_FALSE(result.drop);
    evicted += result.evicted;
    EXPECT_LE(reassembly.pending_bytes(), 8 * 2048U);
  }
  EXPECT_EQ(evicted, 56U);
  // One packet that needs more than there is.
  EXPECT_EQ(reassembly.add(piece(Family::kV4, 20000, 8, true), kStart + 100ms).drop,
            DropReason::kFragmentMemory);
}

TEST(IpReassembly, CountlessTinyFragmentsAreCutOff) {
  IpReassembly reassembly;
  std::optional<DropReason> drop;
  std::size_t taken = 0;
  for (; taken < 1000 && !drop; ++taken)
    drop = reassembly.add(piece(Family::kV4, taken * 8, 8, true), kStart).drop;
  EXPECT_EQ(drop, DropReason::kFragmentMemory);
  EXPECT_EQ(taken, 65U);
}

TEST(IpReassembly, ProtocolIsPartOfIpv4sKeyAddressesOfBoth) {
  IpReassembly reassembly;
  Bytes other = piece(Family::kV4, 8, 8, false);
  other[9] = 6;
  EXPECT_FALSE(reassembly.add(piece(Family::kV4, 0, 8, true), kStart).drop);
  EXPECT_TRUE(reassembly.add(other, kStart).packet.empty());
  EXPECT_EQ(reassembly.pending(), 2U);
  Bytes host = piece(Family::kV6, 8, 8, false);
  host[23] = 9;
  EXPECT_FALSE(reassembly.add(piece(Family::kV6, 0, 8, true), kStart).drop);
  EXPECT_TRUE(reassembly.add(host, kStart).packet.empty());
  EXPECT_EQ(reassembly.pending(), 4U);
}

TEST(IpReassembly, AtomicFragmentsStandAlone) {
  IpReassembly reassembly;
  EXPECT_FALSE(reassembly.add(piece(Family::kV6, 0, 8, true), kStart).drop);
  const auto result = reassembly.add(piece(Family::kV6, 0, 24, false), kStart);
  ASSERT_EQ(result.packet.size(), 64U);
  EXPECT_EQ(result.packet[6], 17);
  EXPECT_EQ(load_be16(&result.packet[4]), 24);
  EXPECT_EQ(reassembly.pending(), 1U);
}

TEST(IpReassembly, EcnOfRfc3168) {
  struct Case {
    std::uint8_t first, second;
    std::optional<std::uint8_t> whole;
  };
  for (const Case& c : {Case{0, 0, 0}, Case{2, 2, 2}, Case{2, 3, 3}, Case{3, 1, 3}, Case{3, 3, 3},
                        Case{0, 3, std::nullopt}}) {
    for (const Family family : {Family::kV4, Family::kV6}) {
      IpReassembly reassembly;
      Bytes first = piece(family, 0, 8, true);
      Bytes second = piece(family, 8, 8, false);
      IpPacketInfo ip;
      ASSERT_TRUE(parse_ip(first, ip));
      set_ds_field(first, ip, c.first);
      set_ds_field(second, ip, c.second);
      reassembly.add(first, kStart);
      const auto result = reassembly.add(second, kStart);
      if (!c.whole) {
        EXPECT_EQ(result.drop, DropReason::kFragmentBad);
        EXPECT_EQ(result.dropped_with, 1U);
        continue;
      }
      ASSERT_TRUE(parse_ip(result.packet, ip));
      EXPECT_EQ(ip.ds_field, *c.whole);
      if (family == Family::kV4) {
        EXPECT_TRUE(test::ipv4_checksum_right({result.packet.begin(), result.packet.end()}));
      }
    }
  }
}

TEST(IpReassembly, EachLostFragmentHasOneReason) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  IpReassembly reassembly({.bytes = 16 * 2048, .datagrams = 8, .timeout = 50ms});
  DropCounters drops;
  std::uint64_t handed_in = 0;
  std::uint64_t delivered = 0;
  TimePoint now = kStart;
  for (int i = 0; i < 20000; ++i) {
    const auto offset = random() % 6 * 8;
    Bytes p = piece(random() % 2 ? Family::kV4 : Family::kV6, offset, 8 + random() % 2 * 8,
                    offset < 24 || random() % 2);
    p[p[0] == 0x45 ? 5 : 47] = static_cast<std::uint8_t>(random() % 16);
    now += 1ms;
    const auto result = reassembly.add(p, now);
    result.count(drops);
    ++handed_in;
    delivered += result.fragments;
  }
  const auto rest = reassembly.expire(now + 1s);
  rest.count(drops);
  EXPECT_EQ(reassembly.pending(), 0U);
  EXPECT_EQ(reassembly.pending_bytes(), 0U);
  std::uint64_t lost = 0;
  for (std::size_t i = 0; i < kDropReasonCount; ++i) lost += drops.get(static_cast<DropReason>(i));
  EXPECT_GT(delivered, 0U);
  EXPECT_GT(drops.get(DropReason::kFragmentOverlap), 0U);
  EXPECT_GT(drops.get(DropReason::kFragmentTimeout), 0U);
  EXPECT_EQ(lost + delivered, handed_in);
}

}  // namespace
}  // namespace greywire
