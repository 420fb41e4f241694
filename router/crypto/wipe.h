// Clearing of secrets in memory that the compiler must not leave out. Any thread; never fails.
#pragma once

#include <sodium.h>

#include <cstddef>
#include <span>
#include <type_traits>

namespace greywire {

inline void wipe(void* bytes, std::size_t size) {
  sodium_memzero(bytes, size);
}

template <class T>
requires std::is_trivially_copyable_v<T>
void wipe(T& value) {
  sodium_memzero(&value, sizeof value);
}

// Wipes a local of a function on every way out of it. The referenced object must live longer than this.
template <class T>
requires std::is_trivially_copyable_v<T>
class WipeOnExit {
 public:
  explicit WipeOnExit(T& value) : value_(value) {}
  ~WipeOnExit() { wipe(value_); }
  WipeOnExit(const WipeOnExit&) = delete;
  WipeOnExit& operator=(const WipeOnExit&) = delete;

 private:
  T& value_;
};

}  // namespace greywire
