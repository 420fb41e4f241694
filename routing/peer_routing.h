// What the configuration says about a peer, as far as routing needs it.
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "router/base/ids.h"
#include "router/base/ip_address.h"
#include "routing/ceiling.h"

namespace greywire::routing {

struct PeerRouting {
  PeerId id;
  std::string name;  // for people
  std::vector<IpAddress>
      overlay_addresses;  // with the link-local that is derived from the key: next hops that mean it
  std::vector<Prefix> static_prefixes;  // configured allowed-IPs besides the overlay addresses: never learned
  Ceiling accept;                       // nothing is accepted when empty
  std::size_t max_prefixes = std::numeric_limits<std::size_t>::max();
};

}  // namespace greywire::routing
