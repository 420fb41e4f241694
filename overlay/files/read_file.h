// Reads whole files. Blocking file access, no other state, any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "router/base/result.h"

namespace greywire::files {

// At most `largest` bytes; more is an Error with code EFBIG. The Error does not name the file.
Result<std::string> read_file(const std::string& path, std::size_t largest);

// A file that replace_state() wrote; nothing where there is none. It decides what the daemon does, so it must be a file of root's or
// the caller's own that nobody else may write to, in a folder of which the same is true (a sticky one will do). The Error names it.
Result<std::optional<std::string>> read_state(const std::string& path, std::size_t largest);

}  // namespace greywire::files
