#include "overlay/links/link_netlink.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "overlay/links/netlink_codec.h"

namespace greywire::links {
namespace {

template <class T>
bool contains(const std::vector<T>& list, const T& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool is_wanted(const Route& route, const ReadScope& scope, const std::vector<Ifindex>& own) {
  if (route.protocol == kProtocol || contains(scope.tables, route.table)) return true;
  if (!scope.main_table || route.table != kMainTable) return false;
  return route.next_hops.empty() ||
         !std::all_of(route.next_hops.begin(), route.next_hops.end(),
                      [&](const NextHop& hop) { return contains(own, hop.ifindex); });
}

// What is as wanted already is no error: somebody else was faster, or the kernel took it along with something
// else.
bool is_done_already(const Operation& operation, int code) {
  if (std::holds_alternative<DeleteAddress>(operation)) return code == EADDRNOTAVAIL || code == ENODEV;
  if (std::holds_alternative<DeleteRoute>(operation)) return code == ESRCH || code == ENODEV;
  if (std::holds_alternative<DeleteRule>(operation)) return code == ENOENT;
  if (std::holds_alternative<AddRule>(operation)) return code == EEXIST;
  if (std::holds_alternative<CreateBridge>(operation)) return code == EEXIST;
  if (std::holds_alternative<DeleteBridge>(operation)) return code == ENODEV;
  if (std::holds_alternative<DeleteVlan>(operation)) return code == ENOENT || code == ENODEV;
  return false;
}

std::string_view way_out(const Operation& operation, int code) {
  if (std::holds_alternative<SetRoute>(operation) && code == EEXIST) {
    return "; another route with this destination and metric is there: remove it or choose another metric";
  }
  if (std::holds_alternative<SetAddress>(operation) && code == EACCES) {
    return "; IPv6 is switched off on this link: set net.ipv6.conf.<link>.disable_ipv6 to 0 or remove the "
           "address";
  }
  if (const auto* made = std::get_if<CreateBridge>(&operation); made != nullptr && code == EOPNOTSUPP) {
    return made->bridge.vlan_filtering ? "; this kernel has no bridges, or none that filter VLANs" : "; this kernel has no bridges";
  }
  if (std::holds_alternative<SetLink>(operation) && code == EBUSY)
    return "; it is in use: another master holds it";
  return "";
}

}  // namespace

Result<std::unique_ptr<LinkNetlink>> LinkNetlink::open() {
  auto socket = NetlinkSocket::open();
  if (!socket) return socket.error();
  return std::unique_ptr<LinkNetlink>(new LinkNetlink(std::move(*socket)));
}

Result<ActualLinks> LinkNetlink::read(const ReadScope& scope) {
  constexpr int kTries = 5;
  ActualLinks actual;
  for (int i = 0; i < kTries; ++i) {
    actual = {};
    const auto consistent = read_once(scope, actual);
    if (!consistent)
      return Error{"cannot read the links: " + consistent.error().text, consistent.error().code};
    if (*consistent)
      break;  // else the tables change without end: what was read is near enough, events follow
  }
  return actual;
}

Result<bool> LinkNetlink::read_once(const ReadScope& scope, ActualLinks& actual) {
  bool consistent = true;
  std::vector<Ifindex> own;
  const auto take = [&](Table table, const auto& each) -> Result<void> {
    const auto message = encode_dump(table);
    const auto result = socket_.dump(message.get(), each);
    if (!result) return result.error();
    consistent = consistent && *result;
    return {};
  };
  const auto link = [&](const nlmsghdr* header) {
    auto decoded = decode_link(header);
    if (!decoded) return;
    if (contains(scope.own_links, decoded->name)) own.push_back(decoded->ifindex);
    actual.links.push_back(std::move(*decoded));
  };
  const auto port = [&](const nlmsghdr* header) {
    const auto decoded = decode_port(header);
    if (!decoded) return;
    const auto it = std::find_if(actual.links.begin(), actual.links.end(),
                                 [&](const ActualLink& each) { return each.ifindex == decoded->ifindex; });
    if (it != actual.links.end()) it->vlans = decoded->vlans;
  };
  const auto address = [&](const nlmsghdr* header) {
    if (auto decoded = decode_address(header)) actual.addresses.push_back(*decoded);
  };
  const auto route = [&](const nlmsghdr* header) {
    auto decoded = decode_route(header);
    if (decoded && is_wanted(*decoded, scope, own)) actual.routes.push_back(std::move(*decoded));
  };
  const auto rule = [&](const nlmsghdr* header) {
    if (auto decoded = decode_rule(header)) actual.rules.push_back(*decoded);
  };
  if (auto r = take(Table::kLinks, link); !r) return r.error();
  if (scope.port_vlans) {
    if (auto r = take(Table::kPorts, port); !r) return r.error();
  }
  if (auto r = take(Table::kAddresses, address); !r) return r.error();
  for (const auto table : {Table::kRoutesV4, Table::kRoutesV6}) {
    if (auto r = take(table, route); !r) return r.error();
  }
  for (const auto table : {Table::kRulesV4, Table::kRulesV6}) {
    if (auto r = take(table, rule); !r) return r.error();
  }
  return consistent;
}

Result<void> LinkNetlink::apply(const Operation& operation) {
  const auto message = encode(operation);
  const auto result = socket_.request(message.get());
  if (result || is_done_already(operation, result.error().code)) return {};
  const auto& error = result.error();
  return Error{
      fmt::format("cannot {}: {}{}", describe(operation), error.text, way_out(operation, error.code)),
      error.code};
}

}  // namespace greywire::links
