// Brings what routers say about outer packets of ours that were too big. A raw socket a family, which the kernel filters
// down to such messages about datagrams from our port: a host's other ICMP wakes nobody.
//
// Why not the error queue of the UDP sockets (IP_RECVERR): with it every ICMP error about our port, which anybody can
// forge, makes a send and a receive of the data path fail once and takes from its receive buffer.
// Sources: Linux raw(7), icmp(7), RFC 3542 §3.2 (ICMP6_FILTER). Protocol thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "router/base/ip_address.h"
#include "router/base/result.h"

namespace greywire::engine {

class IcmpSocket {
 public:
  static constexpr std::size_t kMaxMessage = 2048;  // longer ones are cut; what matters is in front

  // For reports about datagrams from `port`. `bind_device` as for UDP, empty: none. Errors: EPERM without CAP_NET_RAW,
  // EAFNOSUPPORT where the family is switched off.
  static Result<IcmpSocket> open(Family family, std::uint16_t port, const std::string& bind_device);

  IcmpSocket(IcmpSocket&& other) noexcept;
  IcmpSocket& operator=(IcmpSocket&& other) noexcept;
  ~IcmpSocket();

  int fd() const { return fd_; }
  Family family() const { return family_; }
  // Never blocks. One message as pmtu::parse_too_big() takes it; empty when none waits.
  std::span<const std::uint8_t> receive(std::span<std::uint8_t> into) noexcept;

 private:
  IcmpSocket() = default;
  int fd_ = -1;
  Family family_ = Family::kV4;
};

}  // namespace greywire::engine
