// What stands before the handshakes of a device: a datagram that is no transport data gets through when it is well-formed,
// was made for our key (mac1) and, while the device is under load, brings the cookie of its source (mac2) and its
// source is within its limit (whitepaper §5.3, §5.4.7). All of it costs a fraction of a microsecond and needs nothing
// of the device but its public key, so whoever receives datagrams has a gate of its own and a flood ends there.
//
// A source meets the same gate as long as its address and port stay the same; the secret behind its cookie is the gate's
// own. One thread, no input or output.
#pragma once

#include <cstdint>
#include <span>

#include "router/base/drop_reason.h"
#include "router/base/ip_address.h"
#include "router/base/random_source.h"
#include "router/base/time.h"
#include "router/wireguard/cookie.h"
#include "router/wireguard/rate_limiter.h"

namespace greywire::wireguard {

class HandshakeGate {
 public:
  enum class Outcome {
    kDropped,      // counted
    kInitiation,   // lets it through: from anybody
    kProven,       // lets it through: an initiation from an address that was proven by its cookie
    kAnswer,       // lets it through: a response or cookie reply
    kCookieReply,  // counted as dropped; `reply` is to be sent to its source
  };

  HandshakeGate(RandomSource& random, DropCounters& drops);

  // `under_load` is the caller's view of the queue behind the gate; what follows from it lingers for a second.
  // A message may be made for any of `keys`.
  Outcome judge(std::span<const std::uint8_t> datagram, const Endpoint& from, std::span<const ReceiverKeys> keys, bool under_load,
                TimePoint now, std::span<std::uint8_t, kCookieReplySize> reply);

 private:
  Outcome drop(DropReason reason) {
    drops_.count(reason);
    return Outcome::kDropped;
  }

  RandomSource& random_;
  DropCounters& drops_;
  EndpointLimiter message_limiter_;
  EndpointLimiter cookie_limiter_;
  HandshakeRateLimiter rate_limiter_;
  CookieChecker cookies_;
  TimePoint under_load_until_{};
};

}  // namespace greywire::wireguard
