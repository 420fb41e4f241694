// The file of a trial: whatever it holds, what was read is written so that it is read the same again, and its deadline is within
// what may be asked for.
#include <cstdint>
#include <string_view>

#include "overlay/daemon/reload_trial.h"
#include "overlay/daemon/stored_trial.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace greywire;
  using namespace greywire::daemon;
  const auto trial = parse_stored_trial({reinterpret_cast<const char*>(bytes), size});
  if (!trial) {
    FUZZ_CHECK(!trial.error().text.empty() && trial.error().text.find('\n') == std::string::npos);
    return 0;
  }
  const auto again = parse_stored_trial(to_text(*trial));
  FUZZ_CHECK(again && *again == *trial);
  for (const char* boot : {"", "a boot", "another"}) {
    const auto left = time_left(*trial, {boot, TimePoint{} + std::chrono::hours(5), {1'800'000'000, 0}});
    FUZZ_CHECK(left >= Duration::zero() && left <= ReloadTrial::kLongest);
  }
  return 0;
}
