// What is written for each site of a mesh: its Greywire config, its FRR config, and how its key is made. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "overlay/mesh/inventory.h"
#include "router/base/result.h"

namespace greywire::mesh {

// Stands in the first line of every file that is written, and tells them from others.
inline constexpr std::string_view kWrittenBy = "written by greywire mesh build";

struct SiteFile {
  std::string path;  // "ams/ams.toml"
  std::string text;
  friend bool operator==(const SiteFile&, const SiteFile&) = default;
};

// Of all sites that are not revoked, in the order of the inventory. `source` is the inventory's file name, for comments. Each
// Greywire config has been read back and checked; an Error says what is wrong with one.
Result<std::vector<SiteFile>> site_files(const Inventory& inventory, std::string_view source);

// Names of the sites that are neither enrolled nor revoked.
std::vector<std::string> not_enrolled(const Inventory& inventory);

// What a site's own daemon and FRR read of it; the key request is read by people.
bool is_running_config(std::string_view path);

}  // namespace greywire::mesh
