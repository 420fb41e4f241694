// Operations to rtnetlink messages, and rtnetlink messages to actual state. Pure: no socket.
//
// A decoder returns nothing for what does not concern us (cached routes, other families, tables of the
// kernel's own) and for a message that is cut short. Source: rtnetlink(7), linux/rtnetlink.h,
// linux/if_link.h, linux/fib_rules.h.
#pragma once

#include <optional>

#include "overlay/links/link_plan.h"
#include "overlay/links/netlink_socket.h"

namespace greywire::links {

NlMessage encode(const Operation& operation);

enum class Table : std::uint8_t { kLinks, kPorts, kAddresses, kRoutesV4, kRoutesV6, kRulesV4, kRulesV6 };
NlMessage encode_dump(Table table);

std::optional<ActualLink> decode_link(const nlmsghdr* header);
// VLANs of a bridge port, by VID, out of an entry of Table::kPorts.
struct DecodedPort {
  Ifindex ifindex = 0;
  std::vector<PortVlan> vlans;
};
std::optional<DecodedPort> decode_port(const nlmsghdr* header);
std::optional<ActualAddress> decode_address(const nlmsghdr* header);
std::optional<Route> decode_route(const nlmsghdr* header);
std::optional<Rule> decode_rule(const nlmsghdr* header);

}  // namespace greywire::links
