// GRE sequence numbers (RFC 2890 §2.2) of one tunnel, one object a direction.
//
// Policy for what comes in, that of the Linux kernel's `iseq`: a packet whose number is older than the last one taken,
// or equal to it, is dropped; a gap is no loss of ours to mend, so nothing is held back. "Older" is by the signed
// difference of 32 bits. Beyond the kernel: kRestart older ones in a row mean that the sender began anew, and its
// numbers are taken from there.
//
// Any thread; no locks. A tunnel's numbers leave in order because one worker reads its device (engine/worker.h).
#pragma once

#include <atomic>
#include <cstdint>

namespace greywire::gre {

// The numbers that we send.
//
// RFC 2890 has them start at 0, and has no word for a receiver that still expects the next one of the life before: a
// kernel peer with `iseq` would drop up to 2^31 packets. So the first packets carry the two numbers that lead any such
// receiver back to 0, whatever it expects, several times in case of loss; to one that expects nothing they mean nothing.
class SequenceOut {
 public:
  static constexpr std::uint64_t kLeadIn = 8;

  // The first of `count` numbers that are the caller's alone; the i-th is at(first + i).
  std::uint64_t claim(std::uint64_t count) { return next_.fetch_add(count, std::memory_order_relaxed); }
  static constexpr std::uint32_t at(std::uint64_t position) {
    if (position >= kLeadIn) return static_cast<std::uint32_t>(position - kLeadIn);
    return position % 2 == 0 ? 0x7fffffffU : 0xffffffffU;
  }
  void continue_from(const SequenceOut& old) { next_.store(old.next_.load(std::memory_order_relaxed)); }

 private:
  std::atomic<std::uint64_t> next_{0};
};

// The numbers that we are sent.
class SequenceIn {
 public:
  static constexpr unsigned kRestart = 16;

  // Whether the packet is to be taken.
  bool accept(std::uint32_t sequence) {
    std::uint64_t state = state_.load(std::memory_order_relaxed);
    for (;;) {
      const auto expected = static_cast<std::uint32_t>(state);
      const auto older = static_cast<unsigned>(state >> 32 & 0xff);
      const bool in_order = (state & kSeen) == 0 || static_cast<std::int32_t>(sequence - expected) >= 0;
      const bool taken = in_order || older + 1 >= kRestart;
      const std::uint64_t next = taken ? kSeen | std::uint32_t{sequence + 1}
                                       : kSeen | std::uint64_t{older + 1} << 32 | expected;
      if (state_.compare_exchange_weak(state, next, std::memory_order_relaxed)) return taken;
    }
  }
  void continue_from(const SequenceIn& old) { state_.store(old.state_.load(std::memory_order_relaxed)); }

 private:
  static constexpr std::uint64_t kSeen = std::uint64_t{1} << 40;
  std::atomic<std::uint64_t> state_{0};  // seen | older ones in a row, 8 bits | expected, 32 bits
};

}  // namespace greywire::gre
