#include "router/engine/tun_device.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "router/engine/tun_steering.h"

namespace greywire::engine {
namespace {

// Not in the headers of Debian 12 (Linux 6.2 brought them).
constexpr unsigned kTunUso4 = 0x20;
constexpr unsigned kTunUso6 = 0x40;
constexpr unsigned kMaxQueues = 256;  // MAX_TAP_QUEUES
constexpr auto kBusyFor = std::chrono::seconds(1);
constexpr auto kBusyPause = std::chrono::milliseconds(20);

Error open_error(int code) {
  switch (code) {
    case EPERM:
    case EACCES:
      return {"cannot open /dev/net/tun: not permitted; this needs root or CAP_NET_ADMIN", EPERM};
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return {
          "there is no TUN driver behind /dev/net/tun; load it with `modprobe tun` (in a container, pass the "
          "device in)",
          code};
    default:
      return {fmt::format("cannot open /dev/net/tun: {}", std::strerror(code)), code};
  }
}

Error attach_error(const std::string& name, int code) {
  switch (code) {
    case EBUSY:
    case EEXIST:
      return {fmt::format(
                  "interface {0} exists already; stop the daemon that holds it, or remove it with `ip link "
                  "del {0}`",
                  name),
              EBUSY};
    case EPERM:
    case EACCES:
      return {
          fmt::format("cannot create interface {}: not permitted; this needs root or CAP_NET_ADMIN", name),
          EPERM};
    default:
      return {fmt::format("cannot create interface {}: {}", name, std::strerror(code)), code};
  }
}

Result<int> open_driver() {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return open_error(errno);
  return fd;
}

bool valid_name(const std::string& name) {
  return !name.empty() && name.size() < IFNAMSIZ && name != "." && name != ".." &&
         name.find_first_of("/: \t\n") == std::string::npos;
}

ifreq request_for(const std::string& name, TunKind kind, unsigned queues) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  unsigned flags = IFF_NO_PI | IFF_VNET_HDR | (kind == TunKind::kTun ? IFF_TUN : IFF_TAP);
  if (queues > 1) flags |= IFF_MULTI_QUEUE;
  request.ifr_flags = static_cast<short>(flags);
  return request;
}

// Without IFF_TUN_EXCL the kernel would let us join a multi-queue device that another daemon holds.
int create_interface(int fd, ifreq& request) {
  const auto deadline = std::chrono::steady_clock::now() + kBusyFor;
  const auto flags = request.ifr_flags;
  for (;;) {
    request.ifr_flags = static_cast<short>(static_cast<unsigned short>(flags) | IFF_TUN_EXCL);
    const int failed = ::ioctl(fd, TUNSETIFF, &request) == 0 ? 0 : errno;
    request.ifr_flags = flags;
    if (failed != EBUSY || std::chrono::steady_clock::now() >= deadline) return failed;
    std::this_thread::sleep_for(kBusyPause);
  }
}

TunOffloads agree_on_offloads(int fd) {
  const unsigned tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (::ioctl(fd, TUNSETOFFLOAD, tso | kTunUso4 | kTunUso6) == 0) return {.tso = true, .uso = true};
  if (::ioctl(fd, TUNSETOFFLOAD, tso) == 0) return {.tso = true, .uso = false};
  ::ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned>(TUN_F_CSUM));
  return {};
}

// -1 where there is none, or none is wanted.
class SteeringProgram {
 public:
  SteeringProgram(TunKind kind, unsigned bulk, RoutingQueue wanted) {
    if (wanted == RoutingQueue::kNone) return;
    if (const auto loaded = load_steering(kind == TunKind::kTap, bulk)) fd_ = *loaded;
  }
  SteeringProgram(const SteeringProgram&) = delete;
  SteeringProgram& operator=(const SteeringProgram&) = delete;
  ~SteeringProgram() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }
  unsigned queues() const { return fd_ >= 0 ? 1 : 0; }

 private:
  int fd_ = -1;
};

}  // namespace

Result<TunDevice> TunDevice::open(const std::string& name, TunKind kind, unsigned queues, RoutingQueue routing) {
  if (!valid_name(name)) {
    return Error{
        fmt::format("\"{}\" cannot be an interface name; use 1 to 15 characters without / : or spaces", name),
        EINVAL};
  }
  if (queues < 1 || queues > kMaxQueues) {
    return Error{fmt::format("interface {} cannot have {} queues; use 1 to {}", name, queues, kMaxQueues),
                 EINVAL};
  }
  TunDevice device;
  device.kind_ = kind;
  const SteeringProgram program(kind, queues, routing);
  ifreq request = request_for(name, kind, queues + program.queues());
  auto fd = open_driver();
  if (!fd) return fd.error();
  device.fds_.push_back(*fd);
  if (const int failed = create_interface(*fd, request); failed != 0) return attach_error(name, failed);
  if (auto ok = device.join(queues + program.queues(), request.ifr_name); !ok) return ok.error();
  device.steer(program.fd());
  if (auto ok = device.agree(request.ifr_name); !ok) return ok.error();
  return device;
}

Result<void> TunDevice::join(unsigned queues, const std::string& name) {
  ifreq request = request_for(name, kind_, queues);
  while (fds_.size() < queues) {
    auto fd = open_driver();
    if (!fd) return fd.error();
    fds_.push_back(*fd);
    if (::ioctl(*fd, TUNSETIFF, &request) != 0) return attach_error(name, errno);
  }
  return {};
}

// The last queue becomes the one for routing traffic: it leaves and joins again, which makes it the last in the kernel's
// order too.
void TunDevice::steer(int program) {
  if (program < 0) return;
  ifreq request{};
  request.ifr_flags = static_cast<short>(IFF_DETACH_QUEUE);
  const int last = fds_.back();
  has_routing_queue_ = ::ioctl(last, TUNSETQUEUE, &request) == 0;
  request.ifr_flags = static_cast<short>(IFF_ATTACH_QUEUE);
  has_routing_queue_ = has_routing_queue_ && ::ioctl(last, TUNSETQUEUE, &request) == 0 &&
                       ::ioctl(fds_[0], TUNSETSTEERINGEBPF, &program) == 0;
  if (has_routing_queue_) return;
  fds_.pop_back();
  ::close(last);
}

Result<TunDevice> TunDevice::adopt(const std::string& name, TunKind kind, std::vector<int> fds, unsigned bulk,
                                   RoutingQueue routing) {
  TunDevice device;
  device.kind_ = kind;
  device.fds_ = std::move(fds);
  const auto unfit = [&](std::string_view why) {
    return Error{fmt::format("what was kept of interface {} cannot be used: {}", name, why), EINVAL};
  };
  if (device.fds_.empty() || bulk < 1 || bulk >= kMaxQueues) return unfit("no queue");
  const SteeringProgram program(kind, bulk, routing);
  const unsigned queues = bulk + program.queues();
  ifreq wanted = request_for(name, kind, queues);
  for (const int fd : device.fds_) {
    ifreq has{};
    if (::ioctl(fd, TUNGETIFF, &has) != 0) return unfit("it is no queue of a TUN or TAP device");
    if (has.ifr_name != name) return unfit(fmt::format("it is called {} now", has.ifr_name));
    constexpr int kSame = IFF_TUN | IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;
    if ((has.ifr_flags & kSame) != (wanted.ifr_flags & kSame)) return unfit("it was made in another way");
    if (::fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return unfit(std::strerror(errno));
  }
  for (; device.fds_.size() > queues; device.fds_.pop_back()) ::close(device.fds_.back());
  if (auto ok = device.join(queues, name); !ok) return ok.error();
  device.steer(program.fd());
  if (auto ok = device.agree(name); !ok) return ok.error();
  return device;
}

Result<void> TunDevice::agree(const std::string& name) {
  int header_bytes = sizeof(VirtioNetHeader);
  if (::ioctl(fds_[0], TUNSETVNETHDRSZ, &header_bytes) != 0) return attach_error(name, errno);
  offloads_ = agree_on_offloads(fds_[0]);
  name_ = name;
  ifindex_ = static_cast<int>(::if_nametoindex(name.c_str()));
  return {};
}

TunDevice::TunDevice(TunDevice&& other) noexcept
    : fds_(std::exchange(other.fds_, {})),
      name_(std::move(other.name_)),
      ifindex_(other.ifindex_),
      kind_(other.kind_),
      offloads_(other.offloads_),
      has_routing_queue_(other.has_routing_queue_) {}

TunDevice& TunDevice::operator=(TunDevice&& other) noexcept {
  if (this == &other) return *this;
  close_all();
  fds_ = std::exchange(other.fds_, {});
  name_ = std::move(other.name_);
  ifindex_ = other.ifindex_;
  kind_ = other.kind_;
  offloads_ = other.offloads_;
  has_routing_queue_ = other.has_routing_queue_;
  return *this;
}

TunDevice::~TunDevice() {
  close_all();
}

void TunDevice::close_all() noexcept {
  for (const int fd : fds_) ::close(fd);
  fds_.clear();
}

std::ptrdiff_t TunDevice::read(unsigned queue, VirtioNetHeader& header,
                               std::span<std::uint8_t> frame) noexcept {
  const iovec parts[2] = {{&header, sizeof header}, {frame.data(), frame.size()}};
  ssize_t n;
  do n = ::readv(fds_[queue], parts, 2);
  while (n < 0 && errno == EINTR);
  if (n < 0) return errno == EAGAIN ? 0 : -errno;
  return std::max<std::ptrdiff_t>(n - static_cast<std::ptrdiff_t>(sizeof header), 0);
}

std::ptrdiff_t TunDevice::write(unsigned queue, const VirtioNetHeader& header, const iovec* parts,
                                std::size_t count) noexcept {
  if (count > kMaxParts) return -E2BIG;
  std::array<iovec, kMaxParts + 1> all;
  all[0] = {const_cast<VirtioNetHeader*>(&header), sizeof header};
  std::copy_n(parts, count, all.begin() + 1);
  ssize_t n;
  do n = ::writev(fds_[queue], all.data(), static_cast<int>(count + 1));
  while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n - static_cast<std::ptrdiff_t>(sizeof header);
}

// EBADFD: detached. EFAULT is what a reader that waited inside the kernel gets; a nonblocking one never waits
// there.
bool TunDevice::is_gone(std::ptrdiff_t result) noexcept {
  return result == -EBADFD;
}

Result<void> TunDevice::set_carrier(bool on) {
  int value = on ? 1 : 0;
  if (::ioctl(fds_[0], TUNSETCARRIER, &value) == 0) return {};
  const int code = errno;
  return Error{fmt::format("cannot set the carrier of {}: {}", name_, std::strerror(code)), code};
}

}  // namespace greywire::engine
