// An immutable set of prefixes that answers only "is this address covered": a peer's source ceiling.
//
// Built once into sorted, disjoint address ranges; a lookup is a binary search. Ceilings are a few prefixes
// long, where this is a handful of comparisons in one cache line; it stays under 20 steps for 10^6.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "router/base/ip_address.h"

namespace greywire {

// Values; const functions from any thread.
class PrefixSet {
 public:
  PrefixSet() = default;  // covers nothing
  explicit PrefixSet(std::span<const Prefix> prefixes);

  // `address` in network order: 4 or 16 bytes, any alignment. No allocation, no lock.
  bool contains(const std::uint8_t* address, Family family) const noexcept;
  bool contains(const IpAddress& address) const noexcept {
    return contains(address.data(), address.family());
  }
  bool empty() const { return v4_.empty() && v6_.empty(); }
  std::size_t memory_bytes() const;

 private:
  struct Address128 {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    friend auto operator<=>(const Address128&, const Address128&) = default;
  };
  template <class Address>
  struct Range {
    Address first;
    Address last;  // inclusive
    friend auto operator<=>(const Range&, const Range&) = default;
  };
  template <class Address>
  static void merge(std::vector<Range<Address>>& ranges);
  template <class Address>
  static bool covered(const std::vector<Range<Address>>& ranges, const Address& address) noexcept;

  std::vector<Range<std::uint32_t>> v4_;
  std::vector<Range<Address128>> v6_;
};

}  // namespace greywire
