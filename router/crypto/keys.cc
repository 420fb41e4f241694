#include "router/crypto/keys.h"

#include <fmt/format.h>

namespace greywire {

namespace {

constexpr std::size_t kBase64Size = 44;
constexpr std::size_t kHexSize = 64;

}  // namespace

Result<void> parse_key_base64(KeyBytes& out, std::string_view text, std::string_view what) {
  KeyBytes bytes{};
  const WipeOnExit wiper(bytes);
  std::size_t size = 0;
  const char* end = nullptr;
  if (text.size() != kBase64Size ||
      sodium_base642bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &size, &end,
                        sodium_base64_VARIANT_ORIGINAL) != 0 ||
      size != kKeySize || end != text.data() + text.size())
    return Error{fmt::format("not a {}: expected 44 characters of base64, as `wg genkey` prints them", what)};
  out = bytes;
  return {};
}

Result<void> parse_key_hex(KeyBytes& out, std::string_view text, std::string_view what) {
  KeyBytes bytes{};
  const WipeOnExit wiper(bytes);
  std::size_t size = 0;
  const char* end = nullptr;
  if (text.size() != kHexSize ||
      sodium_hex2bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &size, &end) != 0 ||
      size != kKeySize || end != text.data() + text.size())
    return Error{fmt::format("not a {}: expected 64 hexadecimal digits", what)};
  out = bytes;
  return {};
}

std::string key_to_base64(std::span<const std::uint8_t, kKeySize> key) {
  std::string text(kBase64Size + 1, '\0');  // libsodium also writes the terminator
  sodium_bin2base64(text.data(), text.size(), key.data(), key.size(), sodium_base64_VARIANT_ORIGINAL);
  text.resize(kBase64Size);
  return text;
}

std::string key_to_hex(std::span<const std::uint8_t, kKeySize> key) {
  std::string text(kHexSize + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), key.data(), key.size());
  text.resize(kHexSize);
  return text;
}

Result<PublicKey> PublicKey::from_base64(std::string_view text) {
  KeyBytes bytes{};
  if (auto parsed = parse_key_base64(bytes, text, "public key"); !parsed) return parsed.error();
  return PublicKey(bytes);
}

Result<PublicKey> PublicKey::from_hex(std::string_view text) {
  KeyBytes bytes{};
  if (auto parsed = parse_key_hex(bytes, text, "public key"); !parsed) return parsed.error();
  return PublicKey(bytes);
}

PrivateKey clamp(const PrivateKey& key) {
  PrivateKey clamped = key;
  auto bytes = clamped.writable_bytes();
  bytes[0] &= 248;
  bytes[31] = static_cast<std::uint8_t>((bytes[31] & 127) | 64);
  return clamped;
}

}  // namespace greywire
