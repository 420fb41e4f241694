// rtnetlink messages of the kernel's routing tables, next hop objects and links: requests as bytes, and what comes back.
// Pure. Source: rtnetlink(7), linux/rtnetlink.h, linux/nexthop.h.
//
// A decoder says nothing (nullopt) of what is none of our business: other families, cached routes, local and multicast
// ones, those of a type of service, with an encapsulation or for a source. An error is a message that cannot be.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "router/base/result.h"
#include "routing/route.h"

struct nlmsghdr;

namespace greywire::routing::kernel {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::uint32_t kMainTable = 254;  // RT_TABLE_MAIN

enum class Dump : std::uint8_t { kLinks, kNextHops, kRoutesV4, kRoutesV6 };
// The kernel selects by table where it can (NETLINK_GET_STRICT_CHK); 0: all tables.
Bytes encode_dump(Dump what, std::uint32_t table, std::uint32_t sequence);

// Cuts what one read gave into messages. They are valid as long as the bytes, which are aligned for nlmsghdr.
class MessageReader {
 public:
  explicit MessageReader(std::span<const std::uint8_t> bytes) : rest_(bytes) {}
  Result<const nlmsghdr*> next();  // null: no more

 private:
  std::span<const std::uint8_t> rest_;
};

struct KernelRoute {
  Prefix prefix;
  std::uint32_t table = 0;
  std::uint32_t metric = 0;
  std::uint8_t protocol = 0;        // rtm_protocol
  std::uint32_t next_hop_id = 0;    // of a next hop object; 0: none
  std::vector<NextHop> next_hops;   // those alive; with an object, only where the kernel spells it out
};
Result<std::optional<KernelRoute>> decode_route(const nlmsghdr* message);  // RTM_NEWROUTE and RTM_DELROUTE

// A next hop, or a group of others.
struct NextHopObject {
  struct Member {
    std::uint32_t id = 0;
    std::uint32_t weight = 1;
    friend bool operator==(const Member&, const Member&) = default;
  };
  std::uint32_t id = 0;
  NextHop next_hop;
  std::vector<Member> group;  // not empty: a group
  friend bool operator==(const NextHopObject&, const NextHopObject&) = default;
};
Result<std::optional<NextHopObject>> decode_next_hop(const nlmsghdr* message);  // RTM_NEWNEXTHOP, RTM_DELNEXTHOP

struct LinkState {
  std::uint32_t ifindex = 0;
  bool up = false;  // administratively, and with a carrier
};
Result<std::optional<LinkState>> decode_link(const nlmsghdr* message);  // RTM_NEWLINK and RTM_DELLINK

// The errno of NLMSG_ERROR, and of NLMSG_DONE where the kernel gives one; 0: none.
Result<int> decode_error(const nlmsghdr* message);

}  // namespace greywire::routing::kernel
