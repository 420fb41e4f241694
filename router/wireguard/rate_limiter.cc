#include "router/wireguard/rate_limiter.h"

#include <algorithm>

namespace greywire::wireguard {

bool HandshakeRateLimiter::admit(const IpAddress& source, TimePoint now) {
  if (now >= next_sweep_) forget_idle(now);
  const Prefix key(source, source.is_v4() ? 32 : 64);
  auto it = buckets_.find(key);
  if (it == buckets_.end()) {
    if (buckets_.size() >= kMaxSources) return false;
    buckets_.emplace(key, Bucket{kBurst - kTokenTime, now});
    return true;
  }
  auto& bucket = it->second;
  bucket.credit = std::min(bucket.credit + (now - bucket.updated), kBurst);
  bucket.updated = now;
  if (bucket.credit < kTokenTime) return false;
  bucket.credit -= kTokenTime;
  return true;
}

bool EndpointLimiter::admit(const Endpoint& source, TimePoint now) {
  std::uint64_t hash = seed_ ^ source.port;
  for (const std::uint8_t byte : source.address.bytes()) {
    hash = (hash ^ byte) * 0x9e3779b97f4a7c15ULL;
    hash ^= hash >> 29;
  }
  if (paid_until_.empty()) paid_until_.resize(buckets_);
  TimePoint& paid_until = paid_until_[hash % buckets_];
  if (paid_until > now + slack_) return false;
  paid_until = std::max(paid_until, now) + interval_;
  return true;
}

void HandshakeRateLimiter::forget_idle(TimePoint now) {
  std::erase_if(buckets_, [&](const auto& entry) { return now - entry.second.updated > kForgetAfter; });
  next_sweep_ = now + kForgetAfter;
}

}  // namespace greywire::wireguard
