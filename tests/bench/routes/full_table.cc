#include "full_table.h"

#include <array>
#include <unordered_set>

namespace greywire::bench {
namespace {

// Lengths and how many of a thousand have them.
struct Share {
  unsigned length;
  unsigned permille;
};
constexpr std::array<Share, 9> kV4{{{24, 600}, {23, 105}, {22, 115}, {21, 52}, {20, 46}, {19, 27}, {18, 15}, {17, 10}, {16, 30}}};
constexpr std::array<Share, 9> kV6{{{48, 470}, {44, 90}, {40, 95}, {36, 60}, {32, 120}, {47, 40}, {46, 50}, {42, 35}, {29, 40}}};

unsigned pick_length(const std::array<Share, 9>& shares, std::mt19937_64& random) {
  auto left = static_cast<unsigned>(random() % 1000);
  for (const Share& share : shares) {
    if (left < share.permille) return share.length;
    left -= share.permille;
  }
  return shares.back().length;
}

IpAddress v6_from(std::uint64_t high, std::uint64_t low) {
  std::array<std::uint8_t, 16> bytes;
  for (unsigned i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  return IpAddress::v6(bytes);
}

// Inside a block of a registry: 1.0.0.0 to 223.255.255.255 in /13s of uneven fill, 2000::/4 in /20s.
IpAddress random_address(Family family, std::mt19937_64& random) {
  if (family == Family::kV4) {
    std::uint32_t block = 0;
    do {
      block = static_cast<std::uint32_t>(random() % (223U << 5)) + (1U << 5);
    } while (block >> 5 == 127 || block >> 5 == 169);  // never routed
    return IpAddress::v4(block << 19 | static_cast<std::uint32_t>(random() & 0x7ffff));
  }
  const std::uint64_t block = random() % 2000;
  const std::uint64_t high = 0x2ULL << 60 | (block * 0x9e37 & 0xffff) << 44 | (random() & 0xfff'ffff'ffffULL);
  return v6_from(high, 0);
}

void fill(Family family, std::size_t count, std::uint32_t peers, std::mt19937_64& random, std::vector<TableEntry>& out) {
  std::unordered_set<Prefix> seen;
  const auto& shares = family == Family::kV4 ? kV4 : kV6;
  while (seen.size() < count) {
    // A holder's block: some of it is announced in neighbouring parts, by one peer mostly.
    const auto holder = static_cast<std::uint32_t>(random() % peers);
    const unsigned length = pick_length(shares, random);
    Prefix prefix(random_address(family, random), length);
    const std::size_t run = 1 + random() % 8;
    for (std::size_t i = 0; i < run && seen.size() < count; ++i) {
      if (seen.insert(prefix).second) {
        out.push_back({prefix, random() % 10 == 0 ? static_cast<std::uint32_t>(random() % peers) : holder});
      }
      if (family == Family::kV4) {
        prefix = Prefix(IpAddress::v4(prefix.address().v4_host_order() + (1U << (32 - length))), length);
        const auto first = prefix.address().v4_host_order() >> 24;
        if (first >= 224 || first == 127 || first == 169) break;
      } else {
        auto bytes = prefix.address().bytes();
        std::uint64_t high = 0;
        for (unsigned b = 0; b < 8; ++b) high = high << 8 | bytes[b];
        prefix = Prefix(v6_from(high + (std::uint64_t{1} << (64 - length)), 0), length);
      }
    }
  }
}

}  // namespace

std::vector<TableEntry> make_full_table(std::size_t v4, std::size_t v6, std::uint32_t peers, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<TableEntry> table;
  table.reserve(v4 + v6);
  fill(Family::kV4, v4, peers, random, table);
  fill(Family::kV6, v6, peers, random, table);
  return table;
}

IpAddress address_in(const Prefix& prefix, std::mt19937_64& random) {
  std::array<std::uint8_t, 16> bytes{};
  const auto fixed = prefix.address().bytes();
  for (unsigned i = 0; i < fixed.size(); ++i) {
    const unsigned bits = prefix.length() <= 8 * i ? 0 : std::min(8U, prefix.length() - 8 * i);
    const auto mask = static_cast<std::uint8_t>(bits == 0 ? 0 : 0xffU << (8 - bits));
    bytes[i] = static_cast<std::uint8_t>((fixed[i] & mask) | (random() & 0xffU & ~mask));
  }
  return prefix.family() == Family::kV4 ? IpAddress::v4(std::span(bytes).first<4>()) : IpAddress::v6(bytes);
}

IpAddress next_hop_v4(std::uint32_t peer) { return IpAddress::v4(0x64400001U + peer); }  // 100.64.0.1 on

IpAddress next_hop_v6(std::uint32_t peer) { return v6_from(0xfd00025500000000ULL, peer + 1); }

}  // namespace greywire::bench
