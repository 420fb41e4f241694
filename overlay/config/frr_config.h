// What to write into FRR's bgpd so that it agrees with a config: neighbours, prefix-lists that are the ceilings, and maximum
// prefixes. Pure.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "overlay/config/config.h"
#include "router/base/result.h"

namespace greywire::config {

// What a neighbour is beyond what its site's config says, for who knows the other sites too (overlay/mesh).
struct BgpNeighbourPlan {
  bool session = true;                    // false: none; the peer's prefixes come by a route reflector
  std::optional<routing::Ceiling> in;     // what it may announce; nullopt: `accept`
  std::optional<routing::Ceiling> out;    // what is announced to it; nullopt: this site's `networks`
  std::optional<std::uint32_t> maximum;   // nullopt: `max_prefixes`
  bool reflector_client = false;
  bool own_next_hop = false;              // also for what is reflected
};

struct BgpPlan {
  std::map<std::string, BgpNeighbourPlan, std::less<>> neighbours;  // by the peer's name; who is not here is as the config says
  std::optional<Liveness> bfd;            // of every session over the site's interface
  std::optional<std::chrono::seconds> connect_retry;
  std::optional<IpAddress> router_id;     // where the site has no IPv4 overlay address
  // A whole frr.conf: zebra's and bfdd's lines too, and also where there is no neighbour yet.
  bool whole = false;
};

// Text for bgpd.conf or vtysh. A neighbour for each enabled peer with an overlay address and an `accept`, and one for each
// `gre` link whose far end follows from its address (/30, /31, /126, /127). An Error says which key is missing.
Result<std::string> frr_config(const Config& config, const BgpPlan& plan = {});

}  // namespace greywire::config
