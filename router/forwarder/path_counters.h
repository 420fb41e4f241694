// What path MTU enforcement did to packets, for `greywire mtu`. One writer a counter set (a worker); anybody may read.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace greywire {

enum class PathEvent : std::uint8_t {
  kTooBigSent,        // ICMP Fragmentation Needed or Packet Too Big to a sender inside
  kTooBigSuppressed,  // ... that the rate limit kept back
  kFragmented,        // packets cut into fragments
  kFragmentsSent,
  kMssClamped,        // SYNs whose MSS was lowered, both ways
};
inline constexpr std::size_t kPathEventCount = 5;

inline std::string_view path_event_name(PathEvent event) {
  constexpr std::array<std::string_view, kPathEventCount> kNames = {"too_big_sent", "too_big_suppressed", "fragmented",
                                                                    "fragments_sent", "mss_clamped"};
  return kNames[static_cast<std::size_t>(event)];
}

class PathCounters {
 public:
  void count(PathEvent event, std::uint64_t times = 1) {
    auto& c = counts_[static_cast<std::size_t>(event)];
    c.store(c.load(std::memory_order_relaxed) + times, std::memory_order_relaxed);
  }
  std::uint64_t get(PathEvent event) const {
    return counts_[static_cast<std::size_t>(event)].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, kPathEventCount> counts_{};
};

}  // namespace greywire
