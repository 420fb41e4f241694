#include "overlay/config/key_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "router/crypto/wipe.h"

namespace greywire::config {
namespace {

// A key is 44 characters; more room tells a key with space around it from another kind of file.
constexpr std::size_t kRoom = 256;

class File {
 public:
  explicit File(const std::string& path) : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

Error cannot_open(std::string_view kind, std::string_view generate, const std::string& path, int code) {
  if (code == ENOENT) {
    return {fmt::format("the {} file {} does not exist: make one with (umask 077; greywire {} > {})", kind, path,
                        generate, path), code};
  }
  if (code == EACCES) {
    return {fmt::format("cannot read the {} file {}: {}: run chown :{} {} && chmod 640 {}, and the same for its folder with 750", kind,
                        path, std::strerror(code), kServiceGroup, path, path), code};
  }
  return {fmt::format("cannot read the {} file {}: {}", kind, path, std::strerror(code)), code};
}

// Whether this is the group of the daemon's own user, and not root's.
bool is_service_group(gid_t group) {
  if (group == 0) return false;
  if (::geteuid() != 0 && group == ::getegid()) return true;
  char buffer[4096];
  struct group entry {};
  struct group* found = nullptr;
  return ::getgrnam_r(kServiceGroup, &entry, buffer, sizeof buffer, &found) == 0 && found != nullptr && entry.gr_gid == group;
}

Result<void> check_owner_and_mode(std::string_view kind, const std::string& path, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) return Error{fmt::format("the {} file {} is not a regular file", kind, path), EINVAL};
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return Error{fmt::format("the {} file {} belongs to user {}: run chown root {}", kind, path, status.st_uid, path),
                 EPERM};
  }
  if (!is_private_to_service(status)) {
    return Error{fmt::format("the {} file {} is open to group or others (mode {:04o}): run chmod 600 {}", kind, path,
                             status.st_mode & 07777, path), EPERM};
  }
  return {};
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

template <class Key>
Result<Key> read_key(std::string_view kind, std::string_view generate, const std::string& path) {
  const File file(path);
  if (file.descriptor() < 0) return cannot_open(kind, generate, path, errno);
  struct stat status {};
  if (::fstat(file.descriptor(), &status) != 0) return cannot_open(kind, generate, path, errno);
  if (auto sound = check_owner_and_mode(kind, path, status); !sound) return sound.error();
  std::array<char, kRoom> bytes{};
  const WipeOnExit wipe_bytes(bytes);
  const auto size = ::read(file.descriptor(), bytes.data(), bytes.size());
  if (size < 0) return cannot_open(kind, generate, path, errno);
  auto key = Key::from_base64(trimmed({bytes.data(), static_cast<std::size_t>(size)}));
  if (!key || key->is_zero()) {
    return Error{fmt::format("the {} file {} does not hold one base64 key of 44 characters: make one with (umask 077; "
                             "greywire {} > {})", kind, path, generate, path), EINVAL};
  }
  return key;
}

}  // namespace

bool is_private_to_service(const struct stat& status) {
  if ((status.st_mode & 077) == 0) return true;
  return (status.st_mode & 077) == 040 && is_service_group(status.st_gid);
}

Result<PrivateKey> read_private_key(const std::string& path) {
  return read_key<PrivateKey>("private key", "genkey", path);
}

Result<PresharedKey> read_preshared_key(const std::string& path) {
  return read_key<PresharedKey>("preshared key", "genpsk", path);
}

std::string beside(const std::string& config_file, const std::string& path) {
  if (path.empty() || path.front() == '/') return path;
  const auto slash = config_file.rfind('/');
  return slash == std::string::npos ? path : config_file.substr(0, slash + 1) + path;
}

}  // namespace greywire::config
