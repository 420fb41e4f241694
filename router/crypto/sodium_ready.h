// libsodium picks its implementations for this CPU in sodium_init(); without it, it runs the portable ones.
#pragma once

#include <sodium.h>

#include <stdexcept>

namespace greywire {

// Call before the first use of libsodium in a function that does public work with it. Cheap after the first
// time.
inline void sodium_ready() {
  static const bool ready = [] {
    if (sodium_init() < 0)
      throw std::runtime_error("libsodium cannot be initialised: is /dev/urandom there?");
    return true;
  }();
  static_cast<void>(ready);
}

}  // namespace greywire
