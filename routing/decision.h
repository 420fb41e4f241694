// What was decided about one learned prefix, and why.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "router/base/ids.h"

namespace greywire::routing {

enum class RouteState : std::uint8_t {
  kAccepted,    // stands in the peer's allowed-IPs
  kRefused,     // policy says no: a discard entry, so that it does not fall through to a shorter prefix
  kUnresolved,  // over the overlay, but the next hop is no peer's (yet): a discard entry too
  kIgnored,     // none of our business: no entry
};

enum class Reason : std::uint8_t {
  kNone,
  // refused
  kNoAccept,           // the peer has no `accept`
  kOutsideAccept,      // the peer's `accept` does not admit it
  kBogon,              // loopback, link-local, multicast and the like
  kOwnPrefix,          // this site's own
  kOtherPeersAddress,  // another peer's overlay address or configured allowed-IP; no entry: the owner's own
                       // one stands
  kMaxPrefixes,        // more than the peer may announce
  // unresolved
  kUnknownNextHop,
  // ignored
  kOtherInterface,  // the next hop is reached over another device
  kNoNextHop,       // unreachable or a blackhole
  kStatic,          // the peer has it by configuration already
};

struct Decision {
  RouteState state = RouteState::kIgnored;
  Reason reason = Reason::kNone;
  // Accepted: the first who gets it. Refused: who announced it. An accepted prefix has a reason where one more peer
  // announced it and was refused.
  std::optional<PeerId> peer;
  NextHopGroupId group{};   // accepted only: all who get it
  PeerId refused_peer{};    // accepted with a reason only

  friend bool operator==(const Decision&, const Decision&) = default;
};

std::string_view route_state_name(RouteState state);  // "accepted"
std::string_view reason_text(Reason reason);          // "outside the peer's accept"; empty for kNone

}  // namespace greywire::routing
