// Pure, any thread.
#pragma once

#include <filesystem>
#include <string>

namespace greywire::files {

// The folder that a file is in: "." for a name alone.
inline std::string folder_of(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace greywire::files
