// Randomness is handed in, so that simulations repeat. The daemon's source is the kernel's.
#pragma once

#include <cstdint>
#include <span>

namespace greywire {

class RandomSource {
 public:
  virtual ~RandomSource() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;

  std::uint32_t next_u32() {
    std::uint8_t bytes[4];
    fill(bytes);
    return static_cast<std::uint32_t>(bytes[0] | bytes[1] << 8 | bytes[2] << 16) | static_cast<std::uint32_t>(bytes[3]) << 24;
  }
};

}  // namespace greywire
