#include "overlay/files/read_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "overlay/files/folder.h"

namespace greywire::files {
namespace {

using Text = Result<std::string>;

Text read_all(int fd, std::size_t largest) {
  std::string text;
  char buffer[65536];
  for (;;) {
    const auto size = ::read(fd, buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Error{fmt::format("cannot read the file: {}", std::strerror(errno)), errno};
    if (size == 0) return Text(boost::system::in_place_value, std::move(text));
    text.append(buffer, static_cast<std::size_t>(size));
    if (text.size() > largest) return Error{fmt::format("the file is larger than {} MiB", largest / 1024 / 1024), EFBIG};
  }
}

Result<void> check_own(int fd) {
  struct stat found {};
  if (::fstat(fd, &found) != 0) return Error{std::strerror(errno), errno};
  if (!S_ISREG(found.st_mode)) return Error{"it is no regular file", EINVAL};
  if (found.st_uid != 0 && found.st_uid != ::geteuid()) return Error{fmt::format("it belongs to user {}", found.st_uid), EPERM};
  if ((found.st_mode & 022) != 0) return Error{fmt::format("others may write to it (mode {:04o})", found.st_mode & 07777), EPERM};
  return {};
}

// Who may write to the folder puts another file of root's or ours in the place of this one.
Result<void> check_folder(const std::string& path) {
  struct stat found {};
  if (::stat(folder_of(path).c_str(), &found) != 0) return Error{std::strerror(errno), errno};
  if (found.st_uid != 0 && found.st_uid != ::geteuid()) return Error{fmt::format("its folder belongs to user {}", found.st_uid), EPERM};
  if ((found.st_mode & 022) != 0 && (found.st_mode & S_ISVTX) == 0) {
    return Error{fmt::format("others may write to its folder (mode {:04o})", found.st_mode & 07777), EPERM};
  }
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t largest) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Error{fmt::format("cannot open the file: {}", std::strerror(errno)), errno};
  auto text = read_all(fd, largest);
  ::close(fd);
  return text;
}

Result<std::optional<std::string>> read_state(const std::string& path, std::size_t largest) {
  const auto failed = [&](const Error& why) { return Error{fmt::format("cannot use {}: {}", path, why.text), why.code}; };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<std::string>{};
    return failed({std::strerror(errno), errno});
  }
  auto own = check_own(fd);
  if (own) own = check_folder(path);
  auto text = own ? read_all(fd, largest) : Text(own.error());
  ::close(fd);
  if (!text) return failed(text.error());
  return std::optional<std::string>(std::move(*text));
}

}  // namespace greywire::files
