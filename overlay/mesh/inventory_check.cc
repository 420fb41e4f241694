#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <span>

#include "overlay/config/near_miss.h"
#include "overlay/mesh/inventory.h"
#include "overlay/mesh/topology.h"

namespace greywire::mesh {
namespace {

using config::Diagnostics;
using config::SourcePosition;

// Nothing where the range has no such address, or it is not one that a host can have.
std::optional<IpAddress> numbered(const Prefix& range, std::uint16_t number) {
  std::array<std::uint8_t, 16> bytes{};
  std::copy(range.address().bytes().begin(), range.address().bytes().end(), bytes.begin());
  const std::size_t size = range.address().bytes().size();
  unsigned carry = number;
  for (std::size_t at = size; at-- > 0 && carry != 0;) {
    carry += bytes[at];
    bytes[at] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  const auto address = range.address().is_v4() ? IpAddress::v4(std::span<const std::uint8_t, 4>(bytes.data(), 4))
                                               : IpAddress::v6(std::span<const std::uint8_t, 16>(bytes.data(), 16));
  if (carry != 0 || !range.contains(address) || !config::parse_host_address(address.to_string())) return std::nullopt;
  return address;
}

bool readable(const Site& site, std::string_view key) { return site.at.has(key) && !site.at.is_wrong(key); }

class InventoryCheck {
 public:
  InventoryCheck(const Inventory& inventory, Diagnostics& diagnostics) : inventory_(inventory), diagnostics_(diagnostics) {}

  void run() {
    if (inventory_.sites.empty()) error({}, "there is no [[site]]: write one for each site");
    check_identities();
    check_addresses();
    check_networks();
    check_names();
    check_roles();
    check_asns();
    if (!diagnostics_.has_errors()) check_links();
  }

 private:
  void error(SourcePosition at, std::string text) { diagnostics_.error(at, std::move(text)); }

  template <class Value>
  void unique(std::map<Value, const Site*>& seen, const Value& value, const Site& site, std::string_view key,
              const std::string& what) {
    const auto [first, is_new] = seen.emplace(value, &site);
    if (is_new) return;
    const Site& other = *first->second;
    error(site.at.of(key), fmt::format("{} of site '{}' is that of site '{}'{} in line {}", what, site.name, other.name,
                                       other.revoked ? ", which is revoked," : "", other.at.of(key).line));
  }

  std::uint32_t free_number() const {
    std::uint32_t most = 0;
    for (const auto& site : inventory_.sites) most = std::max<std::uint32_t>(most, site.number);
    return most + 1;
  }

  void check_identities() {
    std::map<std::string, const Site*> names;
    std::map<std::uint16_t, const Site*> numbers;
    std::map<PublicKey, const Site*> keys;
    for (const auto& site : inventory_.sites) {
      if (readable(site, "name")) {
        const auto [first, is_new] = names.emplace(site.name, &site);
        if (!is_new) error(site.at.of("name"), fmt::format("site '{}' is there already, in line {}", site.name, first->second->at.of("name").line));
      }
      if (readable(site, "number")) {
        const auto [first, is_new] = numbers.emplace(site.number, &site);
        if (!is_new) {
          error(site.at.of("number"), fmt::format("number {} is that of site '{}' in line {}: {} is free", site.number,
                                                  first->second->name, first->second->at.of("number").line, free_number()));
        }
      }
      if (!readable(site, "public_key")) continue;
      if (site.public_key.is_zero()) {
        error(site.at.of("public_key"), fmt::format("the public key of site '{}' is all zero: it is nobody's", site.name));
      } else {
        unique(keys, site.public_key, site, "public_key", "the public key");
      }
    }
  }

  // Also those of revoked sites: packets to them may still be on their way.
  void check_addresses() {
    for (const auto& site : inventory_.sites) {
      for (const auto& address : site.overlay_addresses) unique(owners_, address, site, place(site), "overlay address " + address.to_string());
    }
    for (const auto& site : inventory_.sites) {
      for (const auto& endpoint : site.endpoints) {
        const auto owner = endpoint.literal ? owners_.find(endpoint.literal->address) : owners_.end();
        if (owner == owners_.end()) continue;
        error(site.at.of("endpoint"), fmt::format("endpoint {} of site '{}' is the overlay address of site '{}': it is inside the tunnel",
                                                  endpoint.to_string(), site.name, owner->second->name));
      }
    }
  }

  static std::string_view place(const Site& site) { return site.at.has("overlay_address") ? "overlay_address" : "number"; }

  // In the order of Prefix a prefix stands before all that it contains.
  void check_networks() {
    std::vector<std::pair<Prefix, const Site*>> all;
    for (const auto& site : inventory_.sites) {
      if (site.revoked) continue;
      for (const auto& network : site.networks) {
        all.emplace_back(network, &site);
        for (const auto& [address, owner] : owners_) {
          if (!network.contains(address)) continue;
          error(site.at.of("networks"), fmt::format("network {} of site '{}' holds the overlay address {} of site '{}': take the "
                                                    "overlay from another range", network.to_string(), site.name,
                                                    address.to_string(), owner->name));
          break;
        }
      }
    }
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<std::pair<Prefix, const Site*>> around;
    for (const auto& [network, site] : all) {
      while (!around.empty() && !around.back().first.contains(network)) around.pop_back();
      if (!around.empty()) {
        const auto& [outer, owner] = around.back();
        error(site->at.of("networks"), fmt::format("network {} of site '{}' lies in {} of site '{}' in line {}: each address is behind "
                                                   "one site", network.to_string(), site->name, outer.to_string(), owner->name,
                                                   owner->at.of("networks").line));
      }
      around.emplace_back(network, site);
    }
  }

  void check_names() {
    std::vector<std::string_view> names;
    for (const auto& site : inventory_.sites) names.emplace_back(site.name);
    for (const auto& site : inventory_.sites) {
      for (const auto& link : site.links) {
        if (link == site.name) {
          error(site.at.of("links"), fmt::format("site '{}' has a link with itself", site.name));
        } else if (inventory_.find(link) == nullptr) {
          error(site.at.of("links"), fmt::format("site '{}': there is no site '{}'{}", site.name, link, config::did_you_mean(link, names)));
        }
      }
    }
  }

  void only_for(const Site& site, std::string_view key, bool holds, std::string_view where) {
    if (!holds && site.at.has(key)) error(site.at.of(key), fmt::format("'{}' of site '{}' is for {} alone", key, site.name, where));
  }

  void check_roles() {
    const auto& mesh = inventory_.mesh;
    if (mesh.at.is_wrong("topology") || mesh.at.is_wrong("bgp")) return;
    const bool ibgp = mesh.bgp == Bgp::kIbgp, full = mesh.topology == Topology::kFull;
    bool has_hub = false;
    for (const auto& site : inventory_.sites) {
      only_for(site, "hub", mesh.topology == Topology::kHub, "topology = \"hub\"");
      only_for(site, "transit", mesh.topology != Topology::kHub, "topology = \"full\" and \"partial\"");
      only_for(site, "links", mesh.topology == Topology::kPartial, "topology = \"partial\"");
      only_for(site, "groups", mesh.topology == Topology::kPartial, "topology = \"partial\"");
      only_for(site, "reflector", ibgp && full, "topology = \"full\" with bgp = \"ibgp\"");
      only_for(site, "asn", !ibgp, "bgp = \"ebgp\"");
      if (ibgp && full && site.transit) {
        error(site.at.of("transit"), fmt::format("site '{}': in a full mesh with bgp = \"ibgp\" nobody passes on packets: write "
                                                 "bgp = \"ebgp\", or leave 'transit' out", site.name));
      }
      has_hub |= site.hub && !site.revoked;
    }
    if (mesh.at.has("topology") && mesh.topology == Topology::kHub && !has_hub) {
      error(mesh.at.of("topology"), "topology = \"hub\" needs a site with hub = true");
    }
  }

  void check_asns() {
    const auto& mesh = inventory_.mesh;
    if (mesh.bgp == Bgp::kIbgp || mesh.at.is_wrong("asn")) return;
    std::map<std::uint32_t, const Site*> seen;
    for (const auto& site : inventory_.sites) {
      if (!readable(site, "number")) continue;
      if (!site.asn && 0xffffffff - mesh.asn < site.number) {
        error(site.at.of("number"), fmt::format("site '{}': asn = {} of [mesh] and number {} make no AS number: choose a smaller 'asn'",
                                                site.name, mesh.asn, site.number));
        continue;
      }
      unique(seen, inventory_.asn_of(site), site, site.asn ? "asn" : "number", fmt::format("AS {}", inventory_.asn_of(site)));
    }
  }

  void check_links() {
    const Links links(inventory_);
    const auto& sites = inventory_.sites;
    for (std::size_t i = 0; i < sites.size(); ++i) {
      for (const std::size_t j : links.of(i)) {
        if (i < j) check_pair(sites[i], sites[j]);
      }
    }
    if (diagnostics_.has_errors()) return;
    for (std::size_t i = 0; i < sites.size(); ++i) {
      if (sites[i].revoked) continue;
      const auto missing = links.out_of_reach(i);
      if (missing.empty()) continue;
      std::string names;
      for (std::size_t n = 0; n < missing.size() && n < 5; ++n) names += (n == 0 ? "" : ", ") + sites[missing[n]].name;
      if (missing.size() > 5) names += fmt::format(" and {} more", missing.size() - 5);
      diagnostics_.warning(sites[i].at.of("name"), fmt::format("site '{}' does not reach {}: it needs links with them, or with a "
                                                               "site that has transit = true", sites[i].name, names));
    }
  }

  void check_pair(const Site& one, const Site& other) {
    if (one.endpoints.empty() && other.endpoints.empty()) {
      error(other.at.of("name"), fmt::format("neither site '{}' nor site '{}' in line {} has an endpoint: neither can call the other",
                                             other.name, one.name, one.at.of("name").line));
    }
    const bool common = std::any_of(one.overlay_addresses.begin(), one.overlay_addresses.end(), [&](const IpAddress& a) {
      return std::any_of(other.overlay_addresses.begin(), other.overlay_addresses.end(),
                         [&](const IpAddress& b) { return a.family() == b.family(); });
    });
    if (!common) {
      error(other.at.of(place(other)), fmt::format("the overlay addresses of site '{}' and site '{}' in line {} are of different families",
                                                   other.name, one.name, one.at.of(place(one)).line));
    }
  }

  const Inventory& inventory_;
  Diagnostics& diagnostics_;
  std::map<IpAddress, const Site*> owners_;
};

}  // namespace

void complete(Inventory& inventory, Diagnostics& diagnostics) {
  const auto& mesh = inventory.mesh;
  if (mesh.at.has("overlay") && !mesh.at.is_wrong("overlay") && mesh.overlay.empty()) {
    diagnostics.error(mesh.at.of("overlay"), "'overlay' of [mesh] must hold at least one prefix");
  }
  for (auto& site : inventory.sites) {
    const bool by_hand = site.at.has("overlay_address");
    if (by_hand && !site.at.is_wrong("overlay_address") && site.overlay_addresses.empty()) {
      diagnostics.error(site.at.of("overlay_address"), "'overlay_address' must hold at least one address, or be left out");
    }
    if (by_hand || !readable(site, "number")) continue;
    for (const auto& range : mesh.overlay) {
      if (const auto address = numbered(range, site.number)) {
        site.overlay_addresses.push_back(*address);
      } else {
        diagnostics.error(site.at.of("number"), fmt::format("site '{}': {} has no address with number {} for a site: choose a larger "
                                                            "range, or write 'overlay_address'", site.name, range.to_string(), site.number));
      }
    }
  }
}

void check(const Inventory& inventory, Diagnostics& diagnostics) { InventoryCheck(inventory, diagnostics).run(); }

}  // namespace greywire::mesh
