// The file side of a listening Unix socket: directory, stale sockets, mode. Blocking calls of microseconds.
#pragma once

#include <sys/types.h>
#include <sys/un.h>

#include <string>

#include "router/base/result.h"

namespace greywire::control {

// Which file a path named when it was ours, to tell later whether it still is.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

struct BoundSocket {
  int fd = -1;  // listening, non-blocking, close-on-exec; the caller owns it
  FileIdentity identity;
};

// The path as both ends of a socket give it to the kernel. An Error (ENAMETOOLONG) when it is empty or too long.
Result<sockaddr_un> local_socket_address(const std::string& path);

// Makes the missing directories (the last with `directory_mode`, those above 0755), removes the socket of a
// daemon that is no more, binds with mode 0600 whatever the umask is, and listens. Errors name the path and
// the way out; code is the errno, EADDRINUSE where a live daemon answers on the path.
Result<BoundSocket> bind_local_socket(const std::string& path, mode_t directory_mode);

// A socket that the daemon behind `control_socket` is to connect to becomes that daemon's user's, where he is another: root asks,
// and the daemon has no right to what is root's alone.
void give_to_owner_of(const std::string& control_socket, const std::string& path);

// False when the path is gone or names another file.
bool still_names(const std::string& path, const FileIdentity& identity);

}  // namespace greywire::control
