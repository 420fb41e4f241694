// Comparisons of secrets and tags whose time does not depend on the bytes, only on the sizes.
#pragma once

#include <sodium.h>

#include <cstdint>
#include <span>

#include "router/base/byte_order.h"

namespace greywire {

// Of a fixed size, inline: a packet's tag. Nothing branches on a byte before all have been looked at.
template <std::size_t kSize>
[[nodiscard]] inline bool constant_time_equal(std::span<const std::uint8_t, kSize> a, std::span<const std::uint8_t, kSize> b)
requires(kSize != std::dynamic_extent && kSize % 8 == 0)
{
  std::uint64_t difference = 0;
  for (std::size_t at = 0; at < kSize; at += 8) difference |= load_le64(a.data() + at) ^ load_le64(b.data() + at);
  return difference == 0;
}

// False at once where the sizes differ: sizes are public.
[[nodiscard]] inline bool constant_time_equal(std::span<const std::uint8_t> a,
                                              std::span<const std::uint8_t> b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

[[nodiscard]] inline bool constant_time_is_zero(std::span<const std::uint8_t> bytes) {
  return sodium_is_zero(bytes.data(), bytes.size()) == 1;
}

}  // namespace greywire
