// Key types. All are 32 bytes and none converts into another; an all-zero key means "none".
//
// Secret keys wipe themselves when they are destroyed, assigned over or moved from, compare in constant time,
// and turn into text only through functions that say so. They may be copied: configuration and status need
// it. The strings that reveal_*() return are ordinary memory; whoever asks for one wipes it.
//
// Text forms: base64 as `wg` prints it (44 characters, RFC 4648 §4, padded) and 64 hexadecimal digits (either
// case) as the cross-platform UAPI has it. Anything else, surrounding space included, is an Error that never
// quotes the text. Values: no shared state, any thread.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "router/base/result.h"
#include "router/crypto/constant_time.h"
#include "router/crypto/wipe.h"

namespace greywire {

inline constexpr std::size_t kKeySize = 32;  // bytes
using KeyBytes = std::array<std::uint8_t, kKeySize>;

// The text codecs behind the key types. `what` names the kind of key in the error. Constant-time over the
// bytes.
Result<void> parse_key_base64(KeyBytes& out, std::string_view text, std::string_view what);
Result<void> parse_key_hex(KeyBytes& out, std::string_view text, std::string_view what);
std::string key_to_base64(std::span<const std::uint8_t, kKeySize> key);
std::string key_to_hex(std::span<const std::uint8_t, kKeySize> key);  // lower case

class PublicKey {
 public:
  constexpr PublicKey() = default;  // all zero
  explicit PublicKey(std::span<const std::uint8_t, kKeySize> bytes) {
    std::memcpy(value_.data(), bytes.data(), kKeySize);
  }
  static Result<PublicKey> from_base64(std::string_view text);
  static Result<PublicKey> from_hex(std::string_view text);
  static PublicKey from_bytes(std::span<const std::uint8_t, kKeySize> bytes) { return PublicKey(bytes); }

  std::string to_base64() const { return key_to_base64(value_); }
  std::string to_hex() const { return key_to_hex(value_); }
  std::span<const std::uint8_t, kKeySize> bytes() const { return value_; }
  std::span<std::uint8_t, kKeySize> writable_bytes() { return value_; }
  const std::uint8_t* data() const { return value_.data(); }
  std::uint8_t* data() { return value_.data(); }
  bool is_zero() const { return constant_time_is_zero(value_); }

  friend auto operator<=>(const PublicKey&, const PublicKey&) = default;

 private:
  KeyBytes value_{};
};

struct PrivateKeyTag {
  static constexpr std::string_view kName = "private key";
};
struct PresharedKeyTag {
  static constexpr std::string_view kName = "preshared key";
};
struct SymmetricKeyTag {
  static constexpr std::string_view kName = "symmetric key";
};
struct SharedSecretTag {
  static constexpr std::string_view kName = "shared secret";
};

template <class Tag>
class SecretKey {
 public:
  SecretKey() = default;  // all zero
  explicit SecretKey(std::span<const std::uint8_t, kKeySize> bytes) {
    std::memcpy(value_.data(), bytes.data(), kKeySize);
  }
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  SecretKey(SecretKey&& other) noexcept : value_(other.value_) { other.clear(); }
  SecretKey& operator=(SecretKey&& other) noexcept {
    if (this != &other) {
      value_ = other.value_;
      other.clear();
    }
    return *this;
  }
  ~SecretKey() { clear(); }

  static Result<SecretKey> from_base64(std::string_view text) { return parse(text, parse_key_base64); }
  static Result<SecretKey> from_hex(std::string_view text) { return parse(text, parse_key_hex); }
  static SecretKey from_bytes(std::span<const std::uint8_t, kKeySize> bytes) { return SecretKey(bytes); }

  std::string reveal_base64() const { return key_to_base64(value_); }
  std::string reveal_hex() const { return key_to_hex(value_); }
  std::span<const std::uint8_t, kKeySize> bytes() const { return value_; }
  std::span<std::uint8_t, kKeySize> writable_bytes() { return value_; }
  const std::uint8_t* data() const { return value_.data(); }
  std::uint8_t* data() { return value_.data(); }
  bool is_zero() const { return constant_time_is_zero(value_); }
  void clear() noexcept { wipe(value_.data(), kKeySize); }

  friend bool operator==(const SecretKey& a, const SecretKey& b) {
    return constant_time_equal(a.value_, b.value_);
  }

 private:
  template <class Parser>
  static Result<SecretKey> parse(std::string_view text, Parser parser) {
    SecretKey key;
    if (auto parsed = parser(key.value_, text, Tag::kName); !parsed) return parsed.error();
    return key;
  }

  KeyBytes value_{};
};

using PrivateKey = SecretKey<PrivateKeyTag>;      // X25519
using PresharedKey = SecretKey<PresharedKeyTag>;  // Noise psk2
using SymmetricKey = SecretKey<SymmetricKeyTag>;  // ChaCha20-Poly1305
using SharedSecret = SecretKey<SharedSecretTag>;  // the result of X25519

// RFC 7748 §5 decodeScalar25519. X25519 itself clamps a copy; stored keys are clamped so that what `wg` reads
// back is what the kernel would show.
PrivateKey clamp(const PrivateKey& key);

}  // namespace greywire

template <>
struct std::hash<greywire::PublicKey> {
  std::size_t operator()(const greywire::PublicKey& key) const noexcept {
    return std::hash<std::string_view>{}({reinterpret_cast<const char*>(key.data()), greywire::kKeySize});
  }
};
