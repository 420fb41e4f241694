#include "overlay/config/toml_document.h"

#include <fmt/format.h>

#include <algorithm>

#include <toml++/toml.h>

namespace greywire::config {
namespace {

SourcePosition position(const toml::source_region& region) {
  return {static_cast<std::uint32_t>(region.begin.line), static_cast<std::uint32_t>(region.begin.column)};
}

TomlNode convert(const toml::node& node);

void convert_table(const toml::table& table, TomlNode& out) {
  out.kind = TomlNode::Kind::kTable;
  for (const auto& [key, value] : table) {
    out.entries.push_back({std::string(key.str()), position(key.source()), convert(value)});
  }
  std::stable_sort(out.entries.begin(), out.entries.end(),
                   [](const TomlNode::Entry& a, const TomlNode::Entry& b) { return a.at < b.at; });
}

// The library bounds the depth of nesting while it parses, which bounds this recursion.
TomlNode convert(const toml::node& node) {
  TomlNode out;
  out.at = position(node.source());
  if (const auto* text = node.as_string()) {
    out.kind = TomlNode::Kind::kString;
    out.text = text->get();
  } else if (const auto* integer = node.as_integer()) {
    out.kind = TomlNode::Kind::kInteger;
    out.integer = integer->get();
  } else if (node.is_floating_point()) {
    out.kind = TomlNode::Kind::kFloat;
  } else if (const auto* boolean = node.as_boolean()) {
    out.kind = TomlNode::Kind::kBoolean;
    out.boolean = boolean->get();
  } else if (const auto* list = node.as_array()) {
    out.kind = TomlNode::Kind::kList;
    for (const auto& item : *list) out.items.push_back(convert(item));
  } else if (const auto* table = node.as_table()) {
    convert_table(*table, out);
  } else {
    out.kind = TomlNode::Kind::kDate;
  }
  return out;
}

// The library's words, shortened, and what is behind the usual slips.
std::string syntax_error(std::string_view description) {
  constexpr std::string_view kLead = "Error while parsing ";
  constexpr std::string_view kAgain = "cannot redefine existing ";
  const auto has = [&](std::string_view words) { return description.find(words) != std::string_view::npos; };
  if (const auto again = description.find(kAgain); again != std::string_view::npos && !has(" as ")) {
    return fmt::format("{} is there already: each may stand once", description.substr(again + kAgain.size()));
  }
  if (has("could not determine value type") || has("parsing floating-point")) {
    return "not a TOML value: text, addresses and prefixes stand in quotes";
  }
  if (description.starts_with(kLead)) return fmt::format("not valid TOML, in a {}", description.substr(kLead.size()));
  return fmt::format("not valid TOML: {}", description);
}

}  // namespace

std::string TomlNode::description() const {
  constexpr std::size_t kLongest = 60;
  switch (kind) {
    case Kind::kString: {
      std::string shown;
      for (const char c : text.substr(0, kLongest)) shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
      return fmt::format("the text \"{}{}\"", shown, text.size() > kLongest ? "…" : "");
    }
    case Kind::kInteger: return fmt::format("the number {}", integer);
    case Kind::kFloat: return "a fractional number";
    case Kind::kBoolean: return boolean ? "true" : "false";
    case Kind::kDate: return "a date or time";
    case Kind::kList: return "a list";
    case Kind::kTable: return "a table";
  }
  return "nothing";
}

std::optional<TomlNode> parse_toml(std::string_view text, Diagnostics& diagnostics) {
  try {
    const toml::table table = toml::parse(text);
    TomlNode out;
    convert_table(table, out);
    return out;
  } catch (const toml::parse_error& error) {
    diagnostics.error(position(error.source()), syntax_error(error.description()));
    return std::nullopt;
  }
}

}  // namespace greywire::config
