// What a provider for trains adds, by the simplest means: plaintexts in two places, and sums of what it opened.
#pragma once

#include "router/crypto/aead.h"
#include "router/packet/checksum.h"

namespace greywire::test {

class TrainAead final : public Aead {
 public:
  std::string_view name() const override { return aead_->name(); }
  void seal(const SymmetricKey& key, std::span<const SealJob> jobs) override { aead_->seal(key, jobs); }
  void open(const SymmetricKey& key, std::span<OpenJob> jobs) override { aead_->open(key, jobs); }
  void open_and_sum(const SymmetricKey& key, std::span<OpenJob> jobs) override {
    aead_->open(key, jobs);
    for (OpenJob& job : jobs) job.sum = job.ok ? checksum_add(job.out, job.size, 0) : 0;
  }
  bool gathers(std::size_t, std::size_t) const override { return true; }

 private:
  std::unique_ptr<Aead> aead_ = make_aead(AeadProvider::kSodium);
};

}  // namespace greywire::test
