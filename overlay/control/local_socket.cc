#include "overlay/control/local_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace greywire::control {
namespace {

Error system_error(std::string_view what, const std::string& path, int code) {
  const char* way_out = code == EACCES || code == EPERM ? "; run as root" : "";
  return Error{fmt::format("cannot {} {}: {}{}", what, path, std::strerror(code), way_out), code};
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Result<void> make_directories(const std::string& path, mode_t last_mode) {
  const auto end = path.rfind('/');
  if (end == std::string::npos || end == 0) return {};
  for (auto slash = path.find('/', 1); slash != std::string::npos && slash <= end;
       slash = path.find('/', slash + 1)) {
    const std::string directory = path.substr(0, slash);
    if (::mkdir(directory.c_str(), slash == end ? last_mode : 0755) != 0 && errno != EEXIST) {
      return system_error("make the directory", directory, errno);
    }
  }
  return {};
}

Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return {};
    return system_error("look at", path, errno);
  }
  if (!S_ISSOCK(found.st_mode)) {
    return Error{fmt::format("{} is in the way and is no socket: move it elsewhere", path), EEXIST};
  }
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (probe.get() < 0) return system_error("make a socket for", path, errno);
  const int connected = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (connected == 0 || errno == EAGAIN) {
    return Error{fmt::format("another daemon answers on {}: stop it first, or use another name", path),
                 EADDRINUSE};
  }
  if (errno != ECONNREFUSED && errno != ENOENT)
    return system_error("connect to the socket in the way,", path, errno);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return system_error("remove the stale socket", path, errno);
  return {};
}

}  // namespace

Result<sockaddr_un> local_socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Error{fmt::format("'{}' cannot be a socket's path: it takes 1 to {} bytes", path,
                             sizeof address.sun_path - 1),
                 ENAMETOOLONG};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<BoundSocket> bind_local_socket(const std::string& path, mode_t directory_mode) {
  const auto valid = local_socket_address(path);
  if (!valid) return valid.error();
  const sockaddr_un& address = *valid;
  if (auto made = make_directories(path, directory_mode); !made) return made.error();
  if (auto removed = remove_stale(path, address); !removed) return removed.error();

  // It gets its name once it listens: `wg` takes a socket that refuses it for a stale one and removes it.
  const std::string early = path + ".new";
  const auto early_address = local_socket_address(early);
  const bool has_early = early_address.has_value();
  const sockaddr_un& bound_to = has_early ? *early_address : address;
  if (has_early) ::unlink(early.c_str());

  Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return system_error("make a socket for", path, errno);
  // Linux gives the file the mode of the unbound socket: nobody can connect before it is right.
  if (::fchmod(fd.get(), 0600) != 0) return system_error("set the mode of", path, errno);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&bound_to), sizeof bound_to) != 0) {
    return system_error("bind", path, errno);
  }
  if (::listen(fd.get(), SOMAXCONN) != 0) {
    const int code = errno;
    ::unlink(bound_to.sun_path);
    return system_error("listen on", path, code);
  }
  if (has_early) {
    const int code = ::link(early.c_str(), path.c_str()) == 0 ? 0 : errno;  // fails where somebody else was faster
    ::unlink(early.c_str());
    if (code != 0) return system_error("name the socket", path, code == EEXIST ? EADDRINUSE : code);
  }
  struct stat bound {};
  if (::lstat(path.c_str(), &bound) != 0) return system_error("look at", path, errno);
  return BoundSocket{fd.release(), {bound.st_dev, bound.st_ino}};
}

void give_to_owner_of(const std::string& control_socket, const std::string& path) {
  struct stat owner {};
  if (::lstat(control_socket.c_str(), &owner) != 0 || owner.st_uid == ::geteuid()) return;
  // Where that is refused, the daemon says that it cannot connect.
  [[maybe_unused]] const int given = ::lchown(path.c_str(), owner.st_uid, static_cast<gid_t>(-1));
}

bool still_names(const std::string& path, const FileIdentity& identity) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0 && FileIdentity{found.st_dev, found.st_ino} == identity;
}

}  // namespace greywire::control
