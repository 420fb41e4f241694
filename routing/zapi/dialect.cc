#include "routing/zapi/dialect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace greywire::routing::zapi {
namespace {

constexpr auto kByRoute = RouterMac::kByRouteFlag;
constexpr auto kByNextHop = RouterMac::kByNextHopFlag;

// clang-format off
constexpr std::array kDialects{
    //       releases           E   HELLO  L  RADD add del close BGP weight label mac        seg6              local nhg
    Dialect{"7.5",   "7.5",    112, 18,   10, 11,  33, 34,   0,   9, 4, false, kByRoute,   Seg6::kNone,        0, false},
    Dialect{"8.0",   "8.0",    117, 18,   10, 11,  33, 34, 124,   9, 4, false, kByRoute,   Seg6::kNone,        0, true},
    Dialect{"8.1",   "8.1",    121, 18,   10, 11,  33, 34, 128,   9, 4, false, kByRoute,   Seg6::kOne,        24, true},
    Dialect{"8.2",   "8.3",    118, 18,   10, 11,  30, 31, 125,   9, 4, false, kByRoute,   Seg6::kOne,        24, true},
    Dialect{"8.4",   "8.4",    118, 18,   10, 11,  30, 31, 125,   9, 4, false, kByNextHop, Seg6::kOne,        24, true},
    Dialect{"8.5",   "8.5",    118, 18,   10, 11,  30, 31, 125,   9, 4, false, kByNextHop, Seg6::kOne,        28, true},
    Dialect{"9.0",   "9.0",    118, 18,   10, 11,  30, 31, 125,   9, 4, true,  kByNextHop, Seg6::kOne,        28, true},
    Dialect{"9.1",   "9.1",    117, 18,   11, 11,  30, 31, 124,   9, 4, true,  kByNextHop, Seg6::kList,       36, true},
    Dialect{"10.0",  "10.0",   118, 19,   11, 12,  31, 32, 125,  10, 4, true,  kByNextHop, Seg6::kList,       36, true},
    Dialect{"10.1",  "10.1",   118, 19,   11, 12,  31, 32, 125,  10, 8, true,  kByNextHop, Seg6::kList,       36, true},
    Dialect{"10.2",  "10.3",   120, 19,   12, 12,  31, 32, 127,  10, 8, true,  kByNextHop, Seg6::kList,       36, true},
    Dialect{"10.4",  "10.5",   120, 19,   12, 12,  31, 32, 127,  10, 8, true,  kByNextHop, Seg6::kListAction, 36, true},
    Dialect{"10.6",  "10.7",   120, 19,    9, 12,  31, 32, 127,  10, 8, true,  kByNextHop, Seg6::kListAction, 40, true},
    Dialect{"10.7+", "10.7+",  120, 19,    9, 12,  31, 32, 127,  10, 8, true,  kByNextHop, Seg6::kListSource, 40, true},
};
// clang-format on

}  // namespace

std::span<const Dialect> dialects() {
  return kDialects;
}

bool has_hello(std::uint16_t error, std::uint16_t hello) {
  return std::any_of(kDialects.begin(), kDialects.end(),
                     [&](const Dialect& d) { return d.error == error && d.hello == hello; });
}

std::span<const Dialect> find_dialects(std::uint16_t error, std::uint16_t hello,
                                       std::uint16_t capabilities_length) {
  const auto matches = [&](const Dialect& d) {
    return d.error == error && d.hello == hello && d.capabilities_length == capabilities_length;
  };
  const auto first = std::find_if(kDialects.begin(), kDialects.end(), matches);
  const auto last = std::find_if_not(first, kDialects.end(), matches);
  return {first, last};
}

std::string release_name(const Dialect& first, const Dialect& last) {
  if (first.first_release == last.last_release) return fmt::format("FRR {}", first.first_release);
  return fmt::format("FRR {} to {}", first.first_release, last.last_release);
}

}  // namespace greywire::routing::zapi
