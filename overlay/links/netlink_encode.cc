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
#include <new>

#include "overlay/links/netlink_codec.h"

namespace greywire::links {
namespace {

constexpr std::uint8_t kAddrGenModeEui64 = 0;  // IN6_ADDR_GEN_MODE_EUI64
constexpr std::uint8_t kAddrGenModeNone = 1;   // IN6_ADDR_GEN_MODE_NONE
constexpr unsigned char kScopeUniverse = RT_SCOPE_UNIVERSE;
constexpr unsigned char kScopeLink = RT_SCOPE_LINK;
constexpr std::size_t kMessageBytes = 16384;  // a route with 256 IPv6 next hops fits

// The header's field has 8 bits; the attribute beside it holds them all.
unsigned char short_table(std::uint32_t table) {
  return table < 256 ? static_cast<unsigned char>(table) : static_cast<unsigned char>(RT_TABLE_UNSPEC);
}

unsigned char kernel_family(Family family) {
  return family == Family::kV4 ? AF_INET : AF_INET6;
}

// nla_put fails only without memory: control path, so std::bad_alloc as everywhere else.
void check(int result) {
  if (result < 0) throw std::bad_alloc();
}

class MessageWriter {
 public:
  template <class Header>
  MessageWriter(int type, int flags, Header header) : message_(nlmsg_alloc_size(kMessageBytes)) {
    if (message_ == nullptr) throw std::bad_alloc();
    if (nlmsg_put(message_.get(), NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, NLM_F_REQUEST | flags) == nullptr)
      throw std::bad_alloc();
    check(nlmsg_append(message_.get(), &header, sizeof header, NLMSG_ALIGNTO));
  }
  MessageWriter& u8(int attribute, std::uint8_t value) { return put(attribute, &value, sizeof value); }
  MessageWriter& u32(int attribute, std::uint32_t value) { return put(attribute, &value, sizeof value); }
  MessageWriter& string(int attribute, const std::string& text) {
    return put(attribute, text.c_str(), static_cast<int>(text.size() + 1));
  }
  MessageWriter& address(int attribute, const IpAddress& a) {
    return put(attribute, a.bytes().data(), static_cast<int>(a.bytes().size()));
  }
  MessageWriter& put(int attribute, const void* bytes, int length) {
    check(nla_put(message_.get(), attribute, length, bytes));
    return *this;
  }
  nlattr* open(int attribute) {
    auto* nest = nla_nest_start(message_.get(), attribute);
    if (nest == nullptr) throw std::bad_alloc();
    return nest;
  }
  void close(nlattr* nest) { nla_nest_end(message_.get(), nest); }
  nl_msg* get() { return message_.get(); }
  NlMessage take() { return std::move(message_); }

 private:
  NlMessage message_;
};

NlMessage encode_op(const CreateBridge& op) {
  ifinfomsg header{};
  header.ifi_change = header.ifi_flags = IFF_UP;
  MessageWriter writer(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, header);
  writer.string(IFLA_IFNAME, op.bridge.name).u32(IFLA_GROUP, kBridgeGroup);
  auto* info = writer.open(IFLA_LINKINFO);
  writer.string(IFLA_INFO_KIND, "bridge");
  auto* bridge = writer.open(IFLA_INFO_DATA);
  // A kernel without VLANs on bridges refuses the attribute even where it says none.
  if (op.bridge.vlan_filtering) writer.u8(IFLA_BR_VLAN_FILTERING, 1);
  writer.u32(IFLA_BR_STP_STATE, op.bridge.stp ? 1 : 0);
  writer.close(bridge);
  writer.close(info);
  return writer.take();
}

NlMessage encode_op(const DeleteBridge& op) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(op.ifindex);
  return MessageWriter(RTM_DELLINK, 0, header).take();
}

NlMessage vlan_message(int type, Ifindex ifindex, const PortVlan& vlan) {
  ifinfomsg header{};
  header.ifi_family = AF_BRIDGE;
  header.ifi_index = static_cast<int>(ifindex);
  MessageWriter writer(type, 0, header);
  auto* bridge = writer.open(IFLA_AF_SPEC);
  bridge_vlan_info info{};
  info.vid = vlan.vid;
  info.flags = static_cast<std::uint16_t>((vlan.pvid ? BRIDGE_VLAN_INFO_PVID : 0) |
                                          (vlan.untagged ? BRIDGE_VLAN_INFO_UNTAGGED : 0));
  writer.put(IFLA_BRIDGE_VLAN_INFO, &info, sizeof info);
  writer.close(bridge);
  return writer.take();
}

NlMessage encode_op(const SetVlan& op) { return vlan_message(RTM_SETLINK, op.ifindex, op.vlan); }
NlMessage encode_op(const DeleteVlan& op) { return vlan_message(RTM_DELLINK, op.ifindex, {op.vid}); }

NlMessage encode_op(const SetLink& op) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = static_cast<int>(op.ifindex);
  if (op.field == LinkField::kUp) {
    header.ifi_change = IFF_UP;
    header.ifi_flags = op.value != 0 ? static_cast<unsigned>(IFF_UP) : 0U;
  }
  MessageWriter writer(RTM_NEWLINK, 0, header);
  switch (op.field) {
    case LinkField::kUp:
      break;
    case LinkField::kMtu:
      writer.u32(IFLA_MTU, op.value);
      break;
    case LinkField::kGsoMaxSize:
      writer.u32(IFLA_GSO_MAX_SIZE, op.value);  // IPv4's own limit, where there is one, follows up to 65536
      break;
    case LinkField::kTxQueueLength:
      writer.u32(IFLA_TXQLEN, op.value);
      break;
    case LinkField::kMaster:
      writer.u32(IFLA_MASTER, op.value);
      break;
    case LinkField::kIsolated: {
      auto* info = writer.open(IFLA_LINKINFO);
      writer.string(IFLA_INFO_SLAVE_KIND, "bridge");
      auto* port = writer.open(IFLA_INFO_SLAVE_DATA);
      writer.u8(IFLA_BRPORT_ISOLATED, op.value != 0 ? 1 : 0);
      writer.close(port);
      writer.close(info);
      break;
    }
    case LinkField::kCarrier:
      writer.u8(IFLA_CARRIER, op.value != 0 ? 1 : 0);
      break;
    case LinkField::kAutomaticLinkLocal: {
      auto* families = writer.open(IFLA_AF_SPEC);
      auto* inet6 = writer.open(AF_INET6);
      writer.u8(IFLA_INET6_ADDR_GEN_MODE, op.value != 0 ? kAddrGenModeEui64 : kAddrGenModeNone);
      writer.close(inet6);
      writer.close(families);
      break;
    }
  }
  return writer.take();
}

MessageWriter address_message(int type, int flags, Ifindex ifindex, const LinkAddress& address) {
  ifaddrmsg header{};
  header.ifa_family = kernel_family(address.local.family());
  header.ifa_prefixlen = static_cast<unsigned char>(address.length);
  header.ifa_index = ifindex;
  const bool link_local = address.local.is_link_local();
  header.ifa_scope = link_local ? kScopeLink : kScopeUniverse;
  MessageWriter writer(type, flags, header);
  writer.address(IFA_LOCAL, address.local).address(IFA_ADDRESS, address.peer);
  return writer;
}

NlMessage encode_op(const SetAddress& op) {
  auto writer = address_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, op.ifindex, op.address);
  // Nobody else can have the address: it comes with the peer's key. An address under test could not be used
  // for a second.
  if (op.address.local.is_v6()) writer.u32(IFA_FLAGS, IFA_F_NODAD);
  writer.u8(IFA_PROTO, kProtocol);
  return writer.take();
}

NlMessage encode_op(const DeleteAddress& op) {
  return address_message(RTM_DELADDR, 0, op.ifindex, op.address).take();
}

void put_gateway(MessageWriter& writer, Family family, const IpAddress& gateway) {
  if (gateway.family() == family) {
    writer.address(RTA_GATEWAY, gateway);
    return;
  }
  std::array<std::uint8_t, 18> via{};  // struct rtvia: family in host order, then the address
  const std::uint16_t via_family = kernel_family(gateway.family());
  std::memcpy(via.data(), &via_family, sizeof via_family);
  const auto bytes = gateway.bytes();
  std::copy(bytes.begin(), bytes.end(), via.begin() + 2);
  writer.put(RTA_VIA, via.data(), static_cast<int>(2 + bytes.size()));
}

void put_multipath(MessageWriter& writer, Family family, const std::vector<NextHop>& hops) {
  auto* nest = writer.open(RTA_MULTIPATH);
  for (const auto& hop : hops) {
    const auto offset = nlmsg_hdr(writer.get())->nlmsg_len;
    auto* entry = static_cast<rtnexthop*>(nlmsg_reserve(writer.get(), sizeof(rtnexthop), NLMSG_ALIGNTO));
    if (entry == nullptr) throw std::bad_alloc();
    entry->rtnh_flags = hop.onlink ? RTNH_F_ONLINK : 0;
    entry->rtnh_hops = static_cast<unsigned char>(hop.weight - 1);
    entry->rtnh_ifindex = static_cast<int>(hop.ifindex);
    if (hop.gateway) put_gateway(writer, family, *hop.gateway);
    entry->rtnh_len = static_cast<unsigned short>(nlmsg_hdr(writer.get())->nlmsg_len - offset);
  }
  writer.close(nest);
}

MessageWriter route_message(int type, int flags, const Route& route) {
  const auto family = route.destination.family();
  const auto& hops = route.next_hops;
  const bool direct =
      route.kind == RouteKind::kUnicast &&
      std::none_of(hops.begin(), hops.end(), [](const NextHop& hop) { return hop.gateway.has_value(); });
  rtmsg header{};
  header.rtm_family = kernel_family(family);
  header.rtm_dst_len = static_cast<unsigned char>(route.destination.length());
  header.rtm_table = short_table(route.table);
  header.rtm_protocol = route.protocol;
  header.rtm_type = static_cast<unsigned char>(route.kind);
  header.rtm_scope = direct && family == Family::kV4 ? kScopeLink : kScopeUniverse;
  if (hops.size() == 1 && hops.front().onlink) header.rtm_flags = RTNH_F_ONLINK;
  MessageWriter writer(type, flags, header);
  writer.u32(RTA_TABLE, route.table);
  if (route.destination.length() != 0) writer.address(RTA_DST, route.destination.address());
  if (route.metric != 0) writer.u32(RTA_PRIORITY, route.metric);
  if (route.preferred_source) writer.address(RTA_PREFSRC, *route.preferred_source);
  if (hops.size() == 1) {
    writer.u32(RTA_OIF, hops.front().ifindex);
    if (hops.front().gateway) put_gateway(writer, family, *hops.front().gateway);
  } else if (!hops.empty()) {
    put_multipath(writer, family, hops);
  }
  return writer;
}

NlMessage encode_op(const SetRoute& op) {
  return route_message(RTM_NEWROUTE, NLM_F_CREATE | (op.replace ? NLM_F_REPLACE : NLM_F_EXCL), op.route)
      .take();
}

NlMessage encode_op(const DeleteRoute& op) {
  return route_message(RTM_DELROUTE, 0, op.route).take();
}

NlMessage rule_message(int type, int flags, const Rule& rule) {
  fib_rule_hdr header{};
  header.family = kernel_family(rule.family);
  header.table = short_table(rule.table.value_or(0));
  header.action = rule.table ? FR_ACT_TO_TBL : FR_ACT_UNREACHABLE;
  MessageWriter writer(type, flags, header);
  writer.u32(FRA_PRIORITY, rule.priority).u32(FRA_FWMARK, rule.mark).u32(FRA_FWMASK, rule.mask);
  if (rule.table) writer.u32(FRA_TABLE, *rule.table);
  writer.u8(FRA_PROTOCOL, rule.protocol);
  return writer.take();
}

NlMessage encode_op(const AddRule& op) {
  return rule_message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, op.rule);
}
NlMessage encode_op(const DeleteRule& op) {
  return rule_message(RTM_DELRULE, 0, op.rule);
}

}  // namespace

NlMessage encode(const Operation& operation) {
  return std::visit([](const auto& op) { return encode_op(op); }, operation);
}

NlMessage encode_dump(Table table) {
  switch (table) {
    case Table::kLinks:
      return MessageWriter(RTM_GETLINK, 0, ifinfomsg{}).take();
    case Table::kPorts: {
      ifinfomsg header{};
      header.ifi_family = AF_BRIDGE;
      return MessageWriter(RTM_GETLINK, 0, header).u32(IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN).take();
    }
    case Table::kAddresses:
      return MessageWriter(RTM_GETADDR, 0, ifaddrmsg{}).take();
    case Table::kRoutesV4:
    case Table::kRoutesV6: {
      rtmsg header{};
      header.rtm_family = table == Table::kRoutesV4 ? AF_INET : AF_INET6;
      return MessageWriter(RTM_GETROUTE, 0, header).take();
    }
    case Table::kRulesV4:
    case Table::kRulesV6: {
      fib_rule_hdr header{};
      header.family = table == Table::kRulesV4 ? AF_INET : AF_INET6;
      return MessageWriter(RTM_GETRULE, 0, header).take();
    }
  }
  return nullptr;
}

}  // namespace greywire::links
