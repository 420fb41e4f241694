#include "routing/decision.h"

namespace greywire::routing {

std::string_view route_state_name(RouteState state) {
  switch (state) {
    case RouteState::kAccepted:
      return "accepted";
    case RouteState::kRefused:
      return "refused";
    case RouteState::kUnresolved:
      return "unresolved";
    case RouteState::kIgnored:
      return "ignored";
  }
  return "unknown";
}

std::string_view reason_text(Reason reason) {
  switch (reason) {
    case Reason::kNone:
      return {};
    case Reason::kNoAccept:
      return "the peer has no accept list";
    case Reason::kOutsideAccept:
      return "outside the peer's accept list";
    case Reason::kBogon:
      return "a prefix that is never routed";
    case Reason::kOwnPrefix:
      return "belongs to this site";
    case Reason::kOtherPeersAddress:
      return "belongs to another peer by configuration";
    case Reason::kMaxPrefixes:
      return "more prefixes than the peer's max_prefixes";
    case Reason::kUnknownNextHop:
      return "the next hop is no peer's overlay address";
    case Reason::kOtherInterface:
      return "the next hop is not on the overlay device";
    case Reason::kNoNextHop:
      return "no next hop";
    case Reason::kStatic:
      return "the peer has it by configuration";
  }
  return "unknown";
}

}  // namespace greywire::routing
