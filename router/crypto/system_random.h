// The kernel's random numbers (getrandom(2)) as a RandomSource: the one place of router/ outside engine/ that
// asks the system for them. Stateless; any thread. It blocks only before the kernel's pool is first seeded;
// it does not fail.
#pragma once

#include "router/base/random_source.h"

namespace greywire {

class SystemRandom final : public RandomSource {
 public:
  void fill(std::span<std::uint8_t> out) override;
};

}  // namespace greywire
