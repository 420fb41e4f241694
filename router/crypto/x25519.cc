#include "router/crypto/x25519.h"

#include "router/crypto/sodium_ready.h"

namespace greywire {

PublicKey derive_public_key(const PrivateKey& key) {
  PublicKey result;
  if (key.is_zero()) return result;
  sodium_ready();
  crypto_scalarmult_base(result.data(), key.data());
  return result;
}

PrivateKey generate_private_key(RandomSource& random) {
  PrivateKey key;
  random.fill(key.writable_bytes());
  return clamp(key);
}

bool x25519(SharedSecret& out, const PrivateKey& key, const PublicKey& peer) {
  sodium_ready();
  // The library refuses low-order points by a list before it multiplies; the result is checked all the same.
  const bool computed = crypto_scalarmult(out.data(), key.data(), peer.data()) == 0;
  if (computed && !out.is_zero()) return true;
  out.clear();
  return false;
}

}  // namespace greywire
