#include <array>

#include "router/base/byte_order.h"
#include "router/crypto/aead_providers.h"
#include "router/crypto/sodium_ready.h"

namespace greywire {

namespace {

class SodiumAead final : public Aead {
 public:
  std::string_view name() const override { return aead_provider_name(AeadProvider::kSodium); }

  void seal(const SymmetricKey& key, std::span<const SealJob> jobs) override {
    std::array<std::uint8_t, 12> nonce{};
    for (const SealJob& job : jobs) {
      store_le64(nonce.data() + 4, job.counter);
      crypto_aead_chacha20poly1305_ietf_encrypt(job.out, nullptr, in_one_piece(job), job.size, nullptr, 0,
                                                nullptr, nonce.data(), key.data());
    }
  }

  void open(const SymmetricKey& key, std::span<OpenJob> jobs) override {
    std::array<std::uint8_t, 12> nonce{};
    for (OpenJob& job : jobs) {
      store_le64(nonce.data() + 4, job.counter);
      job.ok =
          crypto_aead_chacha20poly1305_ietf_decrypt(job.out, nullptr, nullptr, job.in, job.size + kTagSize,
                                                    nullptr, 0, nonce.data(), key.data()) == 0;
      if (!job.ok && job.size != 0) wipe(job.out, job.size);
    }
  }
};

}  // namespace

std::unique_ptr<Aead> make_sodium_aead() {
  sodium_ready();
  return std::make_unique<SodiumAead>();
}

}  // namespace greywire
