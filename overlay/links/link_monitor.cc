#include "overlay/links/link_monitor.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "overlay/links/netlink_codec.h"

namespace greywire::links {
namespace {

constexpr int kReceiveBufferBytes = 4 << 20;  // BGP may change thousands of routes at once

bool concerns_us(nlmsghdr* header, const std::vector<Ifindex>& own_links) {
  // A deletion has the same body; the decoder wants to see an announcement.
  header->nlmsg_type = RTM_NEWROUTE;
  const auto route = decode_route(header);
  if (!route) return false;
  if (route->protocol == kProtocol) return true;
  if (route->table != kMainTable) return false;
  const auto is_own = [&](const NextHop& hop) {
    return std::find(own_links.begin(), own_links.end(), hop.ifindex) != own_links.end();
  };
  return route->next_hops.empty() || !std::all_of(route->next_hops.begin(), route->next_hops.end(), is_own);
}

void note(nlmsghdr* header, const std::vector<Ifindex>& own_links, LinkChanges& changes) {
  switch (header->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      changes.links = true;
      break;
    case RTM_NEWADDR:
    case RTM_DELADDR:
      changes.addresses = true;
      break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      changes.routes = changes.routes || concerns_us(header, own_links);
      break;
    case RTM_NEWRULE:
    case RTM_DELRULE:
      changes.rules = true;
      break;
    default:
      break;
  }
}

}  // namespace

Result<LinkMonitor> LinkMonitor::open() {
  NlSocket socket(nl_socket_alloc());
  if (socket == nullptr) return Error{"no memory for a netlink socket", ENOMEM};
  nl_socket_disable_seq_check(socket.get());
  int error = nl_connect(socket.get(), NETLINK_ROUTE);
  constexpr std::array kGroups = {RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                                  RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,  RTNLGRP_IPV4_RULE,
                                  RTNLGRP_IPV6_RULE};
  for (const auto group : kGroups) {
    if (error >= 0) error = nl_socket_add_membership(socket.get(), group);
  }
  if (error >= 0) error = nl_socket_set_nonblocking(socket.get());
  if (error < 0) return Error{fmt::format("cannot watch the kernel's links: {}", nl_geterror(error)), EIO};
  (void)nl_socket_set_buffer_size(socket.get(), kReceiveBufferBytes, 0);
  nl_socket_enable_msg_peek(socket.get());
  return LinkMonitor(std::move(socket));
}

int LinkMonitor::fd() const {
  return nl_socket_get_fd(socket_.get());
}

Result<LinkChanges> LinkMonitor::drain(const std::vector<Ifindex>& own_links) {
  LinkChanges changes;
  for (;;) {
    sockaddr_nl from{};
    unsigned char* raw = nullptr;
    const int received = nl_recv(socket_.get(), &from, &raw, nullptr);
    const std::unique_ptr<unsigned char, decltype(&std::free)> buffer(raw, &std::free);
    if (received == -NLE_AGAIN || received == 0) return changes;
    if (received == -NLE_NOMEM) {  // ENOBUFS
      changes.lost = true;
      continue;
    }
    if (received < 0)
      return Error{fmt::format("cannot watch the kernel's links: {}", nl_geterror(received)), EIO};
    int left = received;
    for (auto* header = reinterpret_cast<nlmsghdr*>(raw); nlmsg_ok(header, left);
         header = nlmsg_next(header, &left)) {
      note(header, own_links, changes);
    }
  }
}

}  // namespace greywire::links
