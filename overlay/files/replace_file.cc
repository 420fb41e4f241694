#include "overlay/files/replace_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "overlay/files/folder.h"

namespace greywire::files {
namespace {

Error failed(std::string_view what, const std::string& path, int code) {
  return {fmt::format("cannot {} {}: {}", what, path, std::strerror(code)), code};
}

Result<void> write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const auto n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return failed("write", path, n < 0 ? errno : ENOSPC);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

// The names in it. A folder that this user may write to and not read, or of a file system that knows no such thing, is left to
// the system.
Result<void> sync_folder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return {};
  const int code = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  if (code != 0 && code != EINVAL) return failed("write to the folder", folder, code);
  return {};
}

// Puts `text` into the descriptor of `fresh`, which is closed, and `fresh` in the place of `path`.
Result<void> fill_and_rename(int fd, const std::string& fresh, const std::string& path, std::string_view text, OnDisk when) {
  auto done = write_all(fd, text, path);
  if (done && when == OnDisk::kNow && ::fsync(fd) != 0) done = failed("write", path, errno);
  if (::close(fd) != 0 && done) done = failed("write", path, errno);
  if (done && ::rename(fresh.c_str(), path.c_str()) != 0) done = failed("replace", path, errno);
  if (!done) {
    ::unlink(fresh.c_str());
    return done;
  }
  return when == OnDisk::kNow ? sync_folder(folder_of(path)) : done;
}

Result<void> keep_rights(int fd, const std::string& path) {
  struct stat before {};
  const bool there = ::stat(path.c_str(), &before) == 0;
  if (::fchmod(fd, there ? before.st_mode & 07777 : 0644) != 0) return failed("write", path, errno);
  if (!there || (before.st_uid == ::geteuid() && before.st_gid == ::getegid())) return {};
  if (::fchown(fd, before.st_uid, before.st_gid) != 0) return failed("keep the owner of", path, errno);
  return {};
}

}  // namespace

Result<void> replace_file(const std::string& path, std::string_view text) {
  std::string fresh = path + ".XXXXXX";
  const int fd = ::mkostemp(fresh.data(), O_CLOEXEC);
  if (fd < 0) return failed("write", path, errno);
  if (auto kept = keep_rights(fd, path); !kept) {
    ::close(fd);
    ::unlink(fresh.c_str());
    return kept;
  }
  return fill_and_rename(fd, fresh, path, text, OnDisk::kNow);
}

Result<void> replace_state(const std::string& path, std::string_view text, OnDisk when) {
  const auto folder = folder_of(path);
  std::error_code made;
  if (std::filesystem::create_directories(folder, made)) ::chmod(folder.c_str(), 0700);
  if (made) return failed("make the folder", folder, made.value());
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return failed("write", path, errno);
  return fill_and_rename(fd, fresh, path, text, when);
}

Result<void> remove_state(const std::string& path) {
  const int code = ::unlink(path.c_str()) == 0 ? 0 : errno;
  struct stat found {};
  // A file system that nobody may write to says so first, whether or not the file is there.
  const bool gone = code == 0 || (::lstat(path.c_str(), &found) != 0 && (errno == ENOENT || errno == ENOTDIR));
  if (!gone) return failed("remove", path, code);
  return sync_folder(folder_of(path));  // also of one that was not there: an earlier call may have failed here
}

}  // namespace greywire::files
