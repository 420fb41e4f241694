#include <fmt/format.h>

#include <algorithm>

#include "overlay/config/check.h"
#include "overlay/config/key_files.h"
#include "overlay/config/load.h"
#include "overlay/config/section_reader.h"

namespace greywire::config {
namespace {

class FileReader {
 public:
  FileReader(const TomlNode& root, Diagnostics& diagnostics) : reading_(diagnostics), reader_(root, reading_, sections()) {}

  Config read() {
    reader_.look_for_unknown_sections();
    read_prefix_sets();
    read_site();
    read_peers();
    for (const auto* table : reader_.tables("tunnel", "[[tunnel]]")) {
      auto& tunnel = config_.tunnels.emplace_back();
      reader_.read_keys(*table, "[[tunnel]]", tunnel_keys(), tunnel);
      reader_.require_keys("[[tunnel]]", tunnel_keys(), tunnel);
    }
    if (const auto* table = reader_.single("underlay")) {
      reader_.read_keys(*table, "[underlay]", underlay_keys(), config_.underlay);
    }
    if (const auto* table = reader_.single("routing")) {
      reader_.read_keys(*table, "[routing]", routing_keys(), config_.routing.emplace());
    }
    return std::move(config_);
  }

 private:
  void read_prefix_sets() {
    const auto* table = reader_.single("prefix_sets");
    if (table == nullptr) return;
    for (const auto& entry : table->entries) {
      const KeyDoc doc{entry.key, "a rule or a list of rules, such as [\"10.0.0.0/8 ge 16 le 24\"]", "", ""};
      reading_.start_key(doc);
      if (const auto name = parse_name(entry.key); !name) {
        reader_.error(entry.at, fmt::format("in [prefix_sets]: {}", name.error().text));
        continue;
      }
      reading_.prefix_rules(entry.value, reading_.prefix_sets()[entry.key], false);
    }
  }

  void read_site() {
    const auto* entry = reader_.find("site");
    const auto* table = reader_.single("site");
    if (entry == nullptr) reader_.error({}, "there is no [site] section: it says who this site is");
    if (table == nullptr) return;
    auto& site = config_.site;
    reader_.read_keys(*table, "[site]", site_keys(), site);
    reader_.require_keys("[site]", site_keys(), site);
    if (site.state_dir.empty()) site.state_dir = fmt::format("/var/lib/greywire/{}", site.name);
    if (site.control_socket.empty()) site.control_socket = fmt::format("/run/greywire/{}.sock", site.name);
    const bool has_addresses = site.at.has("overlay_address") && !site.at.is_wrong("overlay_address");
    if (has_addresses && site.overlay_addresses.empty()) {
      reader_.error(site.at.of("overlay_address"), "'overlay_address' of [site] must hold at least one address");
    }
  }

  void read_peers() {
    Peer defaults;
    if (const auto* table = reader_.single("peer_defaults")) {
      TomlNode shared = *table;
      std::erase_if(shared.entries, [&](const TomlNode::Entry& entry) { return refuse_own(entry); });
      reader_.read_keys(shared, "[peer_defaults]", peer_keys(), defaults);
    }
    for (const auto* table : reader_.tables("peer", "[[peer]]")) {
      auto& peer = config_.peers.emplace_back(defaults);
      reader_.read_keys(*table, "[[peer]]", peer_keys(), peer);
      reader_.require_keys("[[peer]]", peer_keys(), peer);
    }
  }

  bool refuse_own(const TomlNode::Entry& entry) {
    const auto keys = peer_keys();
    const bool own = std::any_of(keys.begin(), keys.end(), [&](const Key<Peer>& key) {
      return key.doc.name == entry.key && key.doc.scope == Scope::kOwn;
    });
    if (own) reader_.error(entry.at, fmt::format("'{}' means one peer: it cannot be in [peer_defaults]", entry.key));
    return own;
  }

  Reading reading_;
  SectionReader reader_;
  Config config_;
};

}  // namespace

Loaded parse(std::string_view text, const std::string& file_name) {
  Loaded loaded{std::nullopt, Diagnostics(file_name), ""};
  const auto root = parse_toml(text, loaded.diagnostics);
  if (!root) return loaded;
  auto config = FileReader(*root, loaded.diagnostics).read();
  check(config, loaded.diagnostics);
  config.site.state_dir = beside(file_name, config.site.state_dir);
  config.text = text;
  loaded.state_dir = config.site.state_dir;
  if (!loaded.diagnostics.has_errors()) loaded.config = std::move(config);
  return loaded;
}

}  // namespace greywire::config
