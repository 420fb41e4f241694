#include "overlay/daemon/takeover.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <utility>

#include "overlay/control/local_socket.h"

namespace greywire::daemon {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{10};

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
};

// Where the descriptors arrive; the file goes with it.
class Mailbox {
 public:
  explicit Mailbox(std::string path) : path_(std::move(path)), socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    ::unlink(path_.c_str());
    const auto address = control::local_socket_address(path_);
    if (!address || socket_.get() < 0) return;
    const mode_t before = ::umask(0077);
    bound_ = ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0;
    ::umask(before);
  }
  ~Mailbox() { ::unlink(path_.c_str()); }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  bool bound() const { return bound_; }
  int fd() const { return socket_.get(); }
  const std::string& path() const { return path_; }

  // One message; true with the last one.
  bool receive(HeldDescriptors& into) {
    constexpr std::size_t kMostFds = 253;
    std::array<char, 4096> text;
    alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(kMostFds * sizeof(int))> control;
    iovec part{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const auto size = ::recvmsg(fd(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0) return false;
    const std::string_view state(text.data(), static_cast<std::size_t>(size));
    constexpr std::string_view kName = "FDNAME=";
    const auto at = state.find(kName);
    const std::string name(at == std::string_view::npos ? "unknown" : state.substr(at + kName.size()));
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
      for (std::size_t offset = 0; CMSG_LEN(offset + sizeof(int)) <= header->cmsg_len; offset += sizeof(int)) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header) + offset, sizeof fd);
        into.add(name, fd);
      }
    }
    return state == "STOPPING=1";
  }

 private:
  const std::string path_;
  Descriptor socket_;
  bool bound_ = false;
};

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::max<long>(0, static_cast<long>(left)));
}

Error system_error(std::string_view what, int code) { return Error{fmt::format("{}: {}", what, std::strerror(code)), code}; }

// The process behind a connected socket, as something that becomes readable when it ends; -1 where it cannot be told.
int process_of(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid == 0) return -1;
  return static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0U));
}

Error refused(int control) {
  std::array<char, 4096> text;
  const auto size = ::recv(control, text.data(), text.size(), MSG_DONTWAIT);
  return Error{fmt::format("the running daemon does not hand over, and was left running: {}",
                           size > 0 ? std::string_view(text.data(), static_cast<std::size_t>(size)) : "it closed the connection")};
}

// 0, or errno.
int connect_to(const Descriptor& from, const sockaddr_un& to) {
  return ::connect(from.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
}

}  // namespace

bool is_answered(const std::string& control_socket) {
  const auto address = control::local_socket_address(control_socket);
  const Descriptor control(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return address && connect_to(control, *address) == 0;
}

Result<HeldDescriptors> take_over(const std::string& control_socket) {
  const auto deadline = Clock::now() + kPatience;
  HeldDescriptors held;
  const auto address = control::local_socket_address(control_socket);
  if (!address) return address.error();
  const Descriptor control(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (const int code = connect_to(control, *address); code != 0) {
    if (code == ENOENT || code == ECONNREFUSED) return held;
    return system_error("cannot ask the running daemon at " + control_socket, code);
  }
  const Descriptor process(process_of(control.get()));
  Mailbox mailbox(control_socket + ".handover");
  if (!mailbox.bound()) return system_error("cannot listen on " + mailbox.path(), errno);
  const std::string request = fmt::format("{{\"command\":\"handover\",\"to\":\"{}\"}}\n", mailbox.path());
  if (::send(control.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return system_error("cannot write to " + control_socket, errno);
  }
  for (bool last = false; !last;) {
    pollfd waiting[] = {{mailbox.fd(), POLLIN, 0}, {control.get(), POLLIN, 0}};
    const int ready = ::poll(waiting, 2, milliseconds_until(deadline));
    if (ready == 0) return Error{"the running daemon did not hand over in time; look whether it still runs"};
    if (ready < 0) continue;
    if (waiting[0].revents != 0) {
      last = mailbox.receive(held);
    } else if (waiting[1].revents != 0) {
      return refused(control.get());
    }
  }
  pollfd ended{process.get() >= 0 ? process.get() : control.get(), POLLIN, 0};
  while (true) {
    const int ready = ::poll(&ended, 1, milliseconds_until(deadline));
    if (ready == 0) return Error{"the running daemon handed over but does not end"};
    if (ready < 0) continue;
    return Result<HeldDescriptors>(std::move(held));
  }
}

}  // namespace greywire::daemon
