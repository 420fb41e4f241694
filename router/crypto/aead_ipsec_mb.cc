#include "router/crypto/aead_providers.h"

#ifdef GREYWIRE_HAVE_IPSEC_MB

#include <intel-ipsec-mb.h>

#include <array>
#include <stdexcept>

#include "router/base/byte_order.h"

namespace greywire {

namespace {

constexpr std::uint64_t kNeeded = IMB_CPUFLAGS_AVX2;  // below that OpenSSL is as fast

struct MultiBufferDeleter {
  void operator()(IMB_MGR* multi_buffer) const {
    wipe(multi_buffer, imb_get_mb_mgr_size());
    free_mb_mgr(multi_buffer);
  }
};
using MultiBuffer = std::unique_ptr<IMB_MGR, MultiBufferDeleter>;

MultiBuffer make_multi_buffer() {
  IMB_MGR* multi_buffer = alloc_mb_mgr(0);
  if (multi_buffer == nullptr) throw std::runtime_error("intel-ipsec-mb: no memory");
  IMB_ARCH arch = IMB_ARCH_NONE;
  init_mb_mgr_auto(multi_buffer, &arch);
  MultiBuffer owned(multi_buffer);
  if (imb_get_errno(multi_buffer) != 0 || (multi_buffer->features & kNeeded) != kNeeded)
    throw std::runtime_error("intel-ipsec-mb: this CPU lacks AVX2");
  return owned;
}

// The job interface: for ChaCha20-Poly1305 a job is done when it is submitted, by code that takes a packet in
// one go. The interface with INIT, UPDATE and FINALIZE is the one for scattered buffers and takes nearly
// twice the time.
class IpsecMbAead final : public Aead {
 public:
  IpsecMbAead() : multi_buffer_(make_multi_buffer()) {}

  std::string_view name() const override { return aead_provider_name(AeadProvider::kIpsecMb); }

  void seal(const SymmetricKey& key, std::span<const SealJob> jobs) override {
    Nonce nonce{};
    for (const SealJob& job : jobs) {
      store_le64(nonce.data() + 4, job.counter);
      // A job that the library did not finish leaves zeros, never plaintext with a tag.
      if (!run(key, nonce, in_one_piece(job), job.out, job.size, job.out + job.size, IMB_DIR_ENCRYPT))
        wipe(job.out, job.size + kTagSize);
    }
  }

  void open(const SymmetricKey& key, std::span<OpenJob> jobs) override {
    Nonce nonce{};
    std::array<std::uint8_t, kTagSize> tag;
    for (OpenJob& job : jobs) {
      store_le64(nonce.data() + 4, job.counter);
      job.ok = run(key, nonce, job.in, job.out, job.size, tag.data(), IMB_DIR_DECRYPT) &&
               constant_time_equal<kTagSize>(tag, std::span<const std::uint8_t, kTagSize>(job.in + job.size, kTagSize));
      if (!job.ok && job.size != 0) wipe(job.out, job.size);
    }
    wipe(tag);
  }

 private:
  using Nonce = std::array<std::uint8_t, 12>;

  bool run(const SymmetricKey& key, const Nonce& nonce, const std::uint8_t* in, std::uint8_t* out,
           std::uint32_t size, std::uint8_t* tag, IMB_CIPHER_DIRECTION direction) {
    IMB_JOB* job = IMB_GET_NEXT_JOB(multi_buffer_.get());
    job->enc_keys = key.data();
    job->dec_keys = key.data();
    job->key_len_in_bytes = kKeySize;
    job->src = in;
    job->dst = out;
    job->cipher_start_src_offset_in_bytes = 0;
    job->msg_len_to_cipher_in_bytes = size;
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_hash_in_bytes = size;
    job->iv = nonce.data();
    job->iv_len_in_bytes = nonce.size();
    job->auth_tag_output = tag;
    job->auth_tag_output_len_in_bytes = kTagSize;
    job->u.CHACHA20_POLY1305.aad = nullptr;
    job->u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
    job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
    job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
    job->cipher_direction = direction;
    job->chain_order = direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    const IMB_JOB* done = IMB_SUBMIT_JOB_NOCHECK(multi_buffer_.get());
    if (done == nullptr) done = IMB_FLUSH_JOB(multi_buffer_.get());
    return done == job && done->status == IMB_STATUS_COMPLETED;
  }

  MultiBuffer multi_buffer_;
};

}  // namespace

bool ipsec_mb_available() {
  try {
    make_multi_buffer();
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

std::unique_ptr<Aead> make_ipsec_mb_aead() {
  return std::make_unique<IpsecMbAead>();
}

}  // namespace greywire

#else

#include <stdexcept>

namespace greywire {

bool ipsec_mb_available() {
  return false;
}

std::unique_ptr<Aead> make_ipsec_mb_aead() {
  throw std::runtime_error("built without intel-ipsec-mb");
}

}  // namespace greywire

#endif
