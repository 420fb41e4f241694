#include "overlay/config/load.h"

#include <cerrno>

#include "overlay/config/check.h"
#include "overlay/config/key_files.h"
#include "overlay/files/read_file.h"
#include "router/crypto/x25519.h"

namespace greywire::config {
namespace {

void read_keys(Config& config, Diagnostics& diagnostics) {
  auto& site = config.site;
  const auto& file = diagnostics.file_name();
  if (auto key = read_private_key(beside(file, site.private_key_file))) {
    site.private_key = *key;
    site.public_key = derive_public_key(site.private_key);
  } else {
    diagnostics.error(site.at.of("private_key_file"), key.error().text);
  }
  if (!site.previous_key_file.empty()) {
    if (auto key = read_private_key(beside(file, site.previous_key_file))) {
      site.previous_key = *key;
    } else {
      diagnostics.error(site.at.of("previous_key_file"), key.error().text);
    }
  }
  for (auto& peer : config.peers) {
    if (peer.preshared_key_file.empty()) continue;
    if (auto key = read_preshared_key(beside(file, peer.preshared_key_file))) {
      peer.preshared_key = *key;
    } else {
      diagnostics.error(peer.at.of("preshared_key_file"), key.error().text);
    }
  }
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  auto text = files::read_file(path, kLargestFile);
  if (!text && text.error().code == EFBIG) return Error{text.error().text + ": it is no config", EFBIG};
  return text;
}

Loaded load(const std::string& path) {
  const auto text = read_file(path);
  if (!text) {
    Loaded failed{std::nullopt, Diagnostics(path), ""};
    failed.diagnostics.error({}, text.error().text);
    return failed;
  }
  return load_text(*text, path);
}

Loaded load_text(std::string_view text, const std::string& file_name) {
  auto loaded = parse(text, file_name);
  if (!loaded.config) return loaded;
  read_keys(*loaded.config, loaded.diagnostics);
  check_keys(*loaded.config, loaded.diagnostics);
  if (loaded.diagnostics.has_errors()) loaded.config.reset();
  return loaded;
}

}  // namespace greywire::config
