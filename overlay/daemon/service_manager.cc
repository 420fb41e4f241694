#include "overlay/daemon/service_manager.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace greywire::daemon {
namespace {

constexpr std::size_t kMaxFdsInAMessage = 253;  // SCM_MAX_FD of Linux

std::optional<long> number(const char* text) {
  if (text == nullptr) return std::nullopt;
  long value = 0;
  const char* end = text + std::strlen(text);
  const auto [at, error] = std::from_chars(text, end, value);
  if (error != std::errc{} || at != end || text == end) return std::nullopt;
  return value;
}

std::string taken_from_environment(const char* name) {
  const char* value = std::getenv(name);
  std::string out = value == nullptr ? "" : value;
  ::unsetenv(name);
  return out;
}

}  // namespace

HeldDescriptors::~HeldDescriptors() {
  for (const auto& [name, fds] : by_name_) {
    for (const int fd : fds) ::close(fd);
  }
}

HeldDescriptors& HeldDescriptors::operator=(HeldDescriptors&& other) noexcept {
  std::swap(by_name_, other.by_name_);
  return *this;
}

std::vector<int> HeldDescriptors::take(const std::string& name) {
  const auto node = by_name_.extract(name);
  return node.empty() ? std::vector<int>() : node.mapped();
}

std::vector<std::string> HeldDescriptors::names() const {
  std::vector<std::string> out;
  for (const auto& [name, fds] : by_name_) out.push_back(name);
  return out;
}

std::vector<std::string> listen_fd_names(const char* pid, const char* count, const char* names, long own_pid) {
  constexpr long kMost = 65536;
  const auto meant_for = number(pid);
  const auto descriptors = number(count);
  if (!meant_for || *meant_for != own_pid || !descriptors || *descriptors < 1 || *descriptors > kMost) return {};
  std::vector<std::string> out;
  std::string_view rest = names == nullptr ? "" : names;
  for (long i = 0; i < *descriptors; ++i) {
    const auto colon = rest.find(':');
    const auto name = rest.substr(0, colon);
    out.emplace_back(name.empty() ? "unknown" : name);
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
  }
  return out;
}

HeldDescriptors take_listen_fds() {
  HeldDescriptors held;
  int fd = kFirstListenFd;
  for (auto& name : listen_fd_names(std::getenv("LISTEN_PID"), std::getenv("LISTEN_FDS"), std::getenv("LISTEN_FDNAMES"),
                                    ::getpid())) {
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) held.add(std::move(name), fd);
    ++fd;
  }
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(variable);
  return held;
}

std::optional<std::chrono::microseconds> watchdog_interval(const char* microseconds, const char* pid, long own_pid) {
  const auto interval = number(microseconds);
  if (!interval || *interval <= 0) return std::nullopt;
  if (pid != nullptr && number(pid) != own_pid) return std::nullopt;
  return std::chrono::microseconds(*interval);
}

ServiceManager ServiceManager::from_environment() {
  const auto watchdog = watchdog_interval(std::getenv("WATCHDOG_USEC"), std::getenv("WATCHDOG_PID"), ::getpid());
  for (const char* variable : {"WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(variable);
  return ServiceManager(taken_from_environment("NOTIFY_SOCKET"), watchdog);
}

Result<void> ServiceManager::tell(const std::string& state) const { return send(state, {}); }

Result<void> ServiceManager::store(const std::string& name, std::span<const int> fds) const {
  if (auto ok = forget(name); !ok) return ok;
  while (!fds.empty()) {
    const auto part = fds.first(std::min(fds.size(), kMaxFdsInAMessage));
    if (auto ok = send(fmt::format("FDSTORE=1\nFDNAME={}", name), part); !ok) return ok;
    fds = fds.subspan(part.size());
  }
  return {};
}

Result<void> ServiceManager::forget(const std::string& name) const {
  return send(fmt::format("FDSTOREREMOVE=1\nFDNAME={}", name), {});
}

Result<void> ServiceManager::send(const std::string& state, std::span<const int> fds) const {
  if (socket_.empty()) return {};
  const auto failed = [&](int code) {
    return Error{fmt::format("cannot tell {} '{}': {}", socket_, state.substr(0, state.find('\n')), std::strerror(code)), code};
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_.size() >= sizeof address.sun_path) return failed(ENAMETOOLONG);
  socket_.copy(address.sun_path, socket_.size());
  if (socket_[0] == '@') address.sun_path[0] = '\0';  // an abstract one
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());

  iovec text{const_cast<char*>(state.data()), state.size()};
  std::vector<std::uint8_t> control(fds.empty() ? 0 : CMSG_SPACE(fds.size_bytes()));
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = size;
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed(errno);
  const auto sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
  const int code = errno;
  ::close(fd);
  if (sent < 0) return failed(code);
  return {};
}

}  // namespace greywire::daemon
