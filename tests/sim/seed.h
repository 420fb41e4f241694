// Randomness of a test that can be repeated: GREYWIRE_TEST_SEED=N sets the seed, else it is drawn; it is
// printed.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "router/base/random_source.h"

namespace greywire::test {

inline std::uint64_t draw_seed(const char* what) {
  const char* given = std::getenv("GREYWIRE_TEST_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("%s: GREYWIRE_TEST_SEED=%llu\n", what, static_cast<unsigned long long>(seed));
  std::fflush(stdout);  // before anything can abort
  return seed;
}

class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : generator_(seed) {}
  void fill(std::span<std::uint8_t> out) override {
    for (auto& byte : out) byte = static_cast<std::uint8_t>(generator_());
  }
  std::uint64_t below(std::uint64_t n) { return generator_() % n; }
  bool chance(double probability) { return std::uniform_real_distribution<>()(generator_) < probability; }
  std::mt19937_64& generator() { return generator_; }

 private:
  std::mt19937_64 generator_;
};

}  // namespace greywire::test
