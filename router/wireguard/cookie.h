// mac1, mac2 and cookies (whitepaper §5.4.4, §5.4.7, §5.3): MessageAuthenticator is the sender's half for one peer,
// CookieChecker the receiver's for this device. Protocol thread only. `message` is always the whole datagram.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "router/base/ip_address.h"
#include "router/base/random_source.h"
#include "router/base/time.h"
#include "router/crypto/blake2s.h"
#include "router/crypto/keys.h"
#include "router/wireguard/messages.h"

namespace greywire::wireguard {

class MessageAuthenticator {
 public:
  void set_remote(const PublicKey& remote);
  // Fills mac1 and, while a cookie is fresh, mac2.
  void add_macs(std::span<std::uint8_t> message, TimePoint now);
  // False when the reply does not authenticate or answers no message of ours.
  bool consume_cookie_reply(std::span<const std::uint8_t, kCookieReplySize> message, TimePoint now);

 private:
  Hash mac1_key_{};
  Hash cookie_key_{};
  std::optional<Mac> last_mac1_;
  Mac cookie_{};
  std::optional<TimePoint> cookie_received_;
};

// Whether a message was made for a key: public work, so any thread may do it, and nothing changes it.
class Mac1Checker {
 public:
  Mac1Checker() = default;  // for no key at all
  explicit Mac1Checker(const PublicKey& own);
  bool valid(std::span<const std::uint8_t> message) const;  // at least both macs long

 private:
  Hash key_{};
};

class CookieChecker {
 public:
  void set_own_key(const PublicKey& own);
  bool mac1_valid(std::span<const std::uint8_t> message) const { return mac1_.valid(message); }
  // The cookie binds the source's address and port. Renews the secret every 120 s.
  bool mac2_valid(std::span<const std::uint8_t> message, const Endpoint& source, TimePoint now, RandomSource& random);
  // `sender_index` is that of the message which is answered.
  void create_cookie_reply(std::span<const std::uint8_t> message, std::uint32_t sender_index, const Endpoint& source,
                           TimePoint now, RandomSource& random, std::span<std::uint8_t, kCookieReplySize> reply);

 private:
  Mac cookie_for(const Endpoint& source, TimePoint now, RandomSource& random);

  Mac1Checker mac1_;
  Hash cookie_key_{};
  Hash secret_{};
  std::optional<TimePoint> secret_made_;
};

}  // namespace greywire::wireguard
