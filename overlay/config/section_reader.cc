#include "overlay/config/section_reader.h"

namespace greywire::config {

std::string SectionReader::other_section(std::string_view key) const {
  for (const auto& section : known_) {
    for (const auto& doc : section.keys) {
      if (doc.name == key) return fmt::format("; it is a key of {}", section.name == "peer_defaults" ? "[[peer]]" : section.header);
    }
  }
  return {};
}

void SectionReader::unknown_key(const TomlNode::Entry& entry, std::string_view header, std::span<const std::string_view> names) {
  auto hint = did_you_mean(entry.key, names);
  if (hint.empty()) hint = other_section(entry.key);
  error(entry.at, fmt::format("unknown key '{}' in {}{}", entry.key, header, hint));
}

const TomlNode::Entry* SectionReader::find(std::string_view name) const {
  for (const auto& entry : root_.entries) {
    if (entry.key == name) return &entry;
  }
  return nullptr;
}

void SectionReader::look_for_unknown_sections() {
  std::vector<std::string_view> names;
  for (const auto& section : known_) names.push_back(section.name);
  for (const auto& entry : root_.entries) {
    if (std::find(names.begin(), names.end(), entry.key) != names.end()) continue;
    const bool is_section = entry.value.kind == TomlNode::Kind::kTable || entry.value.kind == TomlNode::Kind::kList;
    const auto hint = did_you_mean(entry.key, names);
    if (is_section && entry.value.items.empty() == (entry.value.kind == TomlNode::Kind::kTable)) {
      error(entry.at, fmt::format("unknown section '{}'{}", entry.key, hint));
    } else {
      error(entry.at, fmt::format("key '{}' stands before the first section{}", entry.key, other_section(entry.key)));
    }
  }
}

const TomlNode* SectionReader::single(std::string_view name) {
  const auto* entry = find(name);
  if (entry == nullptr || entry->value.kind == TomlNode::Kind::kTable) return entry == nullptr ? nullptr : &entry->value;
  error(entry->at, fmt::format("'{}' is one section: write [{}] once", name, name));
  return nullptr;
}

std::vector<const TomlNode*> SectionReader::tables(std::string_view name, std::string_view header) {
  std::vector<const TomlNode*> out;
  const auto* entry = find(name);
  if (entry == nullptr) return out;
  if (entry->value.kind != TomlNode::Kind::kList) {
    error(entry->at, fmt::format("'{}' is a list of sections: write {} for each", name, header));
    return out;
  }
  for (const auto& item : entry->value.items) {
    if (item.kind == TomlNode::Kind::kTable) {
      out.push_back(&item);
    } else {
      error(item.at, fmt::format("'{}' is a list of sections: write {} for each", name, header));
    }
  }
  return out;
}

}  // namespace greywire::config
