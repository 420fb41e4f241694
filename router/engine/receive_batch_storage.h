// The inside of a ReceiveBatch: what recvmmsg() reads and writes. For router/engine alone.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdlib>
#include <memory>

#include "router/engine/receive_batch.h"

namespace greywire::engine {

struct ReceiveBatch::Storage {
  // UDP_GRO, packet info and traffic class of either family.
  struct Control {
    alignas(cmsghdr) std::uint8_t bytes[CMSG_SPACE(sizeof(in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int))];
  };
  struct Free {
    void operator()(std::uint8_t* p) const { std::free(p); }
  };

  std::unique_ptr<std::uint8_t, Free> region;
  std::size_t capacity = 0;
  std::size_t size = 0;
  std::array<ReceivedMessage, kMaxMessages> received;
  std::array<mmsghdr, kMaxMessages> messages{};
  std::array<iovec, kMaxMessages> parts{};
  std::array<sockaddr_storage, kMaxMessages> sources{};
  std::array<Control, kMaxMessages> control;
};

}  // namespace greywire::engine
