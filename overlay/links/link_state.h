// The state of this host's links as Greywire wants it and as the kernel has it: plain values, compared by
// link_plan.h.
//
// Whose is what. A link is ours when the desired state names it; the engine makes and closes the device, this
// folder only sets it up. Addresses, routes and rules are ours when they carry kProtocol (IFA_PROTO,
// rtm_protocol, FRA_PROTOCOL): so leftovers of a killed process are found again, and what an administrator or
// FRR added by hand is left alone. Also ours is every address of our link whose local address we want there,
// whoever made it: a dead peer's must go, and a second prefix on it (10.255.0.1/24) would cover the peers.
// IFA_PROTO needs Linux 5.18, and up to 6.2 an IPv4 address cannot be given one later.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "router/base/ids.h"
#include "router/base/ip_address.h"

namespace greywire::links {

// The number that marks our addresses, routes and rules. Free in Linux's rtnetlink.h and in FRR (which uses
// 186 to 198); FRR sees such routes as kernel routes.
inline constexpr std::uint8_t kProtocol = 200;

// Of bridges that we made (IFLA_GROUP, "group 26487" in `ip link`): those that nobody wants any more are removed.
inline constexpr std::uint32_t kBridgeGroup = 0x6777;

inline constexpr std::uint32_t kMainTable = 254;  // RT_TABLE_MAIN

// Our two rules a family: the lookup first, then the unreachable that keeps marked packets out of every other
// table. After `local` (0), before what wg-quick and most scripts use.
inline constexpr std::uint32_t kLookupPriority = 2600;
inline constexpr std::uint32_t kUnreachablePriority = 2601;

// Above this the mirrored underlay table is cut and the plan says so.
inline constexpr std::size_t kMaxMirroredRoutes = 10000;

using Ifindex = std::uint32_t;  // 0 is no interface

// `ip addr add LOCAL/length` when peer == local, else `ip addr add LOCAL peer PEER/length`.
struct LinkAddress {
  IpAddress local;
  IpAddress peer;
  unsigned length = 32;

  static LinkAddress plain(const IpAddress& address, unsigned length);
  static LinkAddress point_to_point(const IpAddress& local,
                                    const IpAddress& remote);  // a host prefix of the remote
  std::string to_string() const;                               // "10.0.0.1/24", "10.0.0.1 peer 10.0.0.2/32"
  friend auto operator<=>(const LinkAddress&, const LinkAddress&) = default;
};

// A VLAN of a bridge port. A frame without a tag that comes in is of the `pvid`; one of an `untagged` VLAN goes out without.
struct PortVlan {
  std::uint16_t vid = 1;  // 1 to 4094
  bool pvid = false;
  bool untagged = false;
  friend auto operator<=>(const PortVlan&, const PortVlan&) = default;
};

// A bridge that is made where there is none of this name; one that is there is left as it is.
struct BridgeSpec {
  std::string name;
  bool vlan_filtering = false;
  bool stp = false;
};

// One of our devices. What is not set is left as it is.
struct LinkSpec {
  std::string name;
  std::optional<Mtu> mtu;
  bool up = true;
  std::optional<bool> carrier;                // what the routing daemons see as link state
  bool no_automatic_link_local = false;       // addrgenmode none: the kernel's own are random and change
  std::optional<std::string> bridge;          // an existing bridge to be a port of; "" is none
  bool isolated = false;                      // as a port: frames go to no other isolated port
  std::optional<std::vector<PortVlan>> vlans;  // as a port of a bridge that filters VLANs: these and no others, by VID
  std::optional<std::uint32_t> gso_max_size;  // bytes of the largest super-frame, IPv4 and IPv6 alike
  std::optional<std::uint32_t> tx_queue_length;
  std::vector<LinkAddress> addresses;
};

// A route through one of our devices, without a gateway: static allowed-IPs, and IPv6 hosts behind a peer.
struct DeviceRoute {
  Prefix destination;
  std::string device;
  std::uint32_t metric = 0;  // IPv6 turns 0 into 1024
  std::uint32_t table = kMainTable;
  std::optional<IpAddress> preferred_source;
};

// The way of outer packets, which carry `mark`. See underlay.h for how it works and why.
struct Underlay {
  std::uint32_t mark = 0;
  std::uint32_t table = 0;
  bool mirror_main =
      true;  // keep `table` a copy of the main table without our links; false: the table is somebody's own
  friend bool operator==(const Underlay&, const Underlay&) = default;
};

struct DesiredLinks {
  std::vector<LinkSpec> links;
  std::vector<BridgeSpec> bridges;
  std::vector<DeviceRoute> routes;
  std::optional<Underlay> underlay;
  std::vector<Underlay> withdrawn;  // no longer used: their rules, and mirrored routes, are removed
};

enum class RouteKind : std::uint8_t {
  kUnicast = 1,
  kBlackhole = 6,
  kUnreachable = 7,
  kProhibit = 8
};  // RTN_*

struct NextHop {
  Ifindex ifindex = 0;
  std::optional<IpAddress> gateway;  // may be IPv6 for an IPv4 route (RTA_VIA)
  std::uint8_t weight = 1;           // 1 to 255 (rtnh_hops + 1, capped)
  bool onlink = false;
  friend bool operator==(const NextHop&, const NextHop&) = default;
};

struct Route {
  Prefix destination;
  std::uint32_t table = kMainTable;
  std::uint32_t metric = 0;
  RouteKind kind = RouteKind::kUnicast;
  std::vector<NextHop> next_hops;  // empty unless unicast
  std::optional<IpAddress> preferred_source;
  std::uint8_t protocol = kProtocol;

  std::string to_string() const;
  bool same_key(const Route& other) const;  // what the kernel holds apart: destination, table, metric
  friend bool operator==(const Route&, const Route&) = default;
};

// `ip rule add pref PRIORITY fwmark MARK lookup TABLE protocol PROTOCOL`; no table means unreachable.
struct Rule {
  Family family = Family::kV4;
  std::uint32_t priority = 0;
  std::uint32_t mark = 0;
  std::uint32_t mask = 0xffffffff;
  std::optional<std::uint32_t> table;
  std::uint8_t protocol = kProtocol;

  std::string to_string() const;
  friend auto operator<=>(const Rule&, const Rule&) = default;
};

struct ActualLink {
  Ifindex ifindex = 0;
  std::string name;
  std::string kind;  // IFLA_INFO_KIND: "tun", "bridge", "veth"; empty for hardware
  Mtu mtu;
  bool up = false;
  bool carrier = false;
  bool automatic_link_local = true;
  Ifindex master = 0;
  std::uint32_t group = 0;
  std::optional<bool> vlan_filtering;  // of a bridge
  bool isolated = false;               // of a port
  std::vector<PortVlan> vlans;         // of a port, by VID
  std::uint32_t gso_max_size = 0;
  std::optional<std::uint32_t> gso_ipv4_max_size;  // Linux 6.3
  std::uint32_t tx_queue_length = 0;
};

struct ActualAddress {
  Ifindex ifindex = 0;
  LinkAddress address;
  std::uint8_t protocol = 0;  // IFA_PROTO; kProtocol is ours, 3 (IFAPROT_KERNEL_LL) an automatic link-local
};

struct ActualLinks {
  std::vector<ActualLink> links;
  std::vector<ActualAddress> addresses;
  std::vector<Route> routes;  // ours, and those that ReadScope asks for
  std::vector<Rule> rules;

  const ActualLink* find(std::string_view name) const;  // valid until `links` changes
  const ActualLink* find(Ifindex ifindex) const;
};

// Which routes to read: the main table may hold a million learned through our own links, which nobody here
// looks at.
struct ReadScope {
  std::vector<std::string>
      own_links;  // main-table routes only through these are left out unless they are ours
  std::vector<std::uint32_t> tables;  // read whole
  bool main_table = false;
  bool port_vlans = false;
};
ReadScope scope_of(const DesiredLinks& desired);

}  // namespace greywire::links
