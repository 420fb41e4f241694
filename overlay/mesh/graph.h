// A mesh as a picture: sites and the links between them. Pure.
#pragma once

#include <string>

#include "overlay/mesh/inventory.h"

namespace greywire::mesh {

// Of both: sites that pass on what they learned have two rims, reflectors are grey, sites without a key dashed; revoked ones
// are left out.
std::string graph_dot(const Inventory& inventory);  // for Graphviz
std::string graph_svg(const Inventory& inventory);  // the sites on a circle, for a browser

}  // namespace greywire::mesh
