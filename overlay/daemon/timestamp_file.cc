#include "overlay/daemon/timestamp_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "overlay/files/replace_file.h"

namespace greywire::daemon {
namespace {

// "@" and 24 hexadecimal digits.
constexpr std::size_t kLabelSize = 1 + 2 * wireguard::kTimestampSize;

std::string label(const wireguard::Timestamp& stamp) {
  std::string out = "@";
  for (const std::uint8_t byte : stamp) out += fmt::format("{:02x}", byte);
  return out;
}

std::optional<wireguard::Timestamp> parse_label(std::string_view text) {
  if (text.size() < kLabelSize || text.front() != '@') return std::nullopt;
  wireguard::Timestamp stamp;
  for (std::size_t i = 0; i < stamp.size(); ++i) {
    const char* digits = text.data() + 1 + 2 * i;
    const auto [end, error] = std::from_chars(digits, digits + 2, stamp[i], 16);
    if (error != std::errc{} || end != digits + 2) return std::nullopt;
  }
  return stamp;
}

Error system_error(std::string_view what, const std::string& path, int code) {
  return Error{fmt::format("cannot {} {}: {}", what, path, std::strerror(code)), code};
}

}  // namespace

Result<std::optional<wireguard::Timestamp>> TimestampFile::read() const {
  const int fd = ::open(path().c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return std::optional<wireguard::Timestamp>{};
    return system_error("read", path(), errno);
  }
  char text[64];
  const ssize_t size = ::read(fd, text, sizeof text);
  const int code = errno;
  ::close(fd);
  if (size < 0) return system_error("read", path(), code);
  const auto stamp = parse_label({text, static_cast<std::size_t>(size)});
  if (!stamp) return Error{fmt::format("{} holds no TAI64N label: remove it", path()), EINVAL};
  return stamp;
}

Result<void> TimestampFile::write(const wireguard::Timestamp& stamp) const {
  return files::replace_state(path(), label(stamp) + "\n", files::OnDisk::kNow);
}

}  // namespace greywire::daemon
