// Reads the sections of a TOML file by their tables of keys (schema.h): what is unknown, missing or of the wrong shape is a
// message with its place. A site's config and a mesh's inventory are read by it. One object lives for one parse.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/config/near_miss.h"
#include "overlay/config/reading.h"
#include "overlay/config/schema.h"
#include "overlay/config/toml_document.h"

namespace greywire::config {

class SectionReader {
 public:
  // `known`: all sections that the file may have. `root` and `reading` outlive the reader.
  SectionReader(const TomlNode& root, Reading& reading, std::vector<SectionDoc> known)
      : root_(root), reading_(reading), known_(std::move(known)) {}

  void error(SourcePosition at, std::string text) { reading_.diagnostics().error(at, std::move(text)); }

  void look_for_unknown_sections();
  const TomlNode::Entry* find(std::string_view name) const;
  const TomlNode* single(std::string_view name);  // nullptr: not there, or no section, which is told
  std::vector<const TomlNode*> tables(std::string_view name, std::string_view header);

  template <class Section>
  void read_keys(const TomlNode& table, std::string_view header, std::span<const Key<Section>> keys, Section& out) {
    out.at.set_section(table.at);
    for (const auto& entry : table.entries) {
      const auto key = std::find_if(keys.begin(), keys.end(), [&](const Key<Section>& k) { return k.doc.name == entry.key; });
      if (key == keys.end()) {
        std::vector<std::string_view> names;
        for (const auto& known : keys) names.push_back(known.doc.name);
        unknown_key(entry, header, names);
        continue;
      }
      out.at.set(entry.key, entry.at);
      reading_.start_key(key->doc);
      const auto errors_before = reading_.diagnostics().error_count();
      key->read(reading_, entry.value, out);
      if (reading_.diagnostics().error_count() != errors_before) out.at.set_wrong(entry.key);
    }
  }

  template <class Section>
  void require_keys(std::string_view header, std::span<const Key<Section>> keys, const Section& section) {
    for (const auto& key : keys) {
      if (key.doc.presence == Presence::kOptional || section.at.has(key.doc.name)) continue;
      error(section.at.section(), fmt::format("{} needs '{}': {}", header, key.doc.name, key.doc.type));
    }
  }

 private:
  // "; it is a key of [[peer]]" for a key that stands in the wrong section.
  std::string other_section(std::string_view key) const;
  void unknown_key(const TomlNode::Entry& entry, std::string_view header, std::span<const std::string_view> names);

  const TomlNode& root_;
  Reading& reading_;
  std::vector<SectionDoc> known_;
};

}  // namespace greywire::config
