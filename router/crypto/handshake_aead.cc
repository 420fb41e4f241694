#include "router/crypto/handshake_aead.h"

#include <array>

#include "router/base/byte_order.h"
#include "router/crypto/aead.h"
#include "router/crypto/sodium_ready.h"
#include "router/crypto/wipe.h"

namespace greywire {

namespace {

std::array<std::uint8_t, kNonceSize> counter_nonce(std::uint64_t counter) {
  std::array<std::uint8_t, kNonceSize> nonce{};
  store_le64(nonce.data() + 4, counter);
  return nonce;
}

bool give_up(std::span<std::uint8_t> out) {
  if (!out.empty()) wipe(out.data(), out.size());
  return false;
}

}  // namespace

bool aead_seal(std::span<std::uint8_t> out, KeySpan key, Nonce nonce, std::span<const std::uint8_t> in,
               std::span<const std::uint8_t> additional) {
  if (out.size() != in.size() + kTagSize) return false;
  sodium_ready();
  crypto_aead_chacha20poly1305_ietf_encrypt(out.data(), nullptr, in.data(), in.size(), additional.data(),
                                            additional.size(), nullptr, nonce.data(), key.data());
  return true;
}

bool aead_open(std::span<std::uint8_t> out, KeySpan key, Nonce nonce, std::span<const std::uint8_t> in,
               std::span<const std::uint8_t> additional) {
  if (in.size() < kTagSize || out.size() != in.size() - kTagSize) return give_up(out);
  sodium_ready();
  if (crypto_aead_chacha20poly1305_ietf_decrypt(out.data(), nullptr, nullptr, in.data(), in.size(),
                                                additional.data(), additional.size(), nonce.data(),
                                                key.data()) == 0)
    return true;
  return give_up(out);
}

bool aead_seal(std::span<std::uint8_t> out, KeySpan key, std::uint64_t counter,
               std::span<const std::uint8_t> in, std::span<const std::uint8_t> additional) {
  return aead_seal(out, key, Nonce(counter_nonce(counter)), in, additional);
}

bool aead_open(std::span<std::uint8_t> out, KeySpan key, std::uint64_t counter,
               std::span<const std::uint8_t> in, std::span<const std::uint8_t> additional) {
  return aead_open(out, key, Nonce(counter_nonce(counter)), in, additional);
}

bool xaead_seal(std::span<std::uint8_t> out, KeySpan key, XNonce nonce, std::span<const std::uint8_t> in,
                std::span<const std::uint8_t> additional) {
  if (out.size() != in.size() + kTagSize) return false;
  sodium_ready();
  crypto_aead_xchacha20poly1305_ietf_encrypt(out.data(), nullptr, in.data(), in.size(), additional.data(),
                                             additional.size(), nullptr, nonce.data(), key.data());
  return true;
}

bool xaead_open(std::span<std::uint8_t> out, KeySpan key, XNonce nonce, std::span<const std::uint8_t> in,
                std::span<const std::uint8_t> additional) {
  if (in.size() < kTagSize || out.size() != in.size() - kTagSize) return give_up(out);
  sodium_ready();
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(out.data(), nullptr, nullptr, in.data(), in.size(),
                                                 additional.data(), additional.size(), nonce.data(),
                                                 key.data()) == 0)
    return true;
  return give_up(out);
}

}  // namespace greywire
