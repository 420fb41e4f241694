// UDP sockets of the underlay: trains of equally long datagrams go out by UDP_SEGMENT and come in by UDP_GRO,
// many trains a system call. Sources: Linux udp(7), ip(7), ipv6(7), recvmmsg(2), sendmmsg(2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "router/base/ip_address.h"
#include "router/base/result.h"
#include "router/engine/receive_batch.h"

namespace greywire::engine {

struct UdpSocketOptions {
  std::uint32_t fwmark = 0;    // SO_MARK of everything sent; 0 is none
  std::string bind_device;     // interface or VRF name; empty is none
  bool reuse_port = false;     // set before bind: joins a group that is there
  int buffer_bytes = 7 << 20;  // each way; beyond the system's limit where CAP_NET_ADMIN allows it
};

// Datagrams to one destination: `size` bytes cut into pieces of `segment_size`, the last one may be shorter.
// Any size: what exceeds one system call's limits is spread over several. `bytes` must live until send()
// returns.
struct SendTrain {
  Endpoint destination;
  IpAddress local;  // source address, where has_local (the "sticky source")
  std::uint32_t local_ifindex =
      0;  // used for link-local addresses only: elsewhere routing picks the interface
  bool has_local = false;
  const std::uint8_t* bytes = nullptr;
  std::uint32_t size = 0;
  std::uint16_t segment_size =
      0;  // 0, or >= size: one datagram (at most 65,507 bytes over IPv4, 65,487 over IPv6)
  std::uint8_t ds_field = 0;  // DSCP and ECN of the outer header
  // The destination has just answered: the kernel need not ask for its neighbour's link-layer address again (MSG_CONFIRM). For
  // a train that is sent alone.
  bool confirmed = false;
};

// What became of one train. On an error, `sent_bytes` from its start were taken and the rest was given up.
struct TrainOutcome {
  int error = 0;  // 0, or an errno: EMSGSIZE a datagram beyond the interface's MTU, EAGAIN no room, …
  std::uint32_t sent_bytes = 0;
  bool clear_source =
      false;  // the sticky source is not valid any more; it was sent without: forget the source
};

struct SendResult {
  unsigned sent = 0;                       // trains taken whole
  int error = 0;                           // the first train's that failed, else 0
  bool clear_source = false;               // some train's
  std::span<const TrainOutcome> outcomes;  // one a train, in order; valid until the next send()
};

// One socket of one family. One thread at a time; but receive() and send() may run on two threads at once,
// since they share no state here. Move-only.
class UdpSocket {
 public:
  using Options = UdpSocketOptions;
  static constexpr std::size_t kMaxTrains = 64;  // of one send()
  static constexpr unsigned kHandshakeSockets = 32;  // a power of two
  static constexpr unsigned kDataLanes = 16;         // sockets for data of each worker

  // Bound to the wildcard address. Port 0 lets the kernel choose: see port(). Nonblocking, IPv6 only for
  // IPv6, never fragmented outside (IP_PMTUDISC_PROBE). Errors: EADDRINUSE naming the port, EPERM for a mark
  // or device without CAP_NET_ADMIN, ENODEV for an unknown device, EAFNOSUPPORT where the family is switched
  // off.
  static Result<UdpSocket> open(Family family, std::uint16_t port, const Options& options);
  // `count` >= 1 sockets of one port, among which the kernel spreads peers by flow. The first is bound alone,
  // so that a port which another process holds is an error even if that process shares ports.
  static Result<std::vector<UdpSocket>> open_group(Family family, std::uint16_t port, unsigned count,
                                                   const Options& options);

  UdpSocket(UdpSocket&& other) noexcept;
  UdpSocket& operator=(UdpSocket&& other) noexcept;
  ~UdpSocket();

  int fd() const { return fd_; }  // for epoll; stays owned by this object
  Family family() const { return family_; }
  std::uint16_t port() const { return port_; }
  bool gso() const { return gso_; }  // false once the path turned out to have no checksum offload
  unsigned max_segments() const { return max_segments_; }  // of one system call, as probed: 64 or 128
  Result<void> set_mark(std::uint32_t fwmark);
  // For a member of a group of `workers` * (kDataLanes + 1) + 1 + kHandshakeSockets: transport data goes by receiver index
  // to the first `workers` * kDataLanes, of which every `workers`th is one worker's, or where its DSCP says routing traffic
  // to one of the next `workers`; nothing goes to the next one, and all else to the rest by a keyed hash of its source, IPv4
  // address or IPv6 /64. False where the kernel cannot.
  bool steer(unsigned workers, std::uint32_t key);
  // Everything sent from now on goes before other traffic in the host's queues, and has this DS field unless its train has
  // another. For a socket of one thread's own: with bulk on the same one it would share a full buffer.
  void go_first(std::uint8_t ds_field);
  // A second object over the same socket, for a thread that sends beside the one that owns this one.
  Result<UdpSocket> duplicate() const;

  // Never blocks. Messages received into `batch` (see there), 0 when nothing waits; else -errno, which is an
  // error that an earlier send left behind: count it and try again.
  int receive(ReceiveBatch& batch) noexcept;

  // At most kMaxTrains trains; those beyond are not looked at and make `error` E2BIG. Waits once, up to 1 ms,
  // where the socket's buffer is full. Errors of others that surface here are retried; a refused sticky
  // source is retried without; no GSO on the path is worked around. What fails then is in the outcomes, and
  // the other trains go out all the same.
  SendResult send(std::span<const SendTrain> trains) noexcept;

 private:
  struct SendState;
  UdpSocket();
  static Result<UdpSocket> open_unbound(Family family, const Options& options);
  Result<void> bind_to(std::uint16_t port);
  bool set_flag(int level, int name, int value);
  bool try_again(const SendTrain& train, std::size_t at, std::uint32_t offset, int code) noexcept;
  SendResult summary(std::size_t trains, std::size_t asked) const noexcept;

  int fd_ = -1;
  Family family_ = Family::kV4;
  std::uint16_t port_ = 0;
  std::uint8_t ds_field_ = 0;  // of what says none itself
  bool gso_ = true;
  unsigned max_segments_ = 64;
  std::unique_ptr<SendState> state_;
};

// The sockets of a listen port: a group a family, on the same port. `v6` is empty where the machine has no
// IPv6. With port 0 a number that is free in both families is found. Errors as UdpSocket::open().
//
// Whatever is not WireGuard transport data goes to sockets of its own, with small buffers: a flood of handshake messages
// fills that of its source, while data and the handshakes of nearly all other sources arrive as before. Those sockets
// may still bring data that came in one train with a handshake message. Data goes to kDataLanes sockets of each worker by
// its receiver index, so that a session that floods fills the buffer of one. Routing traffic has sockets of its own as well,
// with buffers of their own each way. Where the kernel cannot steer, a worker has one socket a family for all of this.
struct UnderlaySockets {
  std::uint16_t port = 0;
  std::vector<UdpSocket> v4;             // worker number `i` has that at i, i + workers, and so on
  std::vector<UdpSocket> v6;
  std::vector<UdpSocket> routing_v4;     // one for each worker
  std::vector<UdpSocket> routing_v6;
  std::optional<UdpSocket> control_v4;   // to send from: nothing comes in there
  std::optional<UdpSocket> control_v6;
  std::vector<UdpSocket> handshakes;     // of both families
};
Result<UnderlaySockets> open_underlay(std::uint16_t port, unsigned count, const UdpSocketOptions& options);

}  // namespace greywire::engine
