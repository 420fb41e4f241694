// A made-up full table: prefixes of the lengths that the internet's have, grouped as there (registries give out blocks,
// their holders announce parts), and each one's peer. The same seed gives the same table.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "router/base/ip_address.h"

namespace greywire::bench {

struct TableEntry {
  Prefix prefix;
  std::uint32_t peer = 0;  // 0 .. peers-1
};

// All of IPv4 first. No prefix twice.
std::vector<TableEntry> make_full_table(std::size_t v4, std::size_t v6, std::uint32_t peers, std::uint64_t seed);

// An address inside it, host bits at random.
IpAddress address_in(const Prefix& prefix, std::mt19937_64& random);

// The IPv4 and IPv6 next hops that mean a peer.
IpAddress next_hop_v4(std::uint32_t peer);
IpAddress next_hop_v6(std::uint32_t peer);

}  // namespace greywire::bench
