// BLAKE2s (RFC 7693) plain, keyed and incremental, HMAC-BLAKE2s (RFC 2104) and the HKDF of WireGuard
// (whitepaper §5.4: HASH, MAC, HMAC, KDFn). Everything that saw a secret is wiped. Any thread; no allocation;
// nothing fails.
//
// The implementation is our own, portable and small: libsodium has only BLAKE2b, and OpenSSL 3 has BLAKE2s
// unkeyed with an allocation and a provider lookup a digest. The mac1 of a forged initiation must be cheaper
// than receiving it: keep a keyed Blake2s and copy it, then the key's block is already done.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "router/crypto/keys.h"
#include "router/crypto/wipe.h"

namespace greywire {

inline constexpr std::size_t kBlake2sHashSize = 32;  // bytes
inline constexpr std::size_t kBlake2sBlockSize = 64;
inline constexpr std::size_t kMacSize = 16;  // mac1, mac2 and the cookie

using Hash = std::array<std::uint8_t, kBlake2sHashSize>;
using Mac = std::array<std::uint8_t, kMacSize>;

// Values: a copy goes on by itself from where the original stood.
class Blake2s {
 public:
  // `output_size` 1..32 bytes, `key` 0..32 bytes; longer is cut.
  explicit Blake2s(std::size_t output_size = kBlake2sHashSize, std::span<const std::uint8_t> key = {});
  Blake2s(const Blake2s&) = default;
  Blake2s& operator=(const Blake2s&) = default;
  ~Blake2s() { clear(); }

  Blake2s& update(std::span<const std::uint8_t> bytes);
  // Writes min(out.size(), output size) bytes and wipes the state: update() after it is meaningless.
  void finish(std::span<std::uint8_t> out);

 private:
  void compress(const std::uint8_t* block, std::uint32_t count, bool last);
  void clear() { wipe(this->state_), wipe(this->buffer_); }

  std::array<std::uint32_t, 8> state_;
  std::uint64_t counted_ = 0;  // bytes compressed
  std::uint32_t buffered_ = 0;
  std::uint32_t output_size_;
  std::array<std::uint8_t, kBlake2sBlockSize> buffer_{};
};

// HASH(a || b || c): the parts of a Noise transcript without a copy.
Hash blake2s_hash(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b = {},
                  std::span<const std::uint8_t> c = {});
// MAC: keyed BLAKE2s with 16 bytes of output. `key` 1..32 bytes.
Mac blake2s_mac16(std::span<const std::uint8_t> key, std::span<const std::uint8_t> input);
// HMAC with BLAKE2s-256. A key over 64 bytes is hashed first.
Hash hmac_blake2s(std::span<const std::uint8_t> key, std::span<const std::uint8_t> input);

// KDFn(key, input): n outputs of 32 bytes. Outputs may be the memory of `key` or `input`: they are written
// last.
using KdfOutput = std::span<std::uint8_t, kBlake2sHashSize>;
void kdf1(KdfOutput t1, std::span<const std::uint8_t> key, std::span<const std::uint8_t> input);
void kdf2(KdfOutput t1, KdfOutput t2, std::span<const std::uint8_t> key, std::span<const std::uint8_t> input);
void kdf3(KdfOutput t1, KdfOutput t2, KdfOutput t3, std::span<const std::uint8_t> key,
          std::span<const std::uint8_t> input);

}  // namespace greywire
