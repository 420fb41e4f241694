// A mesh's inventory as types: every site once, and what they have in common. What follows from it for each site is in
// topology.h and site_files.h.
//
// Values: no threads, no system calls. An Inventory that parse_inventory() gave out has passed its checks: names, numbers,
// keys and overlay addresses are unique, no network lies in another site's, and of two linked sites one can call the other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/config/config.h"
#include "overlay/config/diagnostics.h"
#include "overlay/config/schema.h"

namespace greywire::mesh {

enum class Topology : std::uint8_t { kFull, kHub, kPartial };
enum class Bgp : std::uint8_t { kEbgp, kIbgp };

struct Mesh {
  std::string name = "mesh";
  Topology topology = Topology::kFull;
  Bgp bgp = Bgp::kEbgp;
  std::uint32_t asn = 4'200'000'000;        // of all sites (kIbgp), or what a site's number is added to (kEbgp)
  std::vector<Prefix> overlay;              // where addresses come from that no site sets itself
  std::uint16_t listen_port = 51820;
  std::uint32_t max_prefixes = 100;         // that one site's networks may make
  std::optional<config::Liveness> liveness = config::Liveness{};
  std::optional<config::Liveness> bfd = config::Liveness{std::chrono::milliseconds(300), 3};  // nullopt: "off"
  config::KeyPositions at;
  friend bool operator==(const Mesh&, const Mesh&) = default;
};

struct Site {
  std::string name;
  std::uint16_t number = 0;                 // from 1; never another site's, also when this one is revoked
  PublicKey public_key;                     // all zero: not enrolled yet
  std::vector<config::PeerEndpoint> endpoints;
  std::vector<Prefix> networks;
  std::vector<IpAddress> overlay_addresses; // as written, else of each range the one with the site's number
  std::optional<std::uint32_t> asn;         // as written
  std::optional<std::uint16_t> listen_port; // as written
  bool hub = false;                         // kHub: everybody has a link to it
  bool transit = false;                     // as written; see passes_on()
  bool reflector = false;                   // kFull with kIbgp
  bool revoked = false;
  bool rotating = false;                    // public_key is new: the site accepts the one before too
  std::vector<std::string> links;           // kPartial: names of sites
  std::vector<std::string> groups;          // kPartial: sites that share one are linked
  config::KeyPositions at;

  bool enrolled() const { return !public_key.is_zero(); }
  friend bool operator==(const Site&, const Site&) = default;
};

struct Inventory {
  Mesh mesh;
  std::vector<Site> sites;                  // in the order of the file, revoked ones too

  const Site* find(std::string_view name) const;  // nullptr: none; valid until `sites` changes
  std::uint32_t asn_of(const Site& site) const;
  bool passes_on(const Site& site) const { return site.hub || site.transit; }  // what it learned from others
  friend bool operator==(const Inventory&, const Inventory&) = default;
};

struct LoadedInventory {
  std::optional<Inventory> inventory;       // set when nothing but warnings was found
  config::Diagnostics diagnostics;
};

// Pure. `file_name` stands in the messages.
LoadedInventory parse_inventory(std::string_view text, const std::string& file_name);

// What parse_inventory() does after reading: fills in overlay addresses, and adds to `diagnostics` what no single key says.
void complete(Inventory& inventory, config::Diagnostics& diagnostics);
void check(const Inventory& inventory, config::Diagnostics& diagnostics);

// The table of what an inventory may hold: the parser is driven by it and docs/mesh.md is printed from it.
std::span<const config::Key<Mesh>> mesh_keys();
std::span<const config::Key<Site>> site_keys();
std::vector<config::SectionDoc> inventory_sections();

std::string_view to_string(Topology topology);  // "full", "hub", "partial"

}  // namespace greywire::mesh
