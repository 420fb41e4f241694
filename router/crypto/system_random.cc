#include "router/crypto/system_random.h"

#include "router/crypto/sodium_ready.h"

namespace greywire {

void SystemRandom::fill(std::span<std::uint8_t> out) {
  sodium_ready();
  randombytes_buf(out.data(), out.size());
}

}  // namespace greywire
