// An inventory is written by people: whatever stands in it, it ends with errors of one line each, or with files of every site
// that the sites themselves accept; and what edits it changes nothing else.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "overlay/mesh/graph.h"
#include "overlay/mesh/inventory_edit.h"
#include "overlay/mesh/site_files.h"
#include "tests/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace greywire;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto loaded = mesh::parse_inventory(text, "mesh.toml");
  FUZZ_CHECK(loaded.inventory.has_value() != loaded.diagnostics.has_errors());
  for (const auto& line : loaded.diagnostics.lines()) FUZZ_CHECK(line.find('\n') == std::string::npos);
  if (!loaded.inventory) return 0;
  const auto& inventory = *loaded.inventory;
  const auto files = mesh::site_files(inventory, "mesh.toml");
  FUZZ_CHECK(files.has_value());
  for (const auto& file : *files) FUZZ_CHECK(file.text.find(mesh::kWrittenBy) != std::string::npos);
  FUZZ_CHECK(mesh::graph_dot(inventory).ends_with("}\n"));
  FUZZ_CHECK(mesh::graph_svg(inventory).ends_with("</svg>\n"));
  for (const auto& site : inventory.sites) {
    const auto edited = mesh::with_revoked(text, inventory, site.name);
    if (!edited) FUZZ_CHECK(edited.error().text.find('\n') == std::string::npos);
  }
  return 0;
}
