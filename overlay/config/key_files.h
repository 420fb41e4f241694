// Reads secret keys from files that nobody else can read. Blocking file reads, no other state; the bytes read are
// wiped. Errors are one line that names the file and the command that puts it right, and never quote the content.
#pragma once

#include <string>

#include "router/base/result.h"
#include "router/crypto/keys.h"

namespace greywire::config {

// The file holds one key in base64, as `greywire genkey` writes it; space around it is ignored. It must be a regular
// file, owned by root or the caller's user, and without any permission for group and others.
Result<PrivateKey> read_private_key(const std::string& path);
Result<PresharedKey> read_preshared_key(const std::string& path);

// `path` itself when absolute, else `path` in the folder of `config_file`.
std::string beside(const std::string& config_file, const std::string& path);

}  // namespace greywire::config
