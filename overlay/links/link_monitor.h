// Tells that something changed in the kernel's links, addresses, routes or rules, so that the owner
// reconciles.
//
// The owner watches fd() for reading and calls drain(). It holds no state: the changes are merged into flags,
// and the answer to each is to read again. Routes through our own links that are not ours (BGP's, up to a
// million) raise no flag. IPv4 routes that the kernel drops with a link or an address are not announced
// (hence links and addresses count).
#pragma once

#include <vector>

#include "overlay/links/link_state.h"
#include "overlay/links/netlink_socket.h"

namespace greywire::links {

struct LinkChanges {
  bool links = false;
  bool addresses = false;
  bool routes = false;
  bool rules = false;
  bool lost = false;  // the socket overflowed: anything may have changed
  bool any() const { return links || addresses || routes || rules || lost; }
};

// One thread (control).
class LinkMonitor {
 public:
  static Result<LinkMonitor> open();

  int fd() const;  // non-blocking, valid as long as the monitor
  // Reads all that waits. Also the changes that we made ourselves are among them; reconciling after them does
  // nothing.
  Result<LinkChanges> drain(const std::vector<Ifindex>& own_links);

 private:
  explicit LinkMonitor(NlSocket socket) : socket_(std::move(socket)) {}

  NlSocket socket_;
};

}  // namespace greywire::links
