#include "overlay/links/netlink_socket.h"

#include <fmt/format.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace greywire::links {
namespace {

constexpr int kReceiveBufferBytes = 1 << 20;

// The explanation follows the errno and the header of our message (the whole of it, without NETLINK_CAP_ACK).
std::string explanation(const nlmsghdr* header, const nlmsgerr* answer) {
  if ((header->nlmsg_flags & NLM_F_ACK_TLVS) != 0) {
    std::size_t skip = sizeof(nlmsgerr);
    if ((header->nlmsg_flags & NLM_F_CAPPED) == 0) skip += answer->msg.nlmsg_len - sizeof(nlmsghdr);
    const auto length = static_cast<std::size_t>(nlmsg_datalen(header));
    if (skip < length) {
      const auto* start =
          reinterpret_cast<const nlattr*>(reinterpret_cast<const char*>(answer) + NLMSG_ALIGN(skip));
      const auto* text = nla_find(start, static_cast<int>(length - NLMSG_ALIGN(skip)), NLMSGERR_ATTR_MSG);
      if (text != nullptr) return nla_get_string(text);
    }
  }
  return std::strerror(-answer->error);
}

Error from_answer(const nlmsghdr* header) {
  if (nlmsg_datalen(header) < static_cast<int>(sizeof(nlmsgerr)))
    return {"a netlink answer that is cut short", EPROTO};
  const auto* answer = static_cast<const nlmsgerr*>(nlmsg_data(header));
  if (answer->error == 0) return {};
  auto text = explanation(header, answer);
  if (answer->error == -EPERM) text += "; run greywired as root or with CAP_NET_ADMIN";
  return {std::move(text), -answer->error};
}

}  // namespace

Result<NetlinkSocket> NetlinkSocket::open() {
  NlSocket socket(nl_socket_alloc());
  if (socket == nullptr) return Error{"no memory for a netlink socket", ENOMEM};
  if (const int error = nl_connect(socket.get(), NETLINK_ROUTE); error < 0) {
    return Error{fmt::format("cannot open a netlink socket: {}", nl_geterror(error)), errno};
  }
  const int fd = nl_socket_get_fd(socket.get());
  const int on = 1;
  // Both only improve what the kernel tells; one that does not know them works without.
  (void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  (void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  (void)nl_socket_set_buffer_size(socket.get(), kReceiveBufferBytes, 0);
  nl_socket_enable_msg_peek(socket.get());
  return NetlinkSocket(std::move(socket));
}

Result<void> NetlinkSocket::request(nl_msg* message) {
  nlmsg_hdr(message)->nlmsg_flags |= NLM_F_ACK;
  const auto result = exchange(message, [](const nlmsghdr*) {});
  if (!result) return result.error();
  return {};
}

Result<bool> NetlinkSocket::dump(nl_msg* message, const std::function<void(const nlmsghdr*)>& each) {
  nlmsg_hdr(message)->nlmsg_flags |= NLM_F_DUMP;
  return exchange(message, each);
}

Result<bool> NetlinkSocket::exchange(nl_msg* message, const std::function<void(const nlmsghdr*)>& each) {
  if (const int error = nl_send_auto(socket_.get(), message); error < 0) {
    return Error{fmt::format("netlink: {}", nl_geterror(error)), EIO};
  }
  const auto sequence = nlmsg_hdr(message)->nlmsg_seq;
  bool consistent = true;
  for (;;) {
    sockaddr_nl from{};
    unsigned char* raw = nullptr;
    const int received = nl_recv(socket_.get(), &from, &raw, nullptr);
    const std::unique_ptr<unsigned char, decltype(&std::free)> buffer(raw, &std::free);
    if (received < 0) return Error{fmt::format("netlink: {}", nl_geterror(received)), EIO};
    if (received == 0) return Error{"the netlink socket was closed", EPIPE};
    int left = received;
    for (auto* header = reinterpret_cast<nlmsghdr*>(raw); nlmsg_ok(header, left);
         header = nlmsg_next(header, &left)) {
      if (header->nlmsg_seq != sequence) continue;  // the rest of an exchange that failed before
      if ((header->nlmsg_flags & NLM_F_DUMP_INTR) != 0) consistent = false;
      if (header->nlmsg_type == NLMSG_DONE) return consistent;
      if (header->nlmsg_type == NLMSG_ERROR) {
        auto error = from_answer(header);
        if (error.code != 0) return error;
        return consistent;
      }
      each(header);
    }
  }
}

}  // namespace greywire::links
