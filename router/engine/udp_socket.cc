// Opening and configuring underlay sockets. Receiving is in receive_batch.cc, sending in udp_send.cc.
#include "router/engine/udp_socket.h"

#include <fcntl.h>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/pkt_sched.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "router/crypto/system_random.h"
#include "router/engine/udp_send_state.h"
#include "router/packet/ip_header.h"

namespace greywire::engine {
namespace {

constexpr unsigned kOldMaxSegments = 64;  // UDP_MAX_SEGMENTS before Linux 6.9
constexpr unsigned kNewMaxSegments = 128;
constexpr int kPairTries = 100;  // to find a port that is free in both families
constexpr int kHandshakeBuffer = 128 << 10;  // some 300 handshake messages
// Of bulk, where routing traffic has sockets of its own and overtakes it. What is passed must lie within the peer's replay
// window, for the kernel 8128 datagrams; the kernel doubles the figure, and counts a full datagram as some 1.5 KB.
constexpr int kBulkSendBuffer = 2 << 20;
constexpr unsigned kHandshakeSocketsLog2 = 5;
static_assert(1U << kHandshakeSocketsLog2 == UdpSocket::kHandshakeSockets);

int native(Family family) {
  return family == Family::kV4 ? AF_INET : AF_INET6;
}
std::string_view family_name(Family family) {
  return family == Family::kV4 ? "IPv4" : "IPv6";
}

socklen_t make_address(Family family, bool loopback, std::uint16_t port, sockaddr_storage& out) {
  out = {};
  if (family == Family::kV4) {
    auto& a = reinterpret_cast<sockaddr_in&>(out);
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(loopback ? INADDR_LOOPBACK : INADDR_ANY);
    return sizeof a;
  }
  auto& a = reinterpret_cast<sockaddr_in6&>(out);
  a.sin6_family = AF_INET6;
  a.sin6_port = htons(port);
  a.sin6_addr = loopback ? in6addr_loopback : in6addr_any;
  return sizeof a;
}

// Sends one train of 128 single bytes to itself over loopback; an older kernel refuses it. Where loopback is
// down the smaller limit is assumed: it is right everywhere.
unsigned probe_max_segments(Family family) {
  const int fd = ::socket(native(family), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return kOldMaxSegments;
  sockaddr_storage address;
  socklen_t size = make_address(family, true, 0, address);
  const int segment = 1;
  const char train[kNewMaxSegments] = {};
  const bool taken = ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
                     ::setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment) == 0 &&
                     ::sendto(fd, train, sizeof train, 0, reinterpret_cast<sockaddr*>(&address), size) > 0;
  ::close(fd);
  return taken ? kNewMaxSegments : kOldMaxSegments;
}

// Of each of the sockets for data, all of which an attacker may fill: together they take a 16th of the memory at most. The
// kernel doubles the figure.
int lane_buffer(unsigned workers) {
  constexpr int kMost = 16 << 20, kLeast = 128 << 10;
  struct sysinfo machine {};
  if (::sysinfo(&machine) != 0) return kMost;
  const std::uint64_t bytes = std::uint64_t{machine.totalram} * machine.mem_unit;
  const std::uint64_t each = bytes / 16 / (std::uint64_t{workers} * UdpSocket::kDataLanes * 2) / 2;
  return static_cast<int>(std::clamp<std::uint64_t>(each, kLeast, kMost));
}

void set_buffer(int fd, int forced, int plain, int bytes) {
  if (::setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) != 0) {
    ::setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof bytes);
  }
}

}  // namespace

UdpSocket::UdpSocket() : state_(std::make_unique<SendState>()) {}

UdpSocket::UdpSocket(UdpSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      family_(other.family_),
      port_(other.port_),
      ds_field_(other.ds_field_),
      gso_(other.gso_),
      max_segments_(other.max_segments_),
      state_(std::move(other.state_)) {}

UdpSocket& UdpSocket::operator=(UdpSocket&& other) noexcept {
  if (this == &other) return *this;
  if (fd_ >= 0) ::close(fd_);
  fd_ = std::exchange(other.fd_, -1);
  family_ = other.family_;
  port_ = other.port_;
  ds_field_ = other.ds_field_;
  gso_ = other.gso_;
  max_segments_ = other.max_segments_;
  state_ = std::move(other.state_);
  return *this;
}

UdpSocket::~UdpSocket() {
  if (fd_ >= 0) ::close(fd_);
}

namespace {

// Of what open_group() made for one family.
struct FamilySockets {
  std::vector<UdpSocket> data, routing;
  std::optional<UdpSocket> control;
};

std::size_t group_size(unsigned workers) {
  return (UdpSocket::kDataLanes + 1) * workers + 1 + UdpSocket::kHandshakeSockets;
}

// Shares out a group where the kernel can steer; else only those for data are kept.
FamilySockets share_out(std::vector<UdpSocket> group, unsigned workers, std::uint32_t key,
                        std::vector<UdpSocket>& handshakes) {
  FamilySockets out;
  auto next = std::make_move_iterator(group.begin());
  const bool steered = group.front().steer(workers, key);
  const unsigned lanes = steered ? UdpSocket::kDataLanes * workers : workers;
  out.data.assign(next, next + lanes);
  if (!steered) return out;
  const int receive_buffer = lane_buffer(workers);
  for (UdpSocket& socket : out.data) {
    set_buffer(socket.fd(), SO_SNDBUFFORCE, SO_SNDBUF, kBulkSendBuffer);
    set_buffer(socket.fd(), SO_RCVBUFFORCE, SO_RCVBUF, receive_buffer);
  }
  next += lanes;
  out.routing.assign(next, next + workers);
  next += workers;
  for (UdpSocket& socket : out.routing) socket.go_first(kCs6);
  out.control.emplace(*next++);
  for (auto end = std::make_move_iterator(group.end()); next != end; ++next) {
    set_buffer(next->fd(), SO_RCVBUFFORCE, SO_RCVBUF, kHandshakeBuffer);
    handshakes.push_back(*next);
  }
  return out;
}

}  // namespace

bool UdpSocket::set_flag(int level, int name, int value) {
  return ::setsockopt(fd_, level, name, &value, sizeof value) == 0;
}

Result<void> UdpSocket::set_mark(std::uint32_t fwmark) {
  if (set_flag(SOL_SOCKET, SO_MARK, static_cast<int>(fwmark))) return {};
  const int code = errno;
  return Error{fmt::format("cannot mark outer packets with {:#x}: {}", fwmark,
                           code == EPERM ? "this needs root or CAP_NET_ADMIN" : std::strerror(code)),
               code};
}

void UdpSocket::go_first(std::uint8_t ds_field) {
  if (ds_field == ds_field_) return;
  const bool v4 = family_ == Family::kV4;
  set_flag(v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS, ds_field);
  set_flag(SOL_SOCKET, SO_PRIORITY, TC_PRIO_CONTROL);  // after IP_TOS, which sets it too
  ds_field_ = ds_field;
}

Result<UdpSocket> UdpSocket::duplicate() const {
  UdpSocket s;
  s.fd_ = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (s.fd_ < 0) return Error{fmt::format("cannot duplicate a UDP socket: {}", std::strerror(errno)), errno};
  s.family_ = family_;
  s.port_ = port_;
  s.ds_field_ = ds_field_;
  s.gso_ = gso_;
  s.max_segments_ = max_segments_;
  return s;
}

Result<UdpSocket> UdpSocket::open_unbound(Family family, const Options& options) {
  UdpSocket s;
  s.family_ = family;
  s.fd_ = ::socket(native(family), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (s.fd_ < 0) {
    const int code = errno;
    return Error{fmt::format("cannot open an {} UDP socket: {}", family_name(family), std::strerror(code)),
                 code};
  }
  const bool ok = family == Family::kV4
                      ? s.set_flag(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE) &&
                            s.set_flag(IPPROTO_IP, IP_PKTINFO, 1) && s.set_flag(IPPROTO_IP, IP_RECVTOS, 1)
                      : s.set_flag(IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
                            s.set_flag(IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE) &&
                            s.set_flag(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
                            s.set_flag(IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  if (!ok) {
    const int code = errno;
    return Error{
        fmt::format("cannot configure an {} UDP socket: {}", family_name(family), std::strerror(code)), code};
  }
  s.set_flag(SOL_UDP, UDP_GRO, 1);  // an optimization: a kernel without it brings single datagrams
  set_buffer(s.fd_, SO_RCVBUFFORCE, SO_RCVBUF, options.buffer_bytes);
  set_buffer(s.fd_, SO_SNDBUFFORCE, SO_SNDBUF, options.buffer_bytes);
  if (options.fwmark != 0) {
    if (auto r = s.set_mark(options.fwmark); !r) return r.error();
  }
  if (!options.bind_device.empty() &&
      ::setsockopt(s.fd_, SOL_SOCKET, SO_BINDTODEVICE, options.bind_device.data(),
                   static_cast<socklen_t>(options.bind_device.size())) != 0) {
    const int code = errno;
    return Error{fmt::format("cannot bind the underlay to {}: {}", options.bind_device,
                             code == ENODEV  ? "there is no such interface"
                             : code == EPERM ? "this needs root or CAP_NET_ADMIN"
                                             : std::strerror(code)),
                 code};
  }
  if (options.reuse_port) s.set_flag(SOL_SOCKET, SO_REUSEPORT, 1);
  return s;
}

Result<void> UdpSocket::bind_to(std::uint16_t port) {
  sockaddr_storage address;
  socklen_t size = make_address(family_, false, port, address);
  if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0) {
    const int code = errno;
    if (code == EADDRINUSE) {
      return Error{
          fmt::format("UDP port {} ({}) is in use by another process; stop it or choose another listen port",
                      port, family_name(family_)),
          code};
    }
    return Error{
        fmt::format("cannot bind UDP port {} ({}): {}{}", port, family_name(family_), std::strerror(code),
                    code == EACCES ? "; ports below 1024 need root or CAP_NET_BIND_SERVICE" : ""),
        code};
  }
  ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
  // sin_port and sin6_port are in the same place.
  port_ = ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);
  return {};
}

Result<UdpSocket> UdpSocket::open(Family family, std::uint16_t port, const Options& options) {
  auto s = open_unbound(family, options);
  if (!s) return s;
  if (auto bound = s->bind_to(port); !bound) return bound.error();
  s->max_segments_ = probe_max_segments(family);
  return s;
}

Result<std::vector<UdpSocket>> UdpSocket::open_group(Family family, std::uint16_t port, unsigned count,
                                                     const Options& options) {
  Options alone = options;
  alone.reuse_port = false;
  auto first = open(family, port, alone);
  if (!first) return first.error();
  if (count > 1 && !first->set_flag(SOL_SOCKET, SO_REUSEPORT, 1)) {
    return Error{fmt::format("cannot share UDP port {} among workers: {}", port, std::strerror(errno)),
                 errno};
  }
  std::vector<UdpSocket> group;
  group.reserve(count);
  const auto shared_port = first->port();
  const auto max_segments = first->max_segments();
  group.push_back(std::move(*first));
  alone.reuse_port = true;
  for (unsigned i = 1; i < count; ++i) {
    auto next = open_unbound(family, alone);
    if (!next) return next.error();
    if (auto bound = next->bind_to(shared_port); !bound) return bound.error();
    next->max_segments_ = max_segments;
    group.push_back(std::move(*next));
  }
  return group;
}

bool UdpSocket::steer(unsigned workers, std::uint32_t key) {
  // Byte 0 of the payload is the message type, bytes 4 and 5 the low ones of the receiver index. The source is in the IP header:
  // 12 bytes into IPv4's, the upper half of 8 bytes into IPv6's. A payload that is shorter ends the program with 0, the
  // first socket. The DS field is byte 1 of IPv4's, 4 bits into IPv6's. Selection by hash, as GRO looks sockets up, does no
  // harm.
  constexpr std::uint32_t kTransportData = 4;
  constexpr std::uint32_t kGoldenRatio = 0x9e3779b1;
  const std::uint32_t data = workers * kDataLanes;
  constexpr auto kNetworkHeader = static_cast<std::uint32_t>(SKF_NET_OFF);
  const bool v4 = family_ == Family::kV4;
  const std::uint32_t first = kNetworkHeader + (v4 ? 12 : 8), second = v4 ? first : first + 4;
  const std::uint32_t odd = key | 1;
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kTransportData, 14, 0),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, first),
      BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, odd),
      BPF_STMT(BPF_MISC | BPF_TAX, 0),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, second),
      BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
      BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, key),
      BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, kGoldenRatio),
      BPF_STMT(BPF_MISC | BPF_TAX, 0),
      BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 15),
      BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
      BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, odd),
      BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 32 - kHandshakeSocketsLog2),
      BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, data + workers + 1),
      BPF_STMT(BPF_RET | BPF_A, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kNetworkHeader),
      BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, v4 ? 0U : 4U),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kCs6, 3, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
      BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, data),
      BPF_STMT(BPF_RET | BPF_A, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
      BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, workers),
      BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, data),
      BPF_STMT(BPF_RET | BPF_A, 0),
  };
  const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
  return ::setsockopt(fd_, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof filter) == 0;
}

Result<UnderlaySockets> open_underlay(std::uint16_t port, unsigned count, const UdpSocketOptions& options) {
  const std::uint32_t key = SystemRandom().next_u32();
  const auto group = static_cast<unsigned>(group_size(count));
  for (int tries = 1;; ++tries) {
    auto v4 = UdpSocket::open_group(Family::kV4, port, group, options);
    if (!v4) return v4.error();
    UnderlaySockets sockets;
    sockets.port = v4->front().port();
    const auto share = [&](std::vector<UdpSocket> all, auto& data, auto& routing, auto& control) {
      auto shared = share_out(std::move(all), count, key, sockets.handshakes);
      data = std::move(shared.data);
      routing = std::move(shared.routing);
      if (shared.control) control.emplace(std::move(*shared.control));
    };
    share(std::move(*v4), sockets.v4, sockets.routing_v4, sockets.control_v4);
    auto v6 = UdpSocket::open_group(Family::kV6, sockets.port, group, options);
    if (v6) {
      share(std::move(*v6), sockets.v6, sockets.routing_v6, sockets.control_v6);
      return sockets;
    }
    if (v6.error().code == EAFNOSUPPORT) return sockets;
    // The kernel chose a number that is free for IPv4 only: let it choose another.
    if (port != 0 || v6.error().code != EADDRINUSE || tries == kPairTries) return v6.error();
  }
}

}  // namespace greywire::engine
