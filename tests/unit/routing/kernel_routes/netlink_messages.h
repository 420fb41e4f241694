// rtnetlink messages as the kernel would send them, and a kernel that answers dumps from a list.
#pragma once

#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <vector>

#include "routing/kernel_routes/codec.h"

namespace greywire::routing::kernel::test {

class Message {
 public:
  template <class Body>
  Message(unsigned type, unsigned flags, const Body& body, std::uint32_t sequence = 0) : bytes_(NLMSG_HDRLEN) {
    header_.nlmsg_type = static_cast<std::uint16_t>(type);
    header_.nlmsg_flags = static_cast<std::uint16_t>(flags);
    header_.nlmsg_seq = sequence;
    append(&body, sizeof body);
  }
  Message& attribute(unsigned type, const void* data, std::size_t size) {
    const rtattr header{static_cast<unsigned short>(sizeof(rtattr) + size), static_cast<unsigned short>(type)};
    append(&header, sizeof header);
    append(data, size);
    return *this;
  }
  Message& u32(unsigned type, std::uint32_t value) { return attribute(type, &value, sizeof value); }
  Message& address(unsigned type, const std::string& text) {
    const auto a = IpAddress::parse(text).value();
    return attribute(type, a.data(), a.bits() / 8);
  }
  Message& nest(unsigned type, const Bytes& inside) { return attribute(type | NLA_F_NESTED, inside.data(), inside.size()); }
  Bytes bytes() const {
    Bytes out = bytes_;
    auto header = header_;
    header.nlmsg_len = static_cast<std::uint32_t>(out.size());
    std::memcpy(out.data(), &header, sizeof header);
    return out;
  }

 private:
  void append(const void* data, std::size_t size) {
    const auto* p = static_cast<const std::uint8_t*>(data);
    bytes_.insert(bytes_.end(), p, p + size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  nlmsghdr header_{};
  Bytes bytes_;
};

struct Hop {
  std::string gateway;  // empty: none
  std::uint32_t ifindex = 7;
  unsigned char weight = 1;
  unsigned char flags = 0;
};

struct RouteSpec {
  std::string prefix;
  std::vector<Hop> hops;
  std::uint32_t metric = 0;
  unsigned char protocol = RTPROT_BIRD;
  std::uint32_t table = kMainTable;
  std::uint32_t object = 0;
  unsigned char type = RTN_UNICAST;
  unsigned flags = 0;  // of the header
  bool deleted = false;
};

inline void add_gateway(Message& message, const std::string& gateway, Family family) {
  const auto address = IpAddress::parse(gateway).value();
  if (address.family() == family) {
    message.address(RTA_GATEWAY, gateway);
    return;
  }
  Bytes via(2 + address.bits() / 8);
  const std::uint16_t of = AF_INET6;
  std::memcpy(via.data(), &of, 2);
  std::memcpy(via.data() + 2, address.data(), address.bits() / 8);
  message.attribute(RTA_VIA, via.data(), via.size());
}

inline Bytes route(const RouteSpec& spec, std::uint32_t sequence = 0) {
  const auto prefix = Prefix::parse(spec.prefix).value();
  rtmsg body{};
  body.rtm_family = prefix.family() == Family::kV4 ? AF_INET : AF_INET6;
  body.rtm_dst_len = static_cast<unsigned char>(prefix.length());
  body.rtm_table = static_cast<unsigned char>(spec.table < 256 ? spec.table : RT_TABLE_COMPAT);
  body.rtm_protocol = spec.protocol;
  body.rtm_type = spec.type;
  if (spec.hops.size() == 1) body.rtm_flags = spec.hops.front().flags;
  Message message(spec.deleted ? RTM_DELROUTE : RTM_NEWROUTE, spec.flags, body, sequence);
  message.u32(RTA_TABLE, spec.table);
  if (prefix.length() != 0) message.attribute(RTA_DST, prefix.address().data(), prefix.address().bits() / 8);
  if (spec.metric != 0) message.u32(RTA_PRIORITY, spec.metric);
  if (spec.object != 0) message.u32(RTA_NH_ID, spec.object);
  if (spec.hops.size() == 1) {
    if (!spec.hops.front().gateway.empty()) add_gateway(message, spec.hops.front().gateway, prefix.family());
    message.u32(RTA_OIF, spec.hops.front().ifindex);
  } else if (!spec.hops.empty()) {
    Bytes paths;
    for (const auto& hop : spec.hops) {
      rtnexthop entry{};
      entry.rtnh_ifindex = static_cast<int>(hop.ifindex);
      entry.rtnh_hops = static_cast<unsigned char>(hop.weight - 1);
      entry.rtnh_flags = hop.flags;
      Message inside(0, 0, entry);
      if (!hop.gateway.empty()) add_gateway(inside, hop.gateway, prefix.family());
      Bytes bytes = inside.bytes();
      bytes.erase(bytes.begin(), bytes.begin() + NLMSG_HDRLEN);
      const auto length = static_cast<unsigned short>(bytes.size());
      std::memcpy(bytes.data(), &length, sizeof length);
      paths.insert(paths.end(), bytes.begin(), bytes.end());
    }
    message.nest(RTA_MULTIPATH, paths);
  }
  return message.bytes();
}

inline Bytes next_hop(std::uint32_t id, const std::string& gateway, std::uint32_t ifindex = 7, unsigned flags = 0,
                      std::uint32_t sequence = 0) {
  nhmsg body{};
  body.nh_family = AF_INET;
  Message message(RTM_NEWNEXTHOP, flags, body, sequence);
  return message.u32(NHA_ID, id).address(NHA_GATEWAY, gateway).u32(NHA_OIF, ifindex).bytes();
}

inline Bytes next_hop_group(std::uint32_t id, const std::vector<std::pair<std::uint32_t, unsigned char>>& members) {
  std::vector<nexthop_grp> group;
  for (const auto& [member, weight] : members) {
    nexthop_grp entry{};
    entry.id = member;
    entry.weight = static_cast<unsigned char>(weight - 1);
    group.push_back(entry);
  }
  Message message(RTM_NEWNEXTHOP, 0, nhmsg{});
  return message.u32(NHA_ID, id).attribute(NHA_GROUP, group.data(), group.size() * sizeof(nexthop_grp)).bytes();
}

inline Bytes next_hop_gone(std::uint32_t id) { return Message(RTM_DELNEXTHOP, 0, nhmsg{}).u32(NHA_ID, id).bytes(); }

inline Bytes link(std::uint32_t ifindex, bool up, bool deleted = false, unsigned flags = 0, std::uint32_t sequence = 0) {
  ifinfomsg body{};
  body.ifi_index = static_cast<int>(ifindex);
  body.ifi_flags = up ? IFF_UP | IFF_RUNNING : 0;
  return Message(deleted ? RTM_DELLINK : RTM_NEWLINK, flags, body, sequence).bytes();
}

inline Bytes done(std::uint32_t sequence, int code = 0) { return Message(NLMSG_DONE, NLM_F_MULTI, code, sequence).bytes(); }
inline Bytes error(std::uint32_t sequence, int code) {
  nlmsgerr body{};
  body.error = -code;
  return Message(NLMSG_ERROR, 0, body, sequence).bytes();
}

// The same message as a part of a dump.
inline Bytes part_of(Bytes bytes, std::uint32_t sequence) {
  nlmsghdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  header.nlmsg_seq = sequence;
  header.nlmsg_flags = NLM_F_MULTI;
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

inline Bytes operator+(Bytes one, const Bytes& other) {
  one.insert(one.end(), other.begin(), other.end());
  return one;
}

}  // namespace greywire::routing::kernel::test
