// A TOML file (TOML 1.0) as a tree of plain values with their places. The one thing here that knows a TOML library is
// toml_document.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/config/diagnostics.h"

namespace greywire::config {

struct TomlNode {
  enum class Kind : std::uint8_t { kString, kInteger, kFloat, kBoolean, kDate, kList, kTable };
  struct Entry;

  Kind kind = Kind::kTable;
  SourcePosition at;
  std::string text;            // kString
  std::int64_t integer = 0;    // kInteger
  bool boolean = false;        // kBoolean
  std::vector<TomlNode> items; // kList
  std::vector<Entry> entries;  // kTable, in the order of the file

  // For messages: "the text \"abc\"" (cut when long, control characters left out), "the number 70000", "a table".
  std::string description() const;
};

struct TomlNode::Entry {
  std::string key;
  SourcePosition at;
  TomlNode value;
};

// Nothing, and one error in `diagnostics`, where the text is no TOML: the grammar cannot be trusted past its first error.
std::optional<TomlNode> parse_toml(std::string_view text, Diagnostics& diagnostics);

}  // namespace greywire::config
