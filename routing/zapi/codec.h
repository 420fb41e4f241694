// ZAPI messages as bytes: the ones that a listening client sends, and the ones that it reads. Pure.
//
// A decoder consumes its message exactly or returns an error: in a protocol without a version that is the
// only sign of talking to the wrong release. Fields are big endian; the code of ERROR is in host order, since
// zebra copies an int.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "router/base/result.h"
#include "routing/route.h"
#include "routing/zapi/dialect.h"
#include "routing/zapi/frame.h"

namespace greywire::routing::zapi {

using Bytes = std::vector<std::uint8_t>;

enum class Afi : std::uint8_t { kIpv4 = 1, kIpv6 = 2 };

inline constexpr std::uint32_t kErrorNoVrf = 1;
inline constexpr std::uint32_t kErrorInvalidCommand = 2;

// A header alone. With kInvalidCommand it is the probe for the release, and the barrier behind a dump: zebra
// answers in order.
Bytes encode_probe();

// `protocol` is a route type that we claim to own; 0 owns nothing. Never a protocol that a daemon on this
// machine has: zebra deletes that daemon's routes when we leave. Body: 9 bytes as command 18 (up to FRR 9.1),
// 8 as command 19.
Bytes encode_hello(std::uint16_t hello_command, std::uint8_t protocol);

// Subscribes to the routes of one type and instance 0 in the default VRF. Repeated, it gives no second dump.
Bytes encode_redistribute_add(const Dialect& dialect, Afi afi, std::uint8_t route_type);

// Ends the subscription; no withdrawals follow.
Bytes encode_redistribute_delete(const Dialect& dialect, Afi afi, std::uint8_t route_type);

// The route type that we may own: NHRP's, which bgpd can redistribute and which nobody else has where nhrpd does not run.
std::uint8_t injected_type(std::uint16_t hello_command);

// A route of ours over an interface, without a gateway, in the default VRF; and its end.
Bytes encode_route_add(const Dialect& dialect, const Prefix& prefix, std::uint32_t ifindex);
Bytes encode_route_delete(const Dialect& dialect, const Prefix& prefix);

// The route object of REDISTRIBUTE_ROUTE_ADD and _DEL. Labels, segment routing, colours and backups are read
// over.
struct WireRoute {
  std::uint8_t type = 0;
  std::uint16_t instance = 0;
  std::uint32_t flags = 0;
  std::uint32_t message = 0;
  std::uint8_t safi = 0;
  Prefix prefix;
  std::optional<Prefix> source;  // source-specific routing, IPv6 only
  std::vector<NextHop> next_hops;
  std::optional<std::uint8_t> distance;
  std::optional<std::uint32_t> metric, tag, mtu, table;
};
Result<WireRoute> decode_route(const Dialect& dialect, std::span<const std::uint8_t> body);

// Decodes routes of a release that is known only up to a few rows, and narrows them down: the first row is
// used until a message does not fit it; then it is out for good. After an error there is no row left.
class RouteDecoder {
 public:
  RouteDecoder() = default;
  explicit RouteDecoder(std::span<const Dialect> candidates) : candidates_(candidates) {}

  Result<WireRoute> decode(std::span<const std::uint8_t> body);
  std::string release() const;  // "FRR 10.0 to 10.1", narrower as routes come in

 private:
  std::span<const Dialect> candidates_;
};

// The code of an ERROR message.
Result<std::uint32_t> decode_error(std::span<const std::uint8_t> body);

// A client of zebra that left: a route type, e.g. BGP when bgpd stopped.
Result<std::uint8_t> decode_close_notify(std::span<const std::uint8_t> body);

}  // namespace greywire::routing::zapi
