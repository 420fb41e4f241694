#include "router/crypto/aead.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>

#include "router/crypto/aead_providers.h"

namespace greywire {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kBatch = 32;
constexpr std::uint32_t kLargest = 1420;
constexpr std::array<std::uint32_t, 2> kSizes = {64, kLargest};
constexpr int kRounds = 12;  // of each size: some 4 ms altogether for the slowest provider
constexpr int kBatchesARound = 2;

// The best of several rounds, so that a moment in which the CPU was taken away does not decide.
Clock::duration time_of(Aead& aead, const SymmetricKey& key, std::span<std::uint8_t> memory,
                        std::uint32_t size) {
  std::array<SealJob, kBatch> jobs;
  std::uint64_t counter = 0;
  auto best = Clock::duration::max();
  for (int i = 0; i < kRounds; ++i) {
    const auto start = Clock::now();
    for (int batch = 0; batch < kBatchesARound; ++batch) {
      for (std::size_t j = 0; j < kBatch; ++j) {
        std::uint8_t* packet = memory.data() + j * (kLargest + kTagSize);
        jobs[j] = {counter++, packet, packet, size};
      }
      aead.seal(key, jobs);
    }
    best = std::min(best, Clock::now() - start);
  }
  return best;
}

}  // namespace

std::string_view aead_provider_name(AeadProvider provider) {
  switch (provider) {
    case AeadProvider::kSodium:
      return "libsodium";
    case AeadProvider::kOpenSsl:
      return "openssl";
    case AeadProvider::kIpsecMb:
      return "ipsec-mb";
    case AeadProvider::kAvx512:
      return "avx512";
  }
  return "unknown";
}

std::vector<AeadProvider> available_aeads() {
  std::vector<AeadProvider> providers = {AeadProvider::kSodium};
  try {
    make_openssl_aead();
    providers.push_back(AeadProvider::kOpenSsl);
  } catch (const std::runtime_error&) {
    // a restricted OpenSSL (FIPS) has no ChaCha20-Poly1305
  }
  if (ipsec_mb_available()) providers.push_back(AeadProvider::kIpsecMb);
  if (avx512_available()) providers.push_back(AeadProvider::kAvx512);
  return providers;
}

std::unique_ptr<Aead> make_aead(AeadProvider provider) {
  switch (provider) {
    case AeadProvider::kSodium:
      return make_sodium_aead();
    case AeadProvider::kOpenSsl:
      return make_openssl_aead();
    case AeadProvider::kIpsecMb:
      return make_ipsec_mb_aead();
    case AeadProvider::kAvx512:
      return make_avx512_aead();
  }
  throw std::runtime_error("no such AEAD provider");
}

AeadProvider measure_best_aead() {
  const SymmetricKey key;
  std::vector<std::uint8_t> memory(kBatch * (kLargest + kTagSize));
  AeadProvider best = AeadProvider::kSodium;
  auto best_time = Clock::duration::max();
  for (const AeadProvider provider : available_aeads()) {
    const auto aead = make_aead(provider);
    // One packet of each size has the same weight: bulk and acknowledgements go in pairs.
    auto time = Clock::duration::zero();
    for (const std::uint32_t size : kSizes) time += time_of(*aead, key, memory, size);
    if (time < best_time) {
      best_time = time;
      best = provider;
    }
  }
  return best;
}

}  // namespace greywire
