#include "router/allowed_ips/prefix_set.h"

#include <algorithm>

#include "router/base/byte_order.h"

namespace greywire {

PrefixSet::PrefixSet(std::span<const Prefix> prefixes) {
  for (const Prefix& prefix : prefixes) {
    const std::uint8_t* bytes = prefix.address().data();
    const unsigned length = prefix.length();
    if (prefix.family() == Family::kV4) {
      const std::uint32_t first = load_be32(bytes);
      v4_.push_back({first, length == 32 ? first : first | ~std::uint32_t{0} >> length});
    } else {
      const Address128 first{load_be64(bytes), load_be64(bytes + 8)};
      Address128 last = first;
      if (length < 64) {
        last.high |= ~std::uint64_t{0} >> length;
        last.low = ~std::uint64_t{0};
      } else if (length < 128) {
        last.low |= ~std::uint64_t{0} >> (length - 64);
      }
      v6_.push_back({first, last});
    }
  }
  merge(v4_);
  merge(v6_);
}

// Prefixes nest or are disjoint: after sorting, what ends inside the range before it is covered by it.
template <class Address>
void PrefixSet::merge(std::vector<Range<Address>>& ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.last > b.last;
  });
  std::size_t kept = 0;
  for (const auto& range : ranges) {
    if (kept != 0 && range.last <= ranges[kept - 1].last) continue;
    ranges[kept++] = range;
  }
  ranges.resize(kept);
  ranges.shrink_to_fit();
}

template <class Address>
bool PrefixSet::covered(const std::vector<Range<Address>>& ranges, const Address& address) noexcept {
  const auto after =
      std::upper_bound(ranges.begin(), ranges.end(), address,
                       [](const Address& a, const Range<Address>& range) { return a < range.first; });
  return after != ranges.begin() && address <= std::prev(after)->last;
}

bool PrefixSet::contains(const std::uint8_t* address, Family family) const noexcept {
  if (family == Family::kV4) return covered(v4_, load_be32(address));
  return covered(v6_, Address128{load_be64(address), load_be64(address + 8)});
}

std::size_t PrefixSet::memory_bytes() const {
  return v4_.capacity() * sizeof(Range<std::uint32_t>) + v6_.capacity() * sizeof(Range<Address128>);
}

}  // namespace greywire
