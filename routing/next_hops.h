// Which peer a BGP next hop means: the one whose overlay address it is. Control thread only.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "router/base/ids.h"
#include "routing/peer_routing.h"
#include "routing/route.h"

namespace greywire::routing {

class NextHopResolver {
 public:
  enum class Kind : std::uint8_t {
    kPeer,
    kUnknown,         // over the overlay, but no peer's: it must not fall through to somebody else
    kOtherInterface,  // over another device, e.g. a GRE link with a BGP session of its own
    kNone,            // blackhole
  };
  struct Resolution {
    Kind kind;
    PeerId peer;  // kPeer only
  };

  // Of two peers with the same address (an error of the configuration) the lower id has it.
  void set_peers(std::span<const PeerRouting> peers);
  // The interface index of gw0; 0 while it does not exist.
  void set_overlay_ifindex(std::uint32_t ifindex) { overlay_ifindex_ = ifindex; }

  // - A global address that is a peer's means the peer, whatever the interface: a recursive next hop has
  // none.
  // - A link-local address means a peer only on gw0: addresses of that kind are per link.
  // - Anything else on gw0 is unknown. So is a recursive next hop (interface 0) inside some peer's `accept`,
  // since it
  //   may well resolve over gw0; resolving it is left to the routing daemon (next-hop-self).
  // - The rest is of another interface.
  Resolution resolve(const NextHop& next_hop) const;

 private:
  std::unordered_map<IpAddress, PeerId> owners_;
  std::vector<Ceiling> ceilings_;
  std::uint32_t overlay_ifindex_ = 0;
};

}  // namespace greywire::routing
