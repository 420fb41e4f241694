// The AEAD providers over batches, and what a handshake is made of.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "router/crypto/aead.h"
#include "router/crypto/blake2s.h"
#include "router/crypto/handshake_aead.h"
#include "router/crypto/system_random.h"
#include "router/crypto/x25519.h"

namespace greywire {
namespace {

SymmetricKey some_key() {
  SymmetricKey key;
  SystemRandom().fill(key.writable_bytes());
  return key;
}

class Packets {
 public:
  Packets(std::size_t count, std::uint32_t size)
      : stride_(size + kTagSize), memory_(count * stride_), size_(size) {}

  std::vector<SealJob> seal_jobs() {
    std::vector<SealJob> jobs;
    for (std::size_t at = 0; at < memory_.size(); at += stride_)
      jobs.push_back({at, memory_.data() + at, memory_.data() + at, size_});
    return jobs;
  }
  // Out of place, so that the ciphertext can be opened again and again.
  std::vector<OpenJob> open_jobs(std::vector<std::uint8_t>& plain) {
    std::vector<OpenJob> jobs;
    plain.resize(memory_.size());
    for (std::size_t at = 0; at < memory_.size(); at += stride_)
      jobs.push_back({at, memory_.data() + at, plain.data() + at, size_, false});
    return jobs;
  }

 private:
  std::size_t stride_;
  std::vector<std::uint8_t> memory_;
  std::uint32_t size_;
};

void report(benchmark::State& state, std::size_t count, std::uint32_t size) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(count * size));
}

void seal(benchmark::State& state, AeadProvider provider, std::uint32_t size, std::size_t count) {
  const auto aead = make_aead(provider);
  const SymmetricKey key = some_key();
  Packets packets(count, size);
  const auto jobs = packets.seal_jobs();
  for (auto _ : state) aead->seal(key, jobs);
  report(state, count, size);
}

void open(benchmark::State& state, AeadProvider provider, std::uint32_t size, std::size_t count) {
  const auto aead = make_aead(provider);
  const SymmetricKey key = some_key();
  Packets packets(count, size);
  aead->seal(key, packets.seal_jobs());
  std::vector<std::uint8_t> plain;
  auto jobs = packets.open_jobs(plain);
  for (auto _ : state) {
    aead->open(key, jobs);
    if (!jobs.back().ok) state.SkipWithError("a packet did not authenticate");
  }
  report(state, count, size);
}

const bool registered = [] {
  for (const AeadProvider provider : available_aeads())
    for (const std::uint32_t size : {64U, 576U, 1420U})
      for (const std::size_t count : {std::size_t{1}, std::size_t{64}}) {
        const std::string name = std::string(aead_provider_name(provider)) + "/" + std::to_string(size) +
                                 "B/batch" + std::to_string(count);
        benchmark::RegisterBenchmark(("aead_seal/" + name).c_str(),
                                     [=](benchmark::State& state) { seal(state, provider, size, count); });
        benchmark::RegisterBenchmark(("aead_open/" + name).c_str(),
                                     [=](benchmark::State& state) { open(state, provider, size, count); });
      }
  return true;
}();

void aead_choice(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(measure_best_aead());
  state.SetLabel(std::string(aead_provider_name(measure_best_aead())));
}
BENCHMARK(aead_choice)->Unit(benchmark::kMillisecond);

void x25519_shared_secret(benchmark::State& state) {
  SystemRandom random;
  const PrivateKey key = generate_private_key(random);
  const PublicKey peer = derive_public_key(generate_private_key(random));
  SharedSecret secret;
  for (auto _ : state) benchmark::DoNotOptimize(x25519(secret, key, peer));
}
BENCHMARK(x25519_shared_secret);

void x25519_public_key(benchmark::State& state) {
  SystemRandom random;
  const PrivateKey key = generate_private_key(random);
  for (auto _ : state) benchmark::DoNotOptimize(derive_public_key(key));
}
BENCHMARK(x25519_public_key);

// mac1 of an initiation, with the keyed state kept: what a forged initiation costs.
void mac1_of_initiation(benchmark::State& state) {
  const SymmetricKey key = some_key();
  const Blake2s keyed(kMacSize, key.bytes());
  const std::vector<std::uint8_t> message(116);
  Mac mac;
  for (auto _ : state) {
    Blake2s(keyed).update(message).finish(mac);
    benchmark::DoNotOptimize(mac);
  }
}
BENCHMARK(mac1_of_initiation);

void blake2s_hash_bytes(benchmark::State& state) {
  const std::vector<std::uint8_t> input(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(blake2s_hash(input));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(blake2s_hash_bytes)->Arg(32)->Arg(64)->Arg(1024);

void kdf3_of_32_bytes(benchmark::State& state) {
  Hash key{}, t2, t3;
  for (auto _ : state) {
    kdf3(key, t2, t3, key, key);
    benchmark::DoNotOptimize(key);
  }
}
BENCHMARK(kdf3_of_32_bytes);

}  // namespace
}  // namespace greywire
