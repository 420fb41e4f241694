// Where a peer of the config may be: its endpoints with what DNS says about those that are names, when to ask DNS again,
// and the order in which they are to be tried. Pure: looking up, sending and time are the caller's.
//
// Names are asked when their TTL is over, and again, less and less often, while the peer does not answer. An answer
// never takes away a name's addresses for none: what was known stays until DNS says something else.
// Order: the endpoints as configured, each name's addresses with the families in turn, IPv6 first (RFC 8305 §4).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "overlay/config/values.h"
#include "router/base/ip_address.h"
#include "router/base/time.h"

namespace greywire::daemon {

struct ResolvedAddress {
  IpAddress address;
  std::uint32_t scope = 0;
  std::chrono::seconds ttl{0};  // 0: not known, as from a hosts file
};

class EndpointChoice {
 public:
  static constexpr std::chrono::seconds kLeastTtl{10};       // a TTL below, and 0, is taken as this
  static constexpr std::chrono::seconds kGreatestTtl{3600};
  static constexpr std::chrono::seconds kRetry{10};          // after a failure
  static constexpr std::chrono::seconds kStaleRetry{5};      // while the peer does not answer; doubled each time
  static constexpr std::chrono::seconds kStaleRetryMost{80};

  explicit EndpointChoice(const std::vector<config::PeerEndpoint>& endpoints);

  struct Lookup {
    std::size_t which = 0;  // for answered() and failed()
    std::string host;
  };
  // Names to be looked up now. Each is under way until answered() or failed().
  std::vector<Lookup> due(TimePoint now);
  TimePoint next_deadline() const;  // kNever: no names, or all under way

  // True when candidates() changed.
  bool answered(std::size_t which, std::span<const ResolvedAddress> addresses, TimePoint now);
  void failed(std::size_t which, TimePoint now);

  // Whether the peer answers where it is: see is_stale(). May be called as often as one likes.
  void set_stale(bool stale, TimePoint now);

  std::vector<Endpoint> candidates() const;

 private:
  struct Name {
    config::PeerEndpoint endpoint;
    std::vector<ResolvedAddress> addresses;  // literals: the one
    TimePoint asked{};
    TimePoint ask_at = kNever;
    bool under_way = false;
    std::chrono::seconds stale_wait = kStaleRetry;
  };
  std::vector<Name> names_;
  bool stale_ = false;
};

// A handshake is stale when one is wanted and none was completed for Rekey-After-Time and the 15 s of Keepalive-Timeout
// and Rekey-Timeout, as WireGuard's own script for names has it.
inline constexpr std::chrono::seconds kStaleHandshake{135};
// `reachable`: by the probe in the tunnel, where there is one. `handshake_age`: nullopt when there never was one.
bool is_stale(std::optional<bool> reachable, bool handshake_pending, std::optional<std::chrono::seconds> handshake_age);

}  // namespace greywire::daemon
