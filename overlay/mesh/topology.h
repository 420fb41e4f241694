// Who has a link with whom, and whose networks come by whom. Pure.
//
// Sites are named by their place in Inventory::sites; revoked ones have no links.
#pragma once

#include <cstddef>
#include <vector>

#include "overlay/mesh/inventory.h"

namespace greywire::mesh {

class Links {
 public:
  explicit Links(const Inventory& inventory);  // which outlives it

  // In the order of the file.
  const std::vector<std::size_t>& of(std::size_t site) const { return of_[site]; }

  // The sites whose networks `from` may hear of from its neighbour `by`: that one first, then those that it passes on.
  std::vector<std::size_t> heard(std::size_t from, std::size_t by) const;

  // The sites that neither have a link with `from` nor are passed on to it.
  std::vector<std::size_t> out_of_reach(std::size_t from) const;

 private:
  const Inventory& inventory_;
  std::vector<std::vector<std::size_t>> of_;
};

}  // namespace greywire::mesh
