// Reports of routers: first byte the family, the rest as the raw socket brings it.
#include <cstddef>
#include <cstdint>

#include "router/pmtu/icmp_report.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace greywire;
  if (size == 0) return 0;
  const Family family = bytes[0] % 2 == 0 ? Family::kV4 : Family::kV6;
  const auto report = pmtu::parse_too_big(family, {bytes + 1, size - 1});
  if (report) {
    FUZZ_CHECK(report->destination.address.family() == family);
    FUZZ_CHECK(size >= 1 + 8 + 20 + 8 + 16);
  }
  return 0;
}
