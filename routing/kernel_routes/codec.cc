#include "routing/kernel_routes/codec.h"

#include <fmt/format.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "routing/kernel_routes/attributes.h"

namespace greywire::routing::kernel {
namespace {

template <class Header>
const Header* header_of(const nlmsghdr* message) {
  if (nlmsg_valid_hdr(message, static_cast<int>(sizeof(Header))) == 0) return nullptr;
  return static_cast<const Header*>(nlmsg_data(message));
}

Error cut_short(const nlmsghdr* message) {
  return Error{fmt::format("an rtnetlink message of type {} and {} bytes cannot be read", message->nlmsg_type,
                           message->nlmsg_len)};
}

NextHop make_next_hop(std::uint32_t ifindex, const std::optional<IpAddress>& gateway, std::uint64_t weight) {
  NextHop hop;
  hop.kind = gateway ? NextHop::Kind::kGateway : NextHop::Kind::kInterface;
  hop.ifindex = ifindex;
  if (gateway) hop.gateway = *gateway;
  hop.weight = weight;
  return hop;
}

NextHop blackhole() {
  NextHop hop;
  hop.kind = NextHop::Kind::kBlackhole;
  return hop;
}

enum class Paths : std::uint8_t { kRead, kEncapsulated, kBroken };

Paths read_multipath(const nlattr* multipath, std::vector<NextHop>& hops) {
  auto left = static_cast<std::size_t>(nla_len(multipath));
  const auto* at = static_cast<const char*>(nla_data(multipath));
  while (left >= sizeof(rtnexthop)) {
    const auto* entry = reinterpret_cast<const rtnexthop*>(at);
    if (entry->rtnh_len < sizeof(rtnexthop) || entry->rtnh_len > left) return Paths::kBroken;
    Attributes attributes(RTA_MAX);
    if (!attributes.parse(at + sizeof(rtnexthop), static_cast<int>(entry->rtnh_len - sizeof(rtnexthop)))) return Paths::kBroken;
    if (attributes[RTA_ENCAP] != nullptr) return Paths::kEncapsulated;
    if ((entry->rtnh_flags & RTNH_F_DEAD) == 0) {
      hops.push_back(make_next_hop(static_cast<std::uint32_t>(entry->rtnh_ifindex),
                                   gateway_of(attributes, RTA_GATEWAY, RTA_VIA), entry->rtnh_hops + 1U));
    }
    const auto step = std::min<std::size_t>(NLMSG_ALIGN(entry->rtnh_len), left);
    at += step;
    left -= step;
  }
  return left == 0 ? Paths::kRead : Paths::kBroken;
}

// An all-zero destination has no RTA_DST.
std::optional<Prefix> destination_of(const rtmsg& header, const nlattr* attribute) {
  const unsigned bits = header.rtm_family == AF_INET ? 32 : 128;
  if (header.rtm_dst_len > bits) return std::nullopt;
  if (attribute == nullptr) {
    const std::array<std::uint8_t, 16> zero{};
    return Prefix(header.rtm_family == AF_INET ? IpAddress() : IpAddress::v6(zero), header.rtm_dst_len);
  }
  const auto address = address_from(attribute);
  if (!address || address->bits() != bits) return std::nullopt;
  return Prefix(*address, header.rtm_dst_len);
}

bool is_ours_to_read(const rtmsg& header) {
  if (header.rtm_family != AF_INET && header.rtm_family != AF_INET6) return false;
  if ((header.rtm_flags & RTM_F_CLONED) != 0 || header.rtm_src_len != 0 || header.rtm_tos != 0) return false;
  switch (header.rtm_type) {
    case RTN_UNSPEC:  // withdrawals of some programs
    case RTN_UNICAST:
    case RTN_BLACKHOLE:
    case RTN_UNREACHABLE:
    case RTN_PROHIBIT:
      return true;
    default:
      return false;
  }
}

}  // namespace

Bytes encode_dump(Dump what, std::uint32_t table, std::uint32_t sequence) {
  constexpr auto kAttribute = sizeof(nlattr) + sizeof(std::uint32_t);
  Bytes out(NLMSG_HDRLEN + sizeof(rtmsg) + kAttribute);
  nlmsghdr header{};
  header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header.nlmsg_seq = sequence;
  std::size_t size = NLMSG_HDRLEN;
  const auto add = [&](const auto& body) {
    std::memcpy(out.data() + size, &body, sizeof body);
    size += sizeof body;
  };
  switch (what) {
    case Dump::kLinks:
      header.nlmsg_type = RTM_GETLINK;
      add(ifinfomsg{});
      break;
    case Dump::kNextHops:
      header.nlmsg_type = RTM_GETNEXTHOP;
      add(nhmsg{});
      break;
    case Dump::kRoutesV4:
    case Dump::kRoutesV6: {
      header.nlmsg_type = RTM_GETROUTE;
      rtmsg body{};
      body.rtm_family = what == Dump::kRoutesV4 ? AF_INET : AF_INET6;
      if (table != 0 && table < 256) body.rtm_table = static_cast<unsigned char>(table);
      add(body);
      if (table != 0) {
        add(nlattr{kAttribute, RTA_TABLE});
        add(table);
      }
      break;
    }
  }
  header.nlmsg_len = static_cast<std::uint32_t>(size);
  std::memcpy(out.data(), &header, sizeof header);
  out.resize(size);
  return out;
}

Result<const nlmsghdr*> MessageReader::next() {
  if (rest_.empty()) return static_cast<const nlmsghdr*>(nullptr);
  const auto* header = reinterpret_cast<const nlmsghdr*>(rest_.data());
  if (rest_.size() < sizeof(nlmsghdr) || header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > rest_.size()) {
    return Error{fmt::format("{} bytes from the kernel are no rtnetlink message", rest_.size())};
  }
  rest_ = rest_.subspan(std::min<std::size_t>(NLMSG_ALIGN(header->nlmsg_len), rest_.size()));
  return header;
}

Result<std::optional<KernelRoute>> decode_route(const nlmsghdr* message) {
  const auto* header = header_of<rtmsg>(message);
  if (header == nullptr) return cut_short(message);
  if (!is_ours_to_read(*header)) return std::nullopt;
  Attributes attributes(RTA_MAX);
  if (!attributes.parse(message, sizeof(rtmsg))) return cut_short(message);
  if (attributes[RTA_ENCAP] != nullptr) return std::nullopt;
  const auto prefix = destination_of(*header, attributes[RTA_DST]);
  if (!prefix) return cut_short(message);
  KernelRoute route;
  route.prefix = *prefix;
  route.table = attributes.u32(RTA_TABLE).value_or(header->rtm_table);
  route.metric = attributes.u32(RTA_PRIORITY).value_or(0);
  route.protocol = header->rtm_protocol;
  route.next_hop_id = attributes.u32(RTA_NH_ID).value_or(0);
  if (header->rtm_type == RTN_UNSPEC) return route;
  if (header->rtm_type != RTN_UNICAST) {
    route.next_hops.push_back(blackhole());
  } else if (const auto* multipath = attributes[RTA_MULTIPATH]; multipath != nullptr) {
    const auto paths = read_multipath(multipath, route.next_hops);
    if (paths == Paths::kBroken) return cut_short(message);
    if (paths == Paths::kEncapsulated) return std::nullopt;
  } else if ((header->rtm_flags & RTNH_F_DEAD) == 0) {
    const auto gateway = gateway_of(attributes, RTA_GATEWAY, RTA_VIA);
    const auto ifindex = attributes.u32(RTA_OIF).value_or(0);
    if (gateway || ifindex != 0) route.next_hops.push_back(make_next_hop(ifindex, gateway, 1));
  }
  return route;
}

Result<std::optional<NextHopObject>> decode_next_hop(const nlmsghdr* message) {
  const auto* header = header_of<nhmsg>(message);
  if (header == nullptr) return cut_short(message);
  Attributes attributes(NHA_MAX);
  if (!attributes.parse(message, sizeof(nhmsg))) return cut_short(message);
  NextHopObject object;
  object.id = attributes.u32(NHA_ID).value_or(0);
  if (object.id == 0 || attributes[NHA_ENCAP] != nullptr) return std::nullopt;
  if (const auto* group = attributes[NHA_GROUP]; group != nullptr) {
    const auto count = static_cast<std::size_t>(nla_len(group)) / sizeof(nexthop_grp);
    for (std::size_t i = 0; i < count; ++i) {
      nexthop_grp member;
      std::memcpy(&member, static_cast<const char*>(nla_data(group)) + i * sizeof member, sizeof member);
      object.group.push_back({member.id, member.weight + 1U});
    }
    return object;
  }
  if (attributes[NHA_BLACKHOLE] != nullptr) {
    object.next_hop = blackhole();
  } else {
    object.next_hop = make_next_hop(attributes.u32(NHA_OIF).value_or(0), address_from(attributes[NHA_GATEWAY]), 1);
  }
  return object;
}

Result<std::optional<LinkState>> decode_link(const nlmsghdr* message) {
  const auto* header = header_of<ifinfomsg>(message);
  if (header == nullptr) return cut_short(message);
  if (header->ifi_family != AF_UNSPEC) return std::nullopt;  // a bridge's ports have messages of their own
  const bool up = (header->ifi_flags & IFF_UP) != 0 && (header->ifi_flags & IFF_RUNNING) != 0;
  return LinkState{static_cast<std::uint32_t>(header->ifi_index), up};
}

Result<int> decode_error(const nlmsghdr* message) {
  if (nlmsg_datalen(message) < static_cast<int>(sizeof(int))) {
    if (message->nlmsg_type == NLMSG_DONE) return 0;
    return cut_short(message);
  }
  int code = 0;
  std::memcpy(&code, nlmsg_data(message), sizeof code);
  return code < 0 ? -code : 0;
}

}  // namespace greywire::routing::kernel
