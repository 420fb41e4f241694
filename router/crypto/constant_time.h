// Comparisons of secrets and tags whose time does not depend on the bytes, only on the sizes.
#pragma once

#include <sodium.h>

#include <cstdint>
#include <span>

namespace greywire {

// False at once where the sizes differ: sizes are public.
[[nodiscard]] inline bool constant_time_equal(std::span<const std::uint8_t> a,
                                              std::span<const std::uint8_t> b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

[[nodiscard]] inline bool constant_time_is_zero(std::span<const std::uint8_t> bytes) {
  return sodium_is_zero(bytes.data(), bytes.size()) == 1;
}

}  // namespace greywire
