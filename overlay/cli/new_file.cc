#include "overlay/cli/new_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace greywire::cli {

Result<void> write_new(const std::string& path, std::string_view content, std::string_view way_out) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    const int code = errno;
    return Error{fmt::format("cannot write {}: {}{}", path, std::strerror(code), code == EEXIST ? way_out : ""), code};
  }
  const auto written = ::write(fd, content.data(), content.size());
  const int code = written == static_cast<ssize_t>(content.size()) ? 0 : written < 0 ? errno : ENOSPC;
  if (::close(fd) == 0 && code == 0) return {};
  ::unlink(path.c_str());
  return Error{fmt::format("cannot write {}: {}", path, std::strerror(code)), code};
}

}  // namespace greywire::cli
