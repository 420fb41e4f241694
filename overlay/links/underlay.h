// The underlay kept apart from the overlay, so that a route learned through the tunnel never carries the
// tunnel.
//
// BGP may put any prefix into the main table with a next hop on gw0, a peer's endpoint or 0/0 included. Outer
// packets therefore carry a mark, and per family two rules send them round the main table:
//
//   2600: from all fwmark MARK lookup TABLE proto 200
//   2601: from all fwmark MARK unreachable proto 200
//
// TABLE is a copy of the main table without the next hops through our own links, kept up by reconciling
// whenever the monitor sees a link, address or route change. Why a copy: a rule with suppress_ifgroup drops
// the whole decision, so a learned 0/0 would hide the underlay's default instead of uncovering it;
// SO_BINDTODEVICE does look past other devices' routes, but ties the site to one uplink. Why the second rule:
// between a change in the main table and its copy, a packet is better refused than sent into its own tunnel.
//
// A copied route keeps destination, metric, kind, next hops and preferred source. Routes with a source
// prefix, a TOS or an encapsulation, and route metrics such as `mtu`, are not copied.
//
// The kernel checks the source of what it receives without the mark: with rp_filter=1 on the uplink, a
// learned 0/0 makes it drop the peers' datagrams. 0 (the kernel's default) and 2 (systemd's) work.
#pragma once

#include <string_view>

#include "overlay/links/link_state.h"
#include "router/base/result.h"

namespace greywire::links {

// Mark and table for a site whose main device is `device_name` when the config gives none: the same number
// for both, the same one at every start (so that a killed process's are adopted), another if somebody else
// uses it.
Underlay choose_underlay(std::string_view device_name, const ActualLinks& actual);

// The table's routes, in an order the kernel accepts: those without a gateway first, then shorter prefixes
// first.
std::vector<Route> mirrored_routes(const Underlay& underlay, const std::vector<Ifindex>& own_links,
                                   const std::vector<Route>& routes);

std::vector<Rule> underlay_rules(const Underlay& underlay);

}  // namespace greywire::links
