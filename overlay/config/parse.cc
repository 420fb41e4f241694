#include <fmt/format.h>

#include <algorithm>

#include "overlay/config/check.h"
#include "overlay/config/load.h"
#include "overlay/config/near_miss.h"
#include "overlay/config/reading.h"
#include "overlay/config/toml_document.h"

namespace greywire::config {
namespace {

// "; it is a key of [[peer]]" for a key that stands in the wrong section.
std::string other_section(std::string_view key) {
  for (const auto& section : sections()) {
    for (const auto& doc : section.keys) {
      if (doc.name == key) return fmt::format("; it is a key of {}", section.name == "peer_defaults" ? "[[peer]]" : section.header);
    }
  }
  return {};
}

template <class Section>
void unknown_key(Reading& reading, const TomlNode::Entry& entry, std::string_view header,
                 std::span<const Key<Section>> keys) {
  std::vector<std::string_view> names;
  for (const auto& key : keys) names.push_back(key.doc.name);
  auto hint = did_you_mean(entry.key, names);
  if (hint.empty()) hint = other_section(entry.key);
  reading.diagnostics().error(entry.at, fmt::format("unknown key '{}' in {}{}", entry.key, header, hint));
}

template <class Section>
void read_keys(Reading& reading, const TomlNode& table, std::string_view header, std::span<const Key<Section>> keys,
               Section& out) {
  out.at.set_section(table.at);
  for (const auto& entry : table.entries) {
    const auto key = std::find_if(keys.begin(), keys.end(), [&](const Key<Section>& k) { return k.doc.name == entry.key; });
    if (key == keys.end()) {
      unknown_key(reading, entry, header, keys);
      continue;
    }
    out.at.set(entry.key, entry.at);
    reading.start_key(key->doc);
    const auto errors_before = reading.diagnostics().error_count();
    key->read(reading, entry.value, out);
    if (reading.diagnostics().error_count() != errors_before) out.at.set_wrong(entry.key);
  }
}

template <class Section>
void require_keys(Reading& reading, std::string_view header, std::span<const Key<Section>> keys, const Section& section) {
  for (const auto& key : keys) {
    if (key.doc.presence == Presence::kOptional || section.at.has(key.doc.name)) continue;
    reading.diagnostics().error(section.at.section(),
                                fmt::format("{} needs '{}': {}", header, key.doc.name, key.doc.type));
  }
}

class FileReader {
 public:
  FileReader(const TomlNode& root, Diagnostics& diagnostics) : root_(root), reading_(diagnostics) {}

  Config read() {
    look_for_unknown_sections();
    read_prefix_sets();
    read_site();
    read_peers();
    for (const auto* table : tables("tunnel", "[[tunnel]]")) {
      auto& tunnel = config_.tunnels.emplace_back();
      read_keys(reading_, *table, "[[tunnel]]", tunnel_keys(), tunnel);
      require_keys(reading_, "[[tunnel]]", tunnel_keys(), tunnel);
    }
    if (const auto* table = single("underlay")) {
      read_keys(reading_, *table, "[underlay]", underlay_keys(), config_.underlay);
    }
    if (const auto* table = single("routing")) {
      read_keys(reading_, *table, "[routing]", routing_keys(), config_.routing.emplace());
    }
    return std::move(config_);
  }

 private:
  void error(SourcePosition at, std::string text) { reading_.diagnostics().error(at, std::move(text)); }

  const TomlNode::Entry* find(std::string_view name) const {
    for (const auto& entry : root_.entries) {
      if (entry.key == name) return &entry;
    }
    return nullptr;
  }

  void look_for_unknown_sections() {
    std::vector<std::string_view> names;
    const auto known = sections();
    for (const auto& section : known) names.push_back(section.name);
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

  const TomlNode* single(std::string_view name) {
    const auto* entry = find(name);
    if (entry == nullptr || entry->value.kind == TomlNode::Kind::kTable) return entry == nullptr ? nullptr : &entry->value;
    error(entry->at, fmt::format("'{}' is one section: write [{}] once", name, name));
    return nullptr;
  }

  std::vector<const TomlNode*> tables(std::string_view name, std::string_view header) {
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

  void read_prefix_sets() {
    const auto* table = single("prefix_sets");
    if (table == nullptr) return;
    for (const auto& entry : table->entries) {
      const KeyDoc doc{entry.key, "a rule or a list of rules, such as [\"10.0.0.0/8 ge 16 le 24\"]", "", ""};
      reading_.start_key(doc);
      if (const auto name = parse_name(entry.key); !name) {
        error(entry.at, fmt::format("in [prefix_sets]: {}", name.error().text));
        continue;
      }
      reading_.prefix_rules(entry.value, reading_.prefix_sets()[entry.key], false);
    }
  }

  void read_site() {
    const auto* entry = find("site");
    const auto* table = single("site");
    if (entry == nullptr) error({}, "there is no [site] section: it says who this site is");
    if (table == nullptr) return;
    auto& site = config_.site;
    read_keys(reading_, *table, "[site]", site_keys(), site);
    require_keys(reading_, "[site]", site_keys(), site);
    if (site.state_dir.empty()) site.state_dir = fmt::format("/var/lib/greywire/{}", site.name);
    if (site.control_socket.empty()) site.control_socket = fmt::format("/run/greywire/{}.sock", site.name);
    const bool has_addresses = site.at.has("overlay_address") && !site.at.is_wrong("overlay_address");
    if (has_addresses && site.overlay_addresses.empty()) {
      error(site.at.of("overlay_address"), "'overlay_address' of [site] must hold at least one address");
    }
  }

  void read_peers() {
    Peer defaults;
    if (const auto* table = single("peer_defaults")) {
      TomlNode shared = *table;
      std::erase_if(shared.entries, [&](const TomlNode::Entry& entry) { return refuse_own(entry); });
      read_keys(reading_, shared, "[peer_defaults]", peer_keys(), defaults);
    }
    for (const auto* table : tables("peer", "[[peer]]")) {
      auto& peer = config_.peers.emplace_back(defaults);
      read_keys(reading_, *table, "[[peer]]", peer_keys(), peer);
      require_keys(reading_, "[[peer]]", peer_keys(), peer);
    }
  }

  bool refuse_own(const TomlNode::Entry& entry) {
    const auto keys = peer_keys();
    const bool own = std::any_of(keys.begin(), keys.end(), [&](const Key<Peer>& key) {
      return key.doc.name == entry.key && key.doc.scope == Scope::kOwn;
    });
    if (own) error(entry.at, fmt::format("'{}' means one peer: it cannot be in [peer_defaults]", entry.key));
    return own;
  }

  const TomlNode& root_;
  Reading reading_;
  Config config_;
};

}  // namespace

Loaded parse(std::string_view text, const std::string& file_name) {
  Loaded loaded{std::nullopt, Diagnostics(file_name)};
  const auto root = parse_toml(text, loaded.diagnostics);
  if (!root) return loaded;
  auto config = FileReader(*root, loaded.diagnostics).read();
  check(config, loaded.diagnostics);
  if (!loaded.diagnostics.has_errors()) loaded.config = std::move(config);
  return loaded;
}

}  // namespace greywire::config
