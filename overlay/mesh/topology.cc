#include "overlay/mesh/topology.h"

#include <algorithm>

namespace greywire::mesh {
namespace {

bool named(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool linked(const Inventory& inventory, const Site& one, const Site& other) {
  if (one.revoked || other.revoked) return false;
  switch (inventory.mesh.topology) {
    case Topology::kFull: return true;
    case Topology::kHub: return one.hub || other.hub;
    case Topology::kPartial: break;
  }
  return named(one.links, other.name) || named(other.links, one.name) ||
         std::any_of(one.groups.begin(), one.groups.end(), [&](const auto& group) { return named(other.groups, group); });
}

}  // namespace

Links::Links(const Inventory& inventory) : inventory_(inventory), of_(inventory.sites.size()) {
  const auto& sites = inventory.sites;
  for (std::size_t one = 0; one < sites.size(); ++one) {
    for (std::size_t other = 0; other < sites.size(); ++other) {
      if (one != other && linked(inventory, sites[one], sites[other])) of_[one].push_back(other);
    }
  }
}

std::vector<std::size_t> Links::heard(std::size_t from, std::size_t by) const {
  std::vector<std::size_t> out{by};
  std::vector<bool> seen(of_.size());
  seen[from] = seen[by] = true;
  // `out` is also what is still to be asked whom it knows; where all are known that ends.
  for (std::size_t next = 0; next < out.size() && out.size() + 1 < of_.size(); ++next) {
    if (!inventory_.passes_on(inventory_.sites[out[next]])) continue;
    for (const std::size_t site : of_[out[next]]) {
      if (seen[site]) continue;
      seen[site] = true;
      out.push_back(site);
    }
  }
  std::sort(out.begin() + 1, out.end());
  return out;
}

std::vector<std::size_t> Links::out_of_reach(std::size_t from) const {
  std::vector<bool> seen(of_.size());
  seen[from] = true;
  for (const std::size_t by : of_[from]) {
    for (const std::size_t site : heard(from, by)) seen[site] = true;
  }
  std::vector<std::size_t> out;
  for (std::size_t site = 0; site < seen.size(); ++site) {
    if (!seen[site] && !inventory_.sites[site].revoked) out.push_back(site);
  }
  return out;
}

}  // namespace greywire::mesh
