#include "overlay/cli/control_client.h"

#include <dirent.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "overlay/config/near_miss.h"
#include "overlay/control/local_socket.h"

namespace greywire::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kSuffix = ".sock";

// A string alone could be meant as the value or as the error.
Result<std::string> found(std::string text) {
  return {boost::system::in_place_value, std::move(text)};
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Error connect_error(const std::string& path, int code) {
  switch (code) {
    case ENOENT:
      return {fmt::format("no daemon is running: {} does not exist; start one with 'greywired --config FILE'",
                          path),
              ENOENT};
    case ECONNREFUSED:
      return {fmt::format("the daemon of {} is not running any more; start it with 'greywired --config FILE'",
                          path),
              ECONNREFUSED};
    case EACCES:
    case EPERM:
      return {fmt::format("no permission for {}: run as root or as the daemon's user", path), EACCES};
    default:
      return {fmt::format("cannot connect to {}: {}", path, std::strerror(code)), code};
  }
}

Result<Descriptor> connect_to(const std::string& path) {
  const auto valid = control::local_socket_address(path);
  if (!valid) return valid.error();
  const sockaddr_un& address = *valid;
  Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return connect_error(path, errno);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return connect_error(path, errno);
  }
  return fd;
}

std::optional<Error> wait_for(int fd, short events, std::chrono::milliseconds timeout,
                              const std::string& path) {
  pollfd waiting{fd, events, 0};
  int ready = 0;
  do {
    ready = ::poll(&waiting, 1, static_cast<int>(timeout.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready > 0) return std::nullopt;
  if (ready < 0) return Error{fmt::format("cannot wait for {}: {}", path, std::strerror(errno)), errno};
  return Error{fmt::format("the daemon of {} does not answer", path), ETIMEDOUT};
}

std::optional<Error> send_line(int fd, std::string_view line, std::chrono::milliseconds timeout,
                               const std::string& path) {
  while (!line.empty()) {
    if (auto error = wait_for(fd, POLLOUT, timeout, path)) return error;
    const auto sent = ::send(fd, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    // A daemon that refuses the caller closes at once; what it said, if anything, is still to be read.
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return std::nullopt;
    if (sent < 0) return Error{fmt::format("cannot write to {}: {}", path, std::strerror(errno)), errno};
    line.remove_prefix(static_cast<std::size_t>(sent));
  }
  return std::nullopt;
}

Result<std::string> read_line(int fd, std::chrono::milliseconds timeout, const std::string& path) {
  std::string line;
  std::string buffer(64 * 1024, '\0');
  while (line.size() < kMaxReply) {
    if (auto error = wait_for(fd, POLLIN, timeout, path)) return *error;
    const auto got = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0)
      return Error{fmt::format("the daemon of {} closed the connection without a reply", path), EPROTO};
    const std::string_view part(buffer.data(), static_cast<std::size_t>(got));
    const auto newline = part.find('\n');
    line.append(part.substr(0, newline));
    if (newline != std::string_view::npos) return found(std::move(line));
  }
  return Error{fmt::format("the reply of {} has no end", path), EPROTO};
}

bool answers(const std::string& path) {
  return connect_to(path).has_value();
}

Result<std::vector<std::string>> socket_names(const std::string& directory) {
  std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(directory.c_str()), ::closedir);
  std::vector<std::string> names;
  if (!folder) {
    if (errno == EACCES) return connect_error(directory, EACCES);
    return names;
  }
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    if (name.size() > kSuffix.size() && name.ends_with(kSuffix)) {
      names.emplace_back(name.substr(0, name.size() - kSuffix.size()));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Result<json::value> ask_daemon(const std::string& socket_path, const json::object& request,
                               std::chrono::milliseconds timeout) {
  auto fd = connect_to(socket_path);
  if (!fd) return fd.error();
  if (auto error = send_line(fd->get(), json::serialize(request) + "\n", timeout, socket_path)) return *error;
  const auto line = read_line(fd->get(), timeout, socket_path);
  if (!line) return line.error();

  boost::system::error_code ec;
  json::value reply = json::parse(*line, ec);
  json::object* object = ec ? nullptr : reply.if_object();
  const json::value* ok = object == nullptr ? nullptr : object->if_contains("ok");
  if (ok == nullptr || !ok->is_bool()) {
    return Error{fmt::format("{} is not a Greywire control socket, or of another version", socket_path),
                 EPROTO};
  }
  if (ok->get_bool()) {
    json::value* result = object->if_contains("result");
    return result == nullptr ? json::value(nullptr) : std::move(*result);
  }
  const json::value* text = object->if_contains("error");
  if (text == nullptr || !text->is_string()) return Error{"the daemon refused without a reason", EPROTO};
  return Error{std::string(text->get_string().c_str()), 0};
}

Result<std::string> choose_socket(const std::string& socket, const std::string& site,
                                  const std::string& directory) {
  if (!socket.empty()) return found(socket);
  auto names = socket_names(directory);
  if (!site.empty()) {
    if (names && !names->empty() && !std::binary_search(names->begin(), names->end(), site)) {
      const std::vector<std::string_view> known(names->begin(), names->end());
      return Error{fmt::format("no site '{}' has a socket in {}{}; there: {}", site, directory, config::did_you_mean(site, known), fmt::join(*names, ", ")),
                   ENOENT};
    }
    return found(fmt::format("{}/{}{}", directory, site, kSuffix));
  }
  if (!names) return names.error();
  const auto path_of = [&](const std::string& name) {
    return fmt::format("{}/{}{}", directory, name, kSuffix);
  };
  if (names->size() == 1) return found(path_of(names->front()));

  std::vector<std::string> alive;
  std::copy_if(names->begin(), names->end(), std::back_inserter(alive),
               [&](const std::string& name) { return answers(path_of(name)); });
  if (alive.size() == 1) return found(path_of(alive.front()));
  if (!alive.empty()) {
    return Error{fmt::format("several sites run here: {}; name one with --site", fmt::join(alive, ", ")), 0};
  }
  if (!names->empty()) {
    return Error{fmt::format("none of the daemons in {} answers ({}): try as root, or start one with "
                             "'greywired --config FILE'",
                             directory, fmt::join(*names, ", ")),
                 ECONNREFUSED};
  }
  return Error{
      fmt::format("no daemon is running: no socket in {}; start one with 'greywired --config FILE', or name "
                  "its socket with --socket",
                  directory),
      ENOENT};
}

}  // namespace greywire::cli
