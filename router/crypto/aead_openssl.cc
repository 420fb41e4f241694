#include <openssl/evp.h>

#include <array>
#include <stdexcept>

#include "router/base/byte_order.h"
#include "router/crypto/aead_providers.h"

namespace greywire {

namespace {

struct ContextDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }  // wipes what it held
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextDeleter>;

// One context a direction: turning one round costs more than keeping two. The key goes in once a batch, the
// nonce a packet.
class OpenSslAead final : public Aead {
 public:
  OpenSslAead() : seal_(make_context(1)), open_(make_context(0)) {}
  ~OpenSslAead() override = default;

  std::string_view name() const override { return aead_provider_name(AeadProvider::kOpenSsl); }

  void seal(const SymmetricKey& key, std::span<const SealJob> jobs) override {
    Nonce nonce{};
    EVP_CIPHER_CTX* context = seal_.get();
    bool ok = jobs.empty() || EVP_EncryptInit_ex2(context, nullptr, key.data(), nullptr, nullptr) == 1;
    for (const SealJob& job : jobs) {
      store_le64(nonce.data() + 4, job.counter);
      int size = 0;
      ok = ok && EVP_EncryptInit_ex2(context, nullptr, nullptr, nonce.data(), nullptr) == 1;
      if (job.size != 0)
        ok = ok && EVP_EncryptUpdate(context, job.out, &size, in_one_piece(job), static_cast<int>(job.size)) == 1;
      ok = ok && EVP_EncryptFinal_ex(context, job.out + job.size, &size) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagSize, job.out + job.size) == 1;
      // Never seen to fail once the context exists; if it ever does, zeros go out and no plaintext.
      if (!ok) wipe(job.out, job.size + kTagSize);
    }
    forget(context);
  }

  void open(const SymmetricKey& key, std::span<OpenJob> jobs) override {
    Nonce nonce{};
    EVP_CIPHER_CTX* context = open_.get();
    const bool keyed =
        jobs.empty() || EVP_DecryptInit_ex2(context, nullptr, key.data(), nullptr, nullptr) == 1;
    for (OpenJob& job : jobs) {
      store_le64(nonce.data() + 4, job.counter);
      std::array<std::uint8_t, kTagSize> tag;
      std::memcpy(tag.data(), job.in + job.size, kTagSize);
      int size = 0;
      bool ok = keyed && EVP_DecryptInit_ex2(context, nullptr, nullptr, nonce.data(), nullptr) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagSize, tag.data()) == 1;
      if (job.size != 0)
        ok = ok && EVP_DecryptUpdate(context, job.out, &size, job.in, static_cast<int>(job.size)) == 1;
      std::array<std::uint8_t, kTagSize> rest;
      job.ok = ok && EVP_DecryptFinal_ex(context, rest.data(), &size) == 1;
      if (!job.ok && job.size != 0) wipe(job.out, job.size);
    }
    forget(context);
  }

 private:
  using Nonce = std::array<std::uint8_t, 12>;

  static Context make_context(int encrypt) {
    EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
    Context context(EVP_CIPHER_CTX_new());
    const bool ok = cipher != nullptr && context != nullptr &&
                    EVP_CipherInit_ex2(context.get(), cipher, nullptr, nullptr, encrypt, nullptr) == 1;
    EVP_CIPHER_free(cipher);
    if (!ok) throw std::runtime_error("OpenSSL here has no ChaCha20-Poly1305");
    return context;
  }

  // The next batch may be another peer's: its key must not linger here for longer than this call.
  static void forget(EVP_CIPHER_CTX* context) {
    static constexpr std::array<std::uint8_t, kKeySize> kNoKey{};
    EVP_CipherInit_ex2(context, nullptr, kNoKey.data(), nullptr, -1, nullptr);
  }

  Context seal_;
  Context open_;
};

}  // namespace

std::unique_ptr<Aead> make_openssl_aead() {
  return std::make_unique<OpenSslAead>();
}

}  // namespace greywire
