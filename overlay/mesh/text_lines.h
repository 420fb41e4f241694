// A text's lines, each with its line end, so that they make the text again.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

namespace greywire::mesh {

// They point into `text`.
inline std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size() - 1) + 1;
    out.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return out;
}

}  // namespace greywire::mesh
