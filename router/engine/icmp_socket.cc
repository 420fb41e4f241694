#include "router/engine/icmp_socket.h"

#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

namespace greywire::engine {
namespace {

constexpr int kBuffer = 64 * 1024;
constexpr std::uint32_t kAccept = 0xffffffff;

// The data of an IPv4 raw socket begins with the IP header: unreachable, fragmentation needed, about UDP from `port`.
bool filter_v4(int fd, std::uint16_t port) {
  constexpr std::uint32_t kFragmentationNeeded = 4;
  sock_filter program[] = {
      BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),                             // x: length of the IP header
      BPF_STMT(BPF_LD | BPF_B | BPF_IND, 1),                              // ICMP code
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kFragmentationNeeded, 0, 9),
      BPF_STMT(BPF_LD | BPF_B | BPF_IND, 8 + 9),                          // quoted protocol
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 7),
      BPF_STMT(BPF_LD | BPF_B | BPF_IND, 8),                              // quoted version and header length
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf),
      BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 2),
      BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
      BPF_STMT(BPF_MISC | BPF_TAX, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, 8),                              // quoted source port
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, kAccept),
  };
  const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
  icmp_filter types{~(1U << ICMP_DEST_UNREACH)};
  return ::setsockopt(fd, SOL_RAW, ICMP_FILTER, &types, sizeof types) == 0 &&
         ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0;
}

// That of an IPv6 one begins with the ICMPv6 header.
bool filter_v6(int fd, std::uint16_t port) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 8 + 6),  // quoted next header
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 2),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 8 + 40),  // quoted source port
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, kAccept),
  };
  const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
  icmp6_filter types;
  ICMP6_FILTER_SETBLOCKALL(&types);
  ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &types);
  return ::setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &types, sizeof types) == 0 &&
         ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0;
}

}  // namespace

Result<IcmpSocket> IcmpSocket::open(Family family, std::uint16_t port, const std::string& bind_device) {
  IcmpSocket s;
  s.family_ = family;
  const bool v4 = family == Family::kV4;
  s.fd_ = ::socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
  const bool bound = s.fd_ >= 0 && (bind_device.empty() ||
                                    ::setsockopt(s.fd_, SOL_SOCKET, SO_BINDTODEVICE, bind_device.data(),
                                                 static_cast<socklen_t>(bind_device.size())) == 0);
  if (!bound || !(v4 ? filter_v4(s.fd_, port) : filter_v6(s.fd_, port))) {
    const int code = errno;
    return Error{fmt::format("cannot listen to what routers say about packets that are too big: {}",
                             code == EPERM ? "this needs root or CAP_NET_RAW" : std::strerror(code)),
                 code};
  }
  ::setsockopt(s.fd_, SOL_SOCKET, SO_RCVBUF, &kBuffer, sizeof kBuffer);
  return s;
}

IcmpSocket::IcmpSocket(IcmpSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)), family_(other.family_) {}

IcmpSocket& IcmpSocket::operator=(IcmpSocket&& other) noexcept {
  if (this == &other) return *this;
  if (fd_ >= 0) ::close(fd_);
  fd_ = std::exchange(other.fd_, -1);
  family_ = other.family_;
  return *this;
}

IcmpSocket::~IcmpSocket() {
  if (fd_ >= 0) ::close(fd_);
}

std::span<const std::uint8_t> IcmpSocket::receive(std::span<std::uint8_t> into) noexcept {
  ssize_t n;
  do n = ::recv(fd_, into.data(), into.size(), MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n <= 0) return {};
  return into.first(static_cast<std::size_t>(n));
}

}  // namespace greywire::engine
