// Handshakes under load: a token bucket a source, 20 a second with a burst of 5, by IPv4 address or IPv6 /64.
// The table is bounded: when it is full of fresh entries, new sources are refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "router/base/ip_address.h"
#include "router/base/time.h"

namespace greywire::wireguard {

class HandshakeRateLimiter {
 public:
  static constexpr std::size_t kMaxSources = 16384;
  static constexpr Duration kTokenTime = std::chrono::milliseconds(50);
  static constexpr Duration kBurst = 5 * kTokenTime;
  static constexpr Duration kForgetAfter = std::chrono::seconds(1);

  // True when this source may be answered now.
  bool admit(const IpAddress& source, TimePoint now);
  std::size_t sources() const { return buckets_.size(); }

 private:
  struct Bucket {
    Duration credit;
    TimePoint updated;
  };
  void forget_idle(TimePoint now);

  std::unordered_map<Prefix, Bucket> buckets_;
  TimePoint next_sweep_{};
};

// What one address and port may ask for: `burst` at once, then one each `interval`. A device needs a few handshakes a
// minute, so whoever asks for more is a flood and costs us no more than this look. Buckets are fixed in number (8 bytes
// each, from the first use on) and shared by sources whose hash is the same; the hash is keyed, so that nobody can aim at
// another's bucket. One thread.
class EndpointLimiter {
 public:
  EndpointLimiter(std::uint64_t seed, Duration interval, unsigned burst, std::size_t buckets)
      : seed_(seed), interval_(interval), slack_(interval * (burst - 1)), buckets_(buckets) {}
  bool admit(const Endpoint& source, TimePoint now);

 private:
  const std::uint64_t seed_;
  const Duration interval_;
  const Duration slack_;
  const std::size_t buckets_;
  std::vector<TimePoint> paid_until_;
};

}  // namespace greywire::wireguard
