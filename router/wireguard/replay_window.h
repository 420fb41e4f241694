// Which transport counters of a session were seen: a ring of bits after RFC 6479. A word of the ring is always being
// retired, so the window accepts counters down to kWindow below the highest one seen.
// Wider than WireGuard's usual 8192: routing traffic overtakes bulk here and at the sender, and what it passed must not look
// too old. Some 13,000 full datagrams fit into the buffers that it passes: see open_underlay().
// Not thread-safe: the session's lock is held around a batch. Only counters of packets that authenticated go in.
#pragma once

#include <array>
#include <cstdint>

#include "router/wireguard/constants.h"

namespace greywire::wireguard {

class ReplayWindow {
 public:
  static constexpr std::uint64_t kBits = 32768;
  static constexpr std::uint64_t kWindow = kBits - 64;

  // True when `counter` is new: it is marked then. False for a repeat, one too old, or one past Reject-After-Messages.
  bool accept(std::uint64_t counter) {
    if (counter >= kRejectAfterMessages) return false;
    // Shifted by one so that 0 means "nothing seen yet".
    const std::uint64_t seq = counter + 1;
    if (next_ > kWindow + 1 && seq < next_ - kWindow - 1) return false;
    const std::uint64_t word = seq / 64;
    if (seq >= next_) {
      const std::uint64_t top = next_ == 0 ? 0 : (next_ - 1) / 64;
      const std::uint64_t steps = word - top < kWords ? word - top : kWords;
      for (std::uint64_t i = 1; i <= steps; ++i) bits_[(top + i) % kWords] = 0;
      next_ = seq + 1;
    }
    const std::uint64_t mask = std::uint64_t{1} << (seq % 64);
    std::uint64_t& bits = bits_[word % kWords];
    if (bits & mask) return false;
    bits |= mask;
    return true;
  }

 private:
  static constexpr std::uint64_t kWords = kBits / 64;
  std::uint64_t next_ = 0;  // one past the highest sequence seen
  std::array<std::uint64_t, kWords> bits_{};
};

}  // namespace greywire::wireguard
