// A NETLINK_ROUTE socket that asks and waits for the answer, with the kernel's own errno and explanation.
#pragma once

#include <netlink/msg.h>
#include <netlink/netlink.h>

#include <functional>
#include <memory>
#include <string>

#include "router/base/result.h"

namespace greywire::links {

struct NlMessageDeleter {
  void operator()(nl_msg* message) const { nlmsg_free(message); }
};
using NlMessage = std::unique_ptr<nl_msg, NlMessageDeleter>;

struct NlSocketDeleter {
  void operator()(nl_sock* socket) const { nl_socket_free(socket); }
};
using NlSocket = std::unique_ptr<nl_sock, NlSocketDeleter>;

// One thread. Blocks until the kernel has answered.
class NetlinkSocket {
 public:
  static Result<NetlinkSocket> open();

  // Sends and waits for the acknowledgement. The error's code is the kernel's errno, its text the kernel's
  // explanation (NETLINK_EXT_ACK) or strerror.
  Result<void> request(nl_msg* message);

  // Calls `each` for every message of the dump. False: the kernel's tables changed meanwhile
  // (NLM_F_DUMP_INTR), ask again.
  Result<bool> dump(nl_msg* message, const std::function<void(const nlmsghdr*)>& each);

 private:
  explicit NetlinkSocket(NlSocket socket) : socket_(std::move(socket)) {}
  Result<bool> exchange(nl_msg* message, const std::function<void(const nlmsghdr*)>& each);

  NlSocket socket_;
};

}  // namespace greywire::links
