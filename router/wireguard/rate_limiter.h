// Handshakes under load: a token bucket a source, 20 a second with a burst of 5, by IPv4 address or IPv6 /64.
// The table is bounded: when it is full of fresh entries, new sources are refused.
#pragma once

#include <cstdint>
#include <unordered_map>

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

}  // namespace greywire::wireguard
