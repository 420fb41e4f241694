// LinkSystem over rtnetlink: the kernel of the network namespace in which open() was called.
//
// One instance, one thread (control). Sends by libnl; reads by dumps, so nothing is cached between calls.
// Errors say what could not be done to which thing, then the kernel's reason:
// "cannot set the MTU of gre-fra to 1392: mtu greater than device maximum". Error::code is the errno.
#pragma once

#include <memory>

#include "overlay/links/link_system.h"
#include "overlay/links/netlink_socket.h"

namespace greywire::links {

class LinkNetlink : public LinkSystem {
 public:
  static Result<std::unique_ptr<LinkNetlink>> open();

  Result<ActualLinks> read(const ReadScope& scope) override;
  Result<void> apply(const Operation& operation) override;

 private:
  explicit LinkNetlink(NetlinkSocket socket) : socket_(std::move(socket)) {}
  Result<bool> read_once(const ReadScope& scope, ActualLinks& actual);

  NetlinkSocket socket_;
};

}  // namespace greywire::links
