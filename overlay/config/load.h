// From a TOML file to a Config. All that is wrong is reported, not only the first thing (but for a slip in the TOML
// grammar itself, after which nothing can be trusted).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "overlay/config/config.h"
#include "overlay/config/diagnostics.h"
#include "router/base/result.h"

namespace greywire::config {

inline constexpr std::size_t kLargestFile = 16 * 1024 * 1024;  // bytes

struct Loaded {
  std::optional<Config> config;  // set when nothing but warnings was found
  Diagnostics diagnostics;
  std::string state_dir;         // of [site], as far as the text can be read: also where there is no config
};

// Pure: reads and checks `text`; the key files are neither opened nor needed, and the keys in the result are all zero.
// `file_name` stands in the messages and is what relative paths of key files are relative to.
Loaded parse(std::string_view text, const std::string& file_name);

// Reads the file and the key files that it names. Start-up and `greywire check`; blocking file reads.
Loaded load(const std::string& path);
// The same of a text that the file had once, with the key files as they are now.
Loaded load_text(std::string_view text, const std::string& file_name);

// The file's text, at most kLargestFile; the error does not name it.
Result<std::string> read_file(const std::string& path);

}  // namespace greywire::config
