// The AEADs of handshake messages and cookie replies: ChaCha20-Poly1305 with additional data and a counter
// nonce (whitepaper §5.4: AEAD), XChaCha20-Poly1305 with a 24-byte nonce (XAEAD). Any thread; no allocation.
//
// seal: `out` takes in.size() + 16 bytes, exactly. open: `in` ends in the tag, `out` takes in.size() - 16
// bytes, exactly; false, with `out` all zero, when it does not authenticate. A wrong size is also false, and
// seals nothing. `in` and `out` are the same memory from the start, or do not overlap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace greywire {

inline constexpr std::size_t kXNonceSize = 24;  // bytes

inline constexpr std::size_t kNonceSize = 12;  // bytes

using KeySpan = std::span<const std::uint8_t, 32>;
using Nonce = std::span<const std::uint8_t, kNonceSize>;
using XNonce = std::span<const std::uint8_t, kXNonceSize>;

// With the whole nonce; the counter forms below put 4 zero bytes and the little-endian counter into it.
bool aead_seal(std::span<std::uint8_t> out, KeySpan key, Nonce nonce, std::span<const std::uint8_t> in,
               std::span<const std::uint8_t> additional);
[[nodiscard]] bool aead_open(std::span<std::uint8_t> out, KeySpan key, Nonce nonce,
                             std::span<const std::uint8_t> in, std::span<const std::uint8_t> additional);

bool aead_seal(std::span<std::uint8_t> out, KeySpan key, std::uint64_t counter,
               std::span<const std::uint8_t> in, std::span<const std::uint8_t> additional);
[[nodiscard]] bool aead_open(std::span<std::uint8_t> out, KeySpan key, std::uint64_t counter,
                             std::span<const std::uint8_t> in, std::span<const std::uint8_t> additional);

bool xaead_seal(std::span<std::uint8_t> out, KeySpan key, XNonce nonce, std::span<const std::uint8_t> in,
                std::span<const std::uint8_t> additional);
[[nodiscard]] bool xaead_open(std::span<std::uint8_t> out, KeySpan key, XNonce nonce,
                              std::span<const std::uint8_t> in, std::span<const std::uint8_t> additional);

}  // namespace greywire
