// Files that a command makes.
#pragma once

#include <string>
#include <string_view>

#include "router/base/result.h"

namespace greywire::cli {

// For its owner alone, and never over another file: then the Error's code is EEXIST and its text ends with `way_out`.
Result<void> write_new(const std::string& path, std::string_view content, std::string_view way_out);

}  // namespace greywire::cli
