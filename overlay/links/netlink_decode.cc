#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "overlay/links/netlink_codec.h"
#include "routing/kernel_routes/attributes.h"

namespace greywire::links {
namespace {

using routing::kernel::address_from;
using routing::kernel::Attributes;

constexpr int kGsoIpv4MaxSize = 63;  // IFLA_GSO_IPV4_MAX_SIZE, Linux 6.3
constexpr std::uint8_t kAddrGenModeNone = 1;

bool has_header(const nlmsghdr* header, std::size_t bytes) {
  return nlmsg_valid_hdr(header, static_cast<int>(bytes)) != 0;
}

bool automatic_link_local(const nlattr* af_spec) {
  Attributes families(AF_INET6);
  if (af_spec == nullptr || !families.parse(af_spec) || families[AF_INET6] == nullptr) return true;
  Attributes inet6(IFLA_INET6_MAX);
  if (!inet6.parse(families[AF_INET6])) return true;
  return inet6.u8(IFLA_INET6_ADDR_GEN_MODE).value_or(0) != kAddrGenModeNone;
}

void decode_link_info(const nlattr* nest, ActualLink& link) {
  Attributes info(IFLA_INFO_MAX);
  if (nest == nullptr || !info.parse(nest)) return;
  link.kind = info.string(IFLA_INFO_KIND);
  Attributes bridge(IFLA_BR_MAX), port(IFLA_BRPORT_MAX);
  if (link.kind == "bridge" && info[IFLA_INFO_DATA] != nullptr && bridge.parse(info[IFLA_INFO_DATA])) {
    link.vlan_filtering = bridge.u8(IFLA_BR_VLAN_FILTERING).value_or(0) != 0;
  }
  if (info.string(IFLA_INFO_SLAVE_KIND) == "bridge" && info[IFLA_INFO_SLAVE_DATA] != nullptr &&
      port.parse(info[IFLA_INFO_SLAVE_DATA])) {
    link.isolated = port.u8(IFLA_BRPORT_ISOLATED).value_or(0) != 0;
  }
}

std::optional<IpAddress> gateway_of(const Attributes& attributes) {
  return routing::kernel::gateway_of(attributes, RTA_GATEWAY, RTA_VIA);
}

// False when the route is more than we can hold: an encapsulation on a next hop.
bool decode_multipath(const nlattr* multipath, std::vector<NextHop>& hops) {
  auto left = static_cast<std::size_t>(nla_len(multipath));
  const auto* p = static_cast<const char*>(nla_data(multipath));
  while (left >= sizeof(rtnexthop)) {
    const auto* entry = reinterpret_cast<const rtnexthop*>(p);
    if (entry->rtnh_len < sizeof(rtnexthop) || entry->rtnh_len > left) return false;
    Attributes attributes(RTA_MAX);
    if (!attributes.parse(p + sizeof(rtnexthop), static_cast<int>(entry->rtnh_len - sizeof(rtnexthop)))) return false;
    if (attributes[RTA_ENCAP] != nullptr) return false;
    if ((entry->rtnh_flags & RTNH_F_DEAD) == 0) {
      const auto weight = static_cast<std::uint8_t>(std::min(entry->rtnh_hops + 1, 255));
      hops.push_back({static_cast<Ifindex>(entry->rtnh_ifindex), gateway_of(attributes), weight,
                      (entry->rtnh_flags & RTNH_F_ONLINK) != 0});
    }
    const auto step = std::min<std::size_t>(NLMSG_ALIGN(entry->rtnh_len), left);
    p += step;
    left -= step;
  }
  return true;
}

bool is_route_kind(unsigned char type) {
  return type == RTN_UNICAST || type == RTN_BLACKHOLE || type == RTN_UNREACHABLE || type == RTN_PROHIBIT;
}

// An all-zero destination has no RTA_DST.
std::optional<Prefix> destination_of(const rtmsg& header, const nlattr* attribute) {
  if (attribute == nullptr) {
    const std::array<std::uint8_t, 16> zero{};
    return Prefix(header.rtm_family == AF_INET ? IpAddress() : IpAddress::v6(zero), header.rtm_dst_len);
  }
  const auto address = address_from(attribute);
  if (!address) return std::nullopt;
  return Prefix(*address, header.rtm_dst_len);
}

}  // namespace

std::optional<ActualLink> decode_link(const nlmsghdr* header) {
  if (header->nlmsg_type != RTM_NEWLINK || !has_header(header, sizeof(ifinfomsg))) return std::nullopt;
  const auto* info = static_cast<const ifinfomsg*>(nlmsg_data(header));
  Attributes attributes(IFLA_MAX + 16);
  if (!attributes.parse(header, sizeof(ifinfomsg))) return std::nullopt;
  ActualLink link;
  link.ifindex = static_cast<Ifindex>(info->ifi_index);
  link.name = attributes.string(IFLA_IFNAME);
  decode_link_info(attributes[IFLA_LINKINFO], link);
  link.group = attributes.u32(IFLA_GROUP).value_or(0);
  link.mtu = Mtu{attributes.u32(IFLA_MTU).value_or(0)};
  link.up = (info->ifi_flags & IFF_UP) != 0;
  link.carrier = attributes.u8(IFLA_CARRIER).value_or(0) != 0;
  link.automatic_link_local = automatic_link_local(attributes[IFLA_AF_SPEC]);
  link.master = attributes.u32(IFLA_MASTER).value_or(0);
  link.gso_max_size = attributes.u32(IFLA_GSO_MAX_SIZE).value_or(0);
  link.gso_ipv4_max_size = attributes.u32(kGsoIpv4MaxSize);
  link.tx_queue_length = attributes.u32(IFLA_TXQLEN).value_or(0);
  return link;
}

std::optional<DecodedPort> decode_port(const nlmsghdr* header) {
  if (header->nlmsg_type != RTM_NEWLINK || !has_header(header, sizeof(ifinfomsg))) return std::nullopt;
  const auto* info = static_cast<const ifinfomsg*>(nlmsg_data(header));
  Attributes attributes(IFLA_MAX);
  if (info->ifi_family != AF_BRIDGE || !attributes.parse(header, sizeof(ifinfomsg))) return std::nullopt;
  DecodedPort port{static_cast<Ifindex>(info->ifi_index), {}};
  if (attributes[IFLA_AF_SPEC] == nullptr) return port;
  auto* nest = const_cast<nlattr*>(attributes[IFLA_AF_SPEC]);
  int left = nla_len(nest);
  for (auto* entry = static_cast<nlattr*>(nla_data(nest)); nla_ok(entry, left) != 0; entry = nla_next(entry, &left)) {
    bridge_vlan_info vlan{};
    if (nla_type(entry) != IFLA_BRIDGE_VLAN_INFO || nla_len(entry) < static_cast<int>(sizeof vlan)) continue;
    std::memcpy(&vlan, nla_data(entry), sizeof vlan);
    port.vlans.push_back({vlan.vid, (vlan.flags & BRIDGE_VLAN_INFO_PVID) != 0, (vlan.flags & BRIDGE_VLAN_INFO_UNTAGGED) != 0});
  }
  std::sort(port.vlans.begin(), port.vlans.end());
  return port;
}

std::optional<ActualAddress> decode_address(const nlmsghdr* header) {
  if (header->nlmsg_type != RTM_NEWADDR || !has_header(header, sizeof(ifaddrmsg))) return std::nullopt;
  const auto* info = static_cast<const ifaddrmsg*>(nlmsg_data(header));
  if (info->ifa_family != AF_INET && info->ifa_family != AF_INET6) return std::nullopt;
  Attributes attributes(IFA_MAX);
  if (!attributes.parse(header, sizeof(ifaddrmsg))) return std::nullopt;
  const auto peer = address_from(attributes[IFA_ADDRESS]);
  const auto local = address_from(attributes[IFA_LOCAL]);  // IPv6 has none unless it is point-to-point
  if (!peer && !local) return std::nullopt;
  return ActualAddress{info->ifa_index,
                       {local.value_or(peer.value_or(IpAddress())),
                        peer.value_or(local.value_or(IpAddress())), info->ifa_prefixlen},
                       attributes.u8(IFA_PROTO).value_or(0)};
}

std::optional<Route> decode_route(const nlmsghdr* header) {
  if (header->nlmsg_type != RTM_NEWROUTE || !has_header(header, sizeof(rtmsg))) return std::nullopt;
  const auto* info = static_cast<const rtmsg*>(nlmsg_data(header));
  if (info->rtm_family != AF_INET && info->rtm_family != AF_INET6) return std::nullopt;
  if (!is_route_kind(info->rtm_type) || (info->rtm_flags & RTM_F_CLONED) != 0) return std::nullopt;
  if (info->rtm_src_len != 0 || info->rtm_tos != 0) return std::nullopt;
  Attributes attributes(RTA_MAX);
  if (!attributes.parse(header, sizeof(rtmsg)) || attributes[RTA_ENCAP] != nullptr) return std::nullopt;
  Route route;
  const auto destination = destination_of(*info, attributes[RTA_DST]);
  if (!destination) return std::nullopt;
  route.destination = *destination;
  route.table = attributes.u32(RTA_TABLE).value_or(info->rtm_table);
  route.metric = attributes.u32(RTA_PRIORITY).value_or(0);
  route.kind = static_cast<RouteKind>(info->rtm_type);
  route.preferred_source = address_from(attributes[RTA_PREFSRC]);
  route.protocol = info->rtm_protocol;
  if (route.kind != RouteKind::kUnicast) return route;
  if (attributes[RTA_MULTIPATH] != nullptr) {
    if (!decode_multipath(attributes[RTA_MULTIPATH], route.next_hops)) return std::nullopt;
  } else if ((info->rtm_flags & RTNH_F_DEAD) == 0) {
    route.next_hops.push_back({attributes.u32(RTA_OIF).value_or(0), gateway_of(attributes), 1,
                               (info->rtm_flags & RTNH_F_ONLINK) != 0});
  }
  return route;
}

std::optional<Rule> decode_rule(const nlmsghdr* header) {
  if (header->nlmsg_type != RTM_NEWRULE || !has_header(header, sizeof(fib_rule_hdr))) return std::nullopt;
  const auto* info = static_cast<const fib_rule_hdr*>(nlmsg_data(header));
  if (info->family != AF_INET && info->family != AF_INET6) return std::nullopt;
  Attributes attributes(FRA_MAX);
  if (!attributes.parse(header, sizeof(fib_rule_hdr))) return std::nullopt;
  Rule rule;
  rule.family = info->family == AF_INET ? Family::kV4 : Family::kV6;
  rule.priority = attributes.u32(FRA_PRIORITY).value_or(0);
  rule.mark = attributes.u32(FRA_FWMARK).value_or(0);
  rule.mask = attributes.u32(FRA_FWMASK).value_or(0);
  if (info->action == FR_ACT_TO_TBL) rule.table = attributes.u32(FRA_TABLE).value_or(info->table);
  rule.protocol = attributes.u8(FRA_PROTOCOL).value_or(0);
  return rule;
}

}  // namespace greywire::links
