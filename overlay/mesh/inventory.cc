#include "overlay/mesh/inventory.h"

#include <algorithm>

#include "overlay/config/section_reader.h"

namespace greywire::mesh {

const Site* Inventory::find(std::string_view name) const {
  const auto it = std::find_if(sites.begin(), sites.end(), [&](const Site& site) { return site.name == name; });
  return it == sites.end() ? nullptr : &*it;
}

std::uint32_t Inventory::asn_of(const Site& site) const {
  if (site.asn) return *site.asn;
  return mesh.bgp == Bgp::kIbgp ? mesh.asn : mesh.asn + site.number;
}

LoadedInventory parse_inventory(std::string_view text, const std::string& file_name) {
  LoadedInventory loaded{std::nullopt, config::Diagnostics(file_name)};
  const auto root = config::parse_toml(text, loaded.diagnostics);
  if (!root) return loaded;
  config::Reading reading(loaded.diagnostics);
  config::SectionReader reader(*root, reading, inventory_sections());
  Inventory inventory;
  reader.look_for_unknown_sections();
  if (reader.find("mesh") == nullptr) reader.error({}, "there is no [mesh] section: it says what the sites have in common");
  if (const auto* table = reader.single("mesh")) {
    reader.read_keys(*table, "[mesh]", mesh_keys(), inventory.mesh);
    reader.require_keys("[mesh]", mesh_keys(), inventory.mesh);
  }
  for (const auto* table : reader.tables("site", "[[site]]")) {
    auto& site = inventory.sites.emplace_back();
    reader.read_keys(*table, "[[site]]", site_keys(), site);
    reader.require_keys("[[site]]", site_keys(), site);
  }
  complete(inventory, loaded.diagnostics);
  check(inventory, loaded.diagnostics);
  if (!loaded.diagnostics.has_errors()) loaded.inventory = std::move(inventory);
  return loaded;
}

std::string_view to_string(Topology topology) {
  switch (topology) {
    case Topology::kFull: return "full";
    case Topology::kHub: return "hub";
    case Topology::kPartial: return "partial";
  }
  return "";
}

}  // namespace greywire::mesh
