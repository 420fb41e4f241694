// Reads secret keys from files that nobody else can read. Blocking file reads, no other state; the bytes read are
// wiped. Errors are one line that names the file and the command that puts it right, and never quote the content.
#pragma once

#include <sys/stat.h>

#include <string>

#include "router/base/result.h"
#include "router/crypto/keys.h"

namespace greywire::config {

// The group of the user that the systemd unit runs the daemon as.
inline constexpr const char* kServiceGroup = "greywire";

// Nobody reads the file but its owner and, where that is the daemon's own group and not root's, its group.
bool is_private_to_service(const struct stat& status);

// The file holds one key in base64, as `greywire genkey` writes it; space around it is ignored. It must be a regular
// file, owned by root or the caller's user, and is_private_to_service().
Result<PrivateKey> read_private_key(const std::string& path);
Result<PresharedKey> read_preshared_key(const std::string& path);

// `path` itself when absolute, else `path` in the folder of `config_file`.
std::string beside(const std::string& config_file, const std::string& path);

}  // namespace greywire::config
