#include "overlay/daemon/capture_stream.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "overlay/control/local_socket.h"
#include "router/engine/boot_clock.h"

namespace greywire::daemon {
namespace {

constexpr std::chrono::milliseconds kLookAround{200};
constexpr std::chrono::nanoseconds kSecond = std::chrono::seconds(1);

// The wall's time of a moment of the boot clock, as the two stand to each other now.
WallTime wall_of(TimePoint at, TimePoint boot_now, WallTime wall_now) {
  const auto wall = std::chrono::seconds(wall_now.seconds) + std::chrono::nanoseconds(wall_now.nanoseconds) - (boot_now - at);
  return {wall / kSecond, static_cast<std::uint32_t>((wall % kSecond).count())};
}

}  // namespace

CaptureStream::CaptureStream(CaptureTap& tap, int fd, control::PcapLink link, std::string name)
    : tap_(tap), fd_(fd), link_(link), name_(std::move(name)), thread_([this] { run(); }) {
  ::pthread_setname_np(thread_.native_handle(), "gw-capture");
}

CaptureStream::~CaptureStream() {
  stopping_.store(true, std::memory_order_relaxed);
  tap_.stop();  // wakes the thread
  ::shutdown(fd_, SHUT_RDWR);
  thread_.join();
  ::close(fd_);
}

// A reader that goes away says so by the end of what he sends, which is nothing.
bool CaptureStream::running() const {
  pollfd reader{fd_, POLLIN, 0};
  return running_.load(std::memory_order_acquire) && ::poll(&reader, 1, 0) == 0;
}

void CaptureStream::run() {
  std::string out;
  control::pcapng::begin(out, link_, name_, CaptureTap::kSnapLength);
  std::uint64_t packets = 0, lost = 0, told = 0;
  std::vector<std::uint8_t> scratch;
  while (write(out) && !stopping_.load(std::memory_order_relaxed)) {
    out.clear();
    const TimePoint boot = engine::boot_now();
    const WallTime wall = engine::wall_now();
    tap_.take(kLookAround, scratch, [&](const CapturedPacket& packet) {
      ++packets;
      control::pcapng::packet(out, wall_of(packet.at, boot, wall), packet.outbound, packet.bytes, packet.original_size);
    }, lost);
    if (lost != told) control::pcapng::statistics(out, engine::wall_now(), packets, told = lost);
    if (!running()) break;
  }
  tap_.stop();
  // Who waits for more learns that there is none.
  ::shutdown(fd_, SHUT_RDWR);
  running_.store(false, std::memory_order_release);
}

bool CaptureStream::write(const std::string& bytes) {
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const auto sent = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      rest.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return false;
    pollfd writable{fd_, POLLOUT, 0};
    if (::poll(&writable, 1, static_cast<int>(std::chrono::milliseconds(kPatience).count())) <= 0) return false;
  }
  return true;
}

Result<int> connect_to_reader(const std::string& path) {
  const auto address = control::local_socket_address(path);
  if (!address) return address.error();
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Error{fmt::format("cannot make a socket: {}", std::strerror(errno)), errno};
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    const int code = errno;
    ::close(fd);
    return Error{fmt::format("cannot connect to {}: {}", path, std::strerror(code)), code};
  }
  return fd;
}

}  // namespace greywire::daemon
