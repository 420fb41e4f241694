// A second, tiny Noise IKpsk2 (Noise Protocol Framework, revision 34, §5, §7.5 and §9) straight out of
// OpenSSL's BLAKE2s and libsodium's X25519 and ChaCha20-Poly1305, with any prologue, psk and payload. It
// shares no code with the router.
#pragma once

#include <openssl/evp.h>
#include <sodium.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace greywire::reference {

using Bytes = std::vector<std::uint8_t>;

inline Bytes cat(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const auto& p : parts) out.insert(out.end(), p.begin(), p.end());
  return out;
}
inline Bytes bytes(std::string_view text) {
  return {text.begin(), text.end()};
}
inline Bytes slice(const Bytes& b, std::size_t from, std::size_t size) {
  if (from + size > b.size()) throw std::out_of_range("a message cut short");
  return {b.begin() + static_cast<std::ptrdiff_t>(from),
          b.begin() + static_cast<std::ptrdiff_t>(from + size)};
}

inline Bytes hash(const Bytes& input) {
  Bytes out(32);
  unsigned size = 0;
  if (EVP_Digest(input.data(), input.size(), out.data(), &size, EVP_blake2s256(), nullptr) != 1 ||
      size != 32) {
    throw std::runtime_error("no BLAKE2s");
  }
  return out;
}
inline Bytes hmac(Bytes key, const Bytes& input) {
  key.resize(64);
  Bytes inner(64), outer(64);
  for (std::size_t i = 0; i < 64; ++i) {
    inner[i] = key[i] ^ 0x36;
    outer[i] = key[i] ^ 0x5c;
  }
  return hash(cat({outer, hash(cat({inner, input}))}));
}
// Output number `n` (from 1) of the HKDF.
inline Bytes hkdf(const Bytes& key, const Bytes& input, std::uint8_t n) {
  const Bytes secret = hmac(key, input);
  Bytes last;
  for (std::uint8_t i = 1; i <= n; ++i) last = hmac(secret, cat({last, {i}}));
  return last;
}
inline Bytes public_key(const Bytes& secret) {
  Bytes out(32);
  if (crypto_scalarmult_base(out.data(), secret.data()) != 0) throw std::runtime_error("X25519");
  return out;
}
inline Bytes dh(const Bytes& secret, const Bytes& other) {
  Bytes out(32);
  if (crypto_scalarmult(out.data(), secret.data(), other.data()) != 0) throw std::runtime_error("X25519");
  return out;
}
inline Bytes nonce(std::uint64_t counter) {
  Bytes n(12);
  for (std::size_t i = 0; i < 8; ++i) n[4 + i] = static_cast<std::uint8_t>(counter >> (8 * i));
  return n;
}
inline Bytes seal(const Bytes& key, std::uint64_t counter, const Bytes& plain, const Bytes& ad) {
  Bytes out(plain.size() + 16);
  crypto_aead_chacha20poly1305_ietf_encrypt(out.data(), nullptr, plain.data(), plain.size(), ad.data(),
                                            ad.size(), nullptr, nonce(counter).data(), key.data());
  return out;
}
inline Bytes open(const Bytes& key, std::uint64_t counter, const Bytes& cipher, const Bytes& ad) {
  if (cipher.size() < 16) throw std::runtime_error("too short");
  Bytes out(cipher.size() - 16);
  if (crypto_aead_chacha20poly1305_ietf_decrypt(out.data(), nullptr, nullptr, cipher.data(), cipher.size(),
                                                ad.data(), ad.size(), nonce(counter).data(),
                                                key.data()) != 0) {
    throw std::runtime_error("does not authenticate");
  }
  return out;
}

// Both roles of IKpsk2; each call appends or consumes what Noise sends, nothing of WireGuard's framing.
class IkPsk2 {
 public:
  Bytes h, ck, key;
  Bytes secret, ephemeral, psk = Bytes(32), remote_static, remote_ephemeral;

  IkPsk2(const Bytes& prologue, const Bytes& responder_static) {
    h = hash(bytes("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"));
    ck = h;
    mix_hash(prologue);
    mix_hash(responder_static);
  }

  Bytes write_initiation(const Bytes& payload) {
    const Bytes e = public_key(ephemeral);
    token_e(e);
    mix_dh(dh(ephemeral, remote_static));
    const Bytes s = encrypt(public_key(secret));
    mix_dh(dh(secret, remote_static));
    return cat({e, s, encrypt(payload)});
  }
  Bytes read_initiation(const Bytes& message) {
    remote_ephemeral = slice(message, 0, 32);
    token_e(remote_ephemeral);
    mix_dh(dh(secret, remote_ephemeral));
    remote_static = decrypt(slice(message, 32, 48));
    mix_dh(dh(secret, remote_static));
    return decrypt(slice(message, 80, message.size() - 80));
  }
  Bytes write_response(const Bytes& payload) {
    const Bytes e = public_key(ephemeral);
    token_e(e);
    mix_dh(dh(ephemeral, remote_ephemeral));
    mix_dh(dh(ephemeral, remote_static));
    mix_psk();
    return cat({e, encrypt(payload)});
  }
  Bytes read_response(const Bytes& message) {
    remote_ephemeral = slice(message, 0, 32);
    token_e(remote_ephemeral);
    mix_dh(dh(ephemeral, remote_ephemeral));
    mix_dh(dh(secret, remote_ephemeral));
    mix_psk();
    return decrypt(slice(message, 32, message.size() - 32));
  }
  Bytes key_to_responder() const { return hkdf(ck, {}, 1); }
  Bytes key_to_initiator() const { return hkdf(ck, {}, 2); }

 private:
  void mix_hash(const Bytes& b) { h = hash(cat({h, b})); }
  void mix_dh(const Bytes& shared) {
    key = hkdf(ck, shared, 2);
    ck = hkdf(ck, shared, 1);
  }
  void token_e(const Bytes& e) {  // §9.2: with a psk, the ephemeral key is mixed into the chaining key too
    mix_hash(e);
    mix_dh(e);
  }
  void mix_psk() {
    const Bytes tau = hkdf(ck, psk, 2);
    key = hkdf(ck, psk, 3);
    ck = hkdf(ck, psk, 1);
    mix_hash(tau);
  }
  Bytes encrypt(const Bytes& plain) {
    const Bytes out = seal(key, 0, plain, h);
    mix_hash(out);
    return out;
  }
  Bytes decrypt(const Bytes& cipher) {
    const Bytes out = open(key, 0, cipher, h);
    mix_hash(cipher);
    return out;
  }
};

}  // namespace greywire::reference
