#include "router/wireguard/cookie.h"

#include <algorithm>
#include <cstring>

#include "router/crypto/constant_time.h"
#include "router/crypto/handshake_aead.h"
#include "router/wireguard/constants.h"

namespace greywire::wireguard {
namespace {

Hash labelled_key(const char (&label)[9], const PublicKey& key) {
  return blake2s_hash({reinterpret_cast<const std::uint8_t*>(label), 8}, key.bytes());
}

constexpr char kLabelMac1[] = "mac1----";
constexpr char kLabelCookie[] = "cookie--";

std::size_t mac1_offset(std::size_t size) { return size - 2 * kMacSize; }
std::size_t mac2_offset(std::size_t size) { return size - kMacSize; }

Mac mac1_of(const Hash& key, std::span<const std::uint8_t> message) {
  return blake2s_mac16(key, message.first(mac1_offset(message.size())));
}

Mac mac2_of(const Mac& cookie, std::span<const std::uint8_t> message) {
  return blake2s_mac16(cookie, message.first(mac2_offset(message.size())));
}

}  // namespace

void MessageAuthenticator::set_remote(const PublicKey& remote) {
  mac1_key_ = labelled_key(kLabelMac1, remote);
  cookie_key_ = labelled_key(kLabelCookie, remote);
  last_mac1_.reset();
  cookie_received_.reset();
}

void MessageAuthenticator::add_macs(std::span<std::uint8_t> message, TimePoint now) {
  const Mac mac1 = mac1_of(mac1_key_, message);
  std::copy(mac1.begin(), mac1.end(), message.begin() + static_cast<std::ptrdiff_t>(mac1_offset(message.size())));
  last_mac1_ = mac1;
  if (!cookie_received_ || now - *cookie_received_ >= kCookieSecretLifetime - kCookieMargin) return;
  const Mac mac2 = mac2_of(cookie_, message);
  std::copy(mac2.begin(), mac2.end(), message.begin() + static_cast<std::ptrdiff_t>(mac2_offset(message.size())));
}

bool MessageAuthenticator::consume_cookie_reply(std::span<const std::uint8_t, kCookieReplySize> message,
                                                TimePoint now) {
  if (!last_mac1_) return false;
  Mac cookie;
  if (!xaead_open(cookie, cookie_key_, message.subspan<cookie_reply::kNonce, kXNonceSize>(),
                  message.subspan<cookie_reply::kCookie, kMacSize + kTagSize>(), *last_mac1_)) {
    return false;
  }
  cookie_ = cookie;
  cookie_received_ = now;
  last_mac1_.reset();
  return true;
}

ReceiverKeys::ReceiverKeys(const PublicKey& own)
    : mac1_key_(labelled_key(kLabelMac1, own)), cookie_key_(labelled_key(kLabelCookie, own)) {}

bool ReceiverKeys::mac1_valid(std::span<const std::uint8_t> message) const {
  const Mac expected = mac1_of(mac1_key_, message);
  return constant_time_equal(expected, message.subspan(mac1_offset(message.size()), kMacSize));
}

bool CookieChecker::secret_fresh(TimePoint now) const {
  return secret_made_ && now - *secret_made_ < kCookieSecretLifetime;
}

bool CookieChecker::mac2_valid(std::span<const std::uint8_t> message, const Endpoint& source, TimePoint now) const {
  constexpr Mac kNone{};
  const auto mac2 = message.subspan(mac2_offset(message.size()), kMacSize);
  if (!secret_fresh(now) || std::equal(kNone.begin(), kNone.end(), mac2.begin())) return false;
  const Mac expected = mac2_of(cookie_for(source), message);
  return constant_time_equal(expected, mac2);
}

void CookieChecker::create_cookie_reply(const ReceiverKeys& keys, std::span<const std::uint8_t> message,
                                        std::uint32_t sender_index, const Endpoint& source, TimePoint now,
                                        RandomSource& random, std::span<std::uint8_t, kCookieReplySize> reply) {
  if (!secret_fresh(now)) {
    random.fill(secret_);
    secret_made_ = now;
  }
  std::memset(reply.data(), 0, reply.size());
  store_type(reply.data(), MessageType::kCookieReply);
  store_le32(reply.data() + cookie_reply::kReceiver, sender_index);
  random.fill(reply.subspan(cookie_reply::kNonce, kXNonceSize));
  const Mac cookie = cookie_for(source);
  xaead_seal(reply.subspan(cookie_reply::kCookie, kMacSize + kTagSize), keys.cookie_key(),
             reply.subspan<cookie_reply::kNonce, kXNonceSize>(), cookie,
             message.subspan(mac1_offset(message.size()), kMacSize));
}

Mac CookieChecker::cookie_for(const Endpoint& source) const {
  std::array<std::uint8_t, 18> address{};
  const auto bytes = source.address.bytes();
  std::copy(bytes.begin(), bytes.end(), address.begin());
  store_be16(address.data() + bytes.size(), source.port);
  return blake2s_mac16(secret_, std::span(address).first(bytes.size() + 2));
}

}  // namespace greywire::wireguard
