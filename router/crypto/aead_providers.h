// The providers behind make_aead(), one a source file. Each throws std::runtime_error when it cannot be made.
#pragma once

#include <cstring>
#include <memory>

#include "router/crypto/aead.h"

namespace greywire {

// The plaintext of `job` in one piece, for a provider that wants it so.
inline const std::uint8_t* in_one_piece(const SealJob& job) {
  if (job.head == 0 && job.padding == 0) return job.in;
  const std::size_t text = job.size - job.padding;
  if (job.in != job.out) std::memcpy(job.out + job.head, job.in + job.head, text - job.head);
  std::memset(job.out + text, 0, job.padding);
  return job.out;
}

std::unique_ptr<Aead> make_sodium_aead();
std::unique_ptr<Aead> make_openssl_aead();

bool ipsec_mb_available();  // built in, and the CPU has what the library's fast code needs
std::unique_ptr<Aead> make_ipsec_mb_aead();

bool avx512_available();  // the CPU has AVX-512 with IFMA, VBMI2 and VNNI
std::unique_ptr<Aead> make_avx512_aead();

}  // namespace greywire
