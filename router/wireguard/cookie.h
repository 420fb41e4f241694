// mac1, mac2 and cookies (whitepaper §5.4.4, §5.4.7, §5.3): MessageAuthenticator is the sender's half for one peer,
// ReceiverKeys and CookieChecker the receiver's for this device. One thread each. `message` is always the whole datagram.
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

// What messages to a device are made with, from its public key: nothing secret, and nothing changes it.
class ReceiverKeys {
 public:
  ReceiverKeys() = default;  // for no key at all
  explicit ReceiverKeys(const PublicKey& own);
  // Whether a message was made for this key; it is at least both macs long.
  bool mac1_valid(std::span<const std::uint8_t> message) const;
  const Hash& cookie_key() const { return cookie_key_; }

 private:
  Hash mac1_key_{};
  Hash cookie_key_{};
};

class CookieChecker {
 public:
  // The cookie binds the source's address and port.
  bool mac2_valid(std::span<const std::uint8_t> message, const Endpoint& source, TimePoint now) const;
  // `sender_index` is that of the message which is answered. Renews the secret every 120 s.
  void create_cookie_reply(const ReceiverKeys& keys, std::span<const std::uint8_t> message, std::uint32_t sender_index,
                           const Endpoint& source, TimePoint now, RandomSource& random,
                           std::span<std::uint8_t, kCookieReplySize> reply);

 private:
  Mac cookie_for(const Endpoint& source) const;
  bool secret_fresh(TimePoint now) const;

  Hash secret_{};
  std::optional<TimePoint> secret_made_;
};

}  // namespace greywire::wireguard
