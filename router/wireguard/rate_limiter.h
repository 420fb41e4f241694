// Handshakes under load: a token bucket a source, 20 a second with a burst of 5, by IPv4 address or IPv6 /64.
// The table is bounded: when it is full of fresh entries, new sources are refused.
#pragma once

#include <cstdint>
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

// Cookie replies: who floods from one address and port is answered now and then only, so that the flood does not turn
// into work and traffic of ours. Buckets are fixed in number and shared by sources whose hash is the same; the hash is
// keyed, so that nobody can aim at another's bucket.
class CookieReplyLimiter {
 public:
  static constexpr std::size_t kBuckets = 4096;
  static constexpr Duration kReplyTime = std::chrono::milliseconds(20);
  static constexpr Duration kBurst = 10 * kReplyTime;

  explicit CookieReplyLimiter(std::uint64_t seed) : seed_(seed), paid_until_(kBuckets) {}
  bool admit(const Endpoint& source, TimePoint now);

 private:
  const std::uint64_t seed_;
  std::vector<TimePoint> paid_until_;
};

}  // namespace greywire::wireguard
