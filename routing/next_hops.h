// Which peer a next hop means: the one whose overlay address it is, or whose static allowed-IPs it lies in. Control
// thread only.
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
    kRecursive,       // reached by another route: which, the caller knows
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
  std::uint32_t overlay_ifindex() const { return overlay_ifindex_; }

  // - A global address that is a peer's means the peer, whatever the interface: a recursive next hop has
  // none.
  // - A link-local address means a peer only on gw0: addresses of that kind are per link.
  // - An address inside a peer's static allowed-IPs means that peer, on gw0 or without an interface; the longest leads.
  // - Without a gateway, on gw0, the prefix itself must lie in some peer's static allowed-IPs.
  // - Anything else on gw0 is unknown.
  // - Any other address without an interface is recursive: another route leads there.
  // - The rest is of another interface.
  Resolution resolve(const Prefix& prefix, const NextHop& next_hop) const;

  // A recursive next hop that no learned route covers: unknown where some peer's `accept` does, since it may well resolve
  // over gw0 by a route that is not BGP's; else of another interface.
  Kind without_route(const IpAddress& gateway) const;

 private:
  const PeerId* find_static(const Prefix& prefix) const;

  std::unordered_map<IpAddress, PeerId> owners_;
  std::unordered_map<Prefix, PeerId> static_;
  std::vector<Ceiling> ceilings_;
  std::uint32_t overlay_ifindex_ = 0;
};

}  // namespace greywire::routing
