// The file of the last run: whatever it holds, what was read is written so that it is read the same again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "overlay/daemon/last_run.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace greywire::daemon;
  const LastRun run = parse_last_run({reinterpret_cast<const char*>(bytes), size});
  if (!(parse_last_run(to_text(run)) == run)) std::abort();
  return 0;
}
