// The providers behind make_aead(), one a source file. Each throws std::runtime_error when it cannot be made.
#pragma once

#include <memory>

#include "router/crypto/aead.h"

namespace greywire {

std::unique_ptr<Aead> make_sodium_aead();
std::unique_ptr<Aead> make_openssl_aead();

bool ipsec_mb_available();  // built in, and the CPU has what the library's fast code needs
std::unique_ptr<Aead> make_ipsec_mb_aead();

bool avx512_available();  // the CPU has AVX-512 with IFMA and VBMI2
std::unique_ptr<Aead> make_avx512_aead();

}  // namespace greywire
