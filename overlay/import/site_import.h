// From wg-quick's files and the kernel's GRE links to one site's TOML: pure. What could not be carried over stands in it as
// comments beside what it was about, and in `notes`; secrets go to key files of their own and nowhere else.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "overlay/import/gre_links.h"
#include "overlay/import/wg_quick.h"
#include "router/base/result.h"

namespace greywire::import {

struct ImportOptions {
  std::string site;        // its name
  bool first_key = false;  // of several private keys the first file's becomes the site's
};

struct ImportedSite {
  std::string toml;
  std::string private_key_file;  // beside the TOML file, as all key files
  PrivateKey private_key;
  std::vector<std::pair<std::string, PresharedKey>> preshared_keys;  // by file
  std::vector<std::string> notes;  // one line each, without values: "wg0.conf:7: PostUp is not carried over"
};

// An Error says what keeps the files from being one site, and the way out.
Result<ImportedSite> import_site(std::span<const QuickConfig> files, std::span<const GreLink> links, const ImportOptions& options);

}  // namespace greywire::import
