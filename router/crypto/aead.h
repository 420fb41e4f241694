// ChaCha20-Poly1305 (RFC 8439 §2.8) of transport data, over batches: empty AAD, nonce = 4 zero bytes and the
// counter, little-endian (whitepaper §5.4.6). Counters are the caller's: one counter is sealed under one key
// once.
//
// An Aead holds the contexts of its provider and belongs to one thread (making one allocates, using one does
// not). Nothing of a key stays in it after a call beyond what the provider keeps in its context, and that is
// wiped at destruction. Nothing fails but authentication.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "router/crypto/keys.h"

namespace greywire {

inline constexpr std::size_t kTagSize = 16;  // bytes

// `size` bytes of plaintext at `in` (0 is allowed: a keepalive) become `size` bytes of ciphertext at `out`
// and the tag at `out + size`. `in` equals `out`, or the two do not overlap; nor does anything of one job overlap the `out` of
// another. Any alignment.
//
// A plaintext may lie in two places: its first `head` bytes at `out` already, the rest from `in + head` on, so that headers can be
// put in front of what is somewhere else. `head` is a multiple of kSealUnit. Of the rest, the last `padding` bytes are zeros that
// lie nowhere: nothing is read there.
inline constexpr std::size_t kSealUnit = 64;
struct SealJob {
  std::uint64_t counter = 0;
  const std::uint8_t* in = nullptr;
  std::uint8_t* out = nullptr;
  std::uint32_t size = 0;
  std::uint16_t head = 0;     // at most size - padding
  std::uint16_t padding = 0;  // below kSealUnit
};

// `size` bytes of ciphertext at `in` with the tag at `in + size` become `size` bytes of plaintext at `out`.
// Where the tag is wrong, `ok` is false and the `size` bytes at `out` are zeros. The same rule about overlap.
struct OpenJob {
  std::uint64_t counter = 0;
  const std::uint8_t* in = nullptr;
  std::uint8_t* out = nullptr;
  std::uint32_t size = 0;
  bool ok = false;        // result
  std::uint64_t sum = 0;  // result of open_and_sum(); means nothing where `ok` is false
};

class Aead {
 public:
  virtual ~Aead() = default;
  virtual std::string_view name() const = 0;  // "libsodium", "openssl", "ipsec-mb", "avx512"
  virtual void seal(const SymmetricKey& key, std::span<const SealJob> jobs) = 0;
  virtual void open(const SymmetricKey& key, std::span<OpenJob> jobs) = 0;
  // As open(), and where it costs little, the Internet checksum's running sum of each plaintext (router/packet/checksum.h, which
  // defines what it is); 0 where it is not known, which a plaintext that is not all zeros never has.
  virtual void open_and_sum(const SymmetricKey& key, std::span<OpenJob> jobs) {
    for (OpenJob& job : jobs) job.sum = 0;
    open(key, jobs);
  }
  // Whether a run of so many plaintexts of so many bytes is sealed as fast from two places as from one; else each is brought
  // together first.
  virtual bool gathers([[maybe_unused]] std::size_t packets, [[maybe_unused]] std::size_t size) const { return false; }
};

enum class AeadProvider : std::uint8_t { kSodium, kOpenSsl, kIpsecMb, kAvx512 };

std::string_view aead_provider_name(AeadProvider provider);

// What this build has and this CPU can do; libsodium always. The order is that of the enumeration.
std::vector<AeadProvider> available_aeads();

// Throws std::runtime_error for a provider that is not available (start-up only).
std::unique_ptr<Aead> make_aead(AeadProvider provider);

// The fastest here: seals batches of 64 B and of 1,420 B with each for a few milliseconds. At start, once.
// The only function of this folder that reads a clock.
AeadProvider measure_best_aead();

}  // namespace greywire
