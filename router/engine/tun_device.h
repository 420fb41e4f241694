// A TUN (IP packets) or TAP (Ethernet frames) device with one file descriptor a queue. Frames come and go
// with a VirtioNetHeader: the kernel hands over TCP (and, where it can, UDP) super-frames of up to 64 KiB
// uncut and without checksums, and takes merged ones back. Source: Linux Documentation/networking/tuntap.rst,
// linux/if_tun.h.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "router/base/result.h"
#include "router/packet/virtio_net.h"

namespace greywire::engine {

enum class TunKind : std::uint8_t { kTun, kTap };

// Whether routing traffic gets a queue of its own (tun_steering.h).
enum class RoutingQueue : std::uint8_t { kNone, kWanted };

// What the kernel may hand over uncut, as it agreed to when the device was opened. Checksum offload is always
// on.
struct TunOffloads {
  bool tso = false;  // TCP over IPv4 and IPv6, ECN included
  bool uso = false;  // UDP over IPv4 and IPv6 (Linux 6.2): gso_type VIRTIO_NET_HDR_GSO_UDP_L4
};

// Owns the descriptors; the device goes away with the last one. Different queues may be used by different
// threads at the same time; one queue is read by one thread at a time, and may be written by any. open(),
// set_carrier() and destruction: control thread.
class TunDevice {
 public:
  // Room for the largest frame: a GSO super-frame of 64 KiB with its Ethernet and VLAN headers.
  static constexpr std::size_t kMaxFrame = 65536 + 18;
  static constexpr std::size_t kMaxParts = 255;  // of one write()

  // Makes the device, which must not exist yet. `name` has 1 to 15 bytes; with "%d" in it the kernel numbers
  // it (see name()). `queues` is 1 to 256. The device is down, without addresses, carrier on. Descriptors are
  // nonblocking and close-on-exec. A name that is taken is tried for up to one second, since a killed
  // daemon's device takes a moment to go. Errors (one line with the way out): EBUSY the interface exists,
  // EPERM not permitted, ENOENT, ENODEV or ENXIO no tun driver, EINVAL a bad name or count.
  // With kWanted there is one queue more, for routing traffic, unless the kernel has no way to pick queues: see
  // routing_queue().
  static Result<TunDevice> open(const std::string& name, TunKind kind, unsigned queues,
                                RoutingQueue routing = RoutingQueue::kNone);

  // Takes the queues of a device that is there already, as an earlier process left them with whoever held them. It keeps
  // its addresses, routes, state and what waits in it. `fds` are closed on an error too; queues beyond `queues` are
  // given up, missing ones joined. With kWanted the last one becomes the queue for routing traffic, in whatever order they
  // come, and what waited in it is lost. Errors: EINVAL the descriptors are not queues of such a device.
  static Result<TunDevice> adopt(const std::string& name, TunKind kind, std::vector<int> fds, unsigned queues,
                                 RoutingQueue routing = RoutingQueue::kNone);

  TunDevice(TunDevice&& other) noexcept;
  TunDevice& operator=(TunDevice&& other) noexcept;
  ~TunDevice();

  const std::string& name() const { return name_; }  // as it was at open(): somebody may rename the device
  int ifindex() const { return ifindex_; }
  TunKind kind() const { return kind_; }
  // Of those for all traffic, from 0.
  unsigned queue_count() const { return static_cast<unsigned>(fds_.size()) - (has_routing_queue_ ? 1 : 0); }
  std::optional<unsigned> routing_queue() const {
    return has_routing_queue_ ? std::optional(queue_count()) : std::nullopt;
  }
  std::span<const int> fds() const { return fds_; }  // of all queues; valid as long as the object
  int fd(unsigned queue) const { return fds_[queue]; }  // for epoll; stays owned by this object
  TunOffloads offloads() const { return offloads_; }

  // One frame into `frame`, its header into `header`. Bytes of the frame; 0 when nothing waits; else -errno:
  // see is_gone(); -EFAULT when `frame` is too small (the frame is lost: give kMaxFrame bytes).
  std::ptrdiff_t read(unsigned queue, VirtioNetHeader& header, std::span<std::uint8_t> frame) noexcept;

  // One frame out of up to kMaxParts pieces. Bytes of the frame; else -errno: -EIO the device is down,
  // -EAGAIN its queue is full, -EINVAL the header contradicts the frame, -E2BIG too many parts; see
  // is_gone().
  std::ptrdiff_t write(unsigned queue, const VirtioNetHeader& header, const iovec* parts,
                       std::size_t count) noexcept;

  // Whether the result of read() or write() says that somebody deleted the device: it will not come back.
  static bool is_gone(std::ptrdiff_t result) noexcept;

  // Carrier as the kernel, routing daemons and bridges see it. Without carrier the kernel delivers nothing to
  // us.
  Result<void> set_carrier(bool on);

 private:
  TunDevice() = default;
  Result<void> agree(const std::string& name);
  Result<void> join(unsigned queues, const std::string& name);
  void steer(int program);
  void close_all() noexcept;

  std::vector<int> fds_;
  std::string name_;
  int ifindex_ = 0;
  TunKind kind_ = TunKind::kTun;
  TunOffloads offloads_;
  bool has_routing_queue_ = false;
};

}  // namespace greywire::engine
