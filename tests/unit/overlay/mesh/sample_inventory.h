// Inventories for the tests of overlay/mesh.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "overlay/mesh/inventory.h"

namespace greywire::mesh::testing {

inline constexpr const char* kKeys[] = {
    "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=",
    "1u7r36IGtR4mZkgnqKcjq3cOp0MhyPY6WmBOBMchSxE=", "AgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICE="};
inline constexpr const char* kNames[] = {"ams", "fra", "nyc", "sin"};

inline std::string mesh_section(const std::string& more) {
  return "[mesh]\noverlay = [\"10.255.0.0/24\", \"fd00:255::/64\"]\n" + more;
}

// Site number `number`, from 1 to 4, with key and endpoint; `more` are lines.
inline std::string site_section(unsigned number, const std::string& more = {}) {
  const std::string digit = std::to_string(number);
  return "[[site]]\nname = \"" + std::string(kNames[number - 1]) + "\"\nnumber = " + digit + "\npublic_key = \"" +
         kKeys[number - 1] + "\"\nendpoint = \"192.0.2." + digit + ":51820\"\nnetworks = [\"10." + digit + ".0.0/16\", \"fd00:" +
         digit + "::/48\"]\n" + more;
}

// Four sites; `more` are lines of each.
inline std::string four(const std::string& mesh, const std::string& first = {}, const std::string& second = {},
                        const std::string& third = {}, const std::string& fourth = {}) {
  return mesh_section(mesh) + site_section(1, first) + site_section(2, second) + site_section(3, third) + site_section(4, fourth);
}

inline std::string said(const std::string& text) { return parse_inventory(text, "mesh.toml").diagnostics.to_string(); }

inline Inventory parsed(const std::string& text) {
  auto loaded = parse_inventory(text, "mesh.toml");
  EXPECT_TRUE(loaded.inventory.has_value()) << loaded.diagnostics.to_string() << text;
  return loaded.inventory.value_or(Inventory{});
}

}  // namespace greywire::mesh::testing
