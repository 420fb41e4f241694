// A config file is written by people and tools: whatever stands in it, parse() ends with a Config or with an error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "overlay/config/derive.h"
#include "overlay/config/load.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace greywire::config;
  const auto loaded = parse({reinterpret_cast<const char*>(bytes), size}, "fuzz.toml");
  if (loaded.config.has_value() == loaded.diagnostics.has_errors()) std::abort();
  for (const auto& line : loaded.diagnostics.lines()) {
    if (line.find('\n') != std::string_view::npos) std::abort();
  }
  if (loaded.config) {
    for (const auto& tunnel : derive(*loaded.config).tunnels) {
      if (tunnel.device_mtu.bytes < kLeastMtu) std::abort();
    }
  }
  return 0;
}
