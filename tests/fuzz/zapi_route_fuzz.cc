// The route object in every dialect: whatever the bytes, a route whose parts are within their ranges, or an
// error.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "routing/zapi/codec.h"
#include "tests/fuzz/check.h"

namespace zapi = greywire::routing::zapi;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::span body(bytes, size);
  for (const auto& dialect : zapi::dialects()) {
    const auto route = zapi::decode_route(dialect, body);
    if (!route) {
      FUZZ_CHECK(!route.error().text.empty());
      continue;
    }
    FUZZ_CHECK(route->prefix.length() <= route->prefix.address().bits());
    FUZZ_CHECK(route->next_hops.size() * 7 <= size);
    const auto again = zapi::decode_route(dialect, body);
    FUZZ_CHECK(again && again->prefix == route->prefix && again->next_hops == route->next_hops);
    if (size > 0) FUZZ_CHECK(zapi::decode_route(dialect, body.first(size - 1)).has_error());
  }
  return 0;
}
