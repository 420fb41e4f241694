// X25519 (RFC 7748 §5), by libsodium: 46 us a shared secret where OpenSSL took 56 (127 with its key objects
// made anew). Constant-time in the private key. Any thread; no allocation.
#pragma once

#include "router/base/random_source.h"
#include "router/crypto/keys.h"

namespace greywire {

PublicKey derive_public_key(const PrivateKey& key);     // of a zero key: zero
PrivateKey generate_private_key(RandomSource& random);  // clamped

// False, with `out` all zero, when the result is all zero: the public key is one of low order (RFC 7748
// §6.1), and a handshake with it must be given up.
[[nodiscard]] bool x25519(SharedSecret& out, const PrivateKey& key, const PublicKey& peer);

}  // namespace greywire
