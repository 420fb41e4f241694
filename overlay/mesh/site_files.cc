#include "overlay/mesh/site_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "overlay/config/frr_config.h"
#include "overlay/config/load.h"
#include "overlay/mesh/topology.h"

namespace greywire::mesh {
namespace {

constexpr std::chrono::seconds kConnectRetry{5};
constexpr std::size_t kItemsInALine = 4;

std::string quoted(std::string_view text) { return fmt::format("\"{}\"", text); }

std::string list_of(const std::vector<std::string>& items) {
  if (items.size() == 1) return items.front();
  if (items.size() <= kItemsInALine) return fmt::format("[{}]", fmt::join(items, ", "));
  return fmt::format("[\n  {},\n]", fmt::join(items, ",\n  "));
}

template <class Values>
std::string texts(const Values& values) {
  std::vector<std::string> items;
  for (const auto& value : values) items.push_back(quoted(value.to_string()));
  return list_of(items);
}

void add(std::string& out, std::string_view key, std::string_view value) { out += fmt::format("{:<16} = {}\n", key, value); }

class Writer {
 public:
  Writer(const Inventory& inventory, std::string_view source) : inventory_(inventory), source_(source), links_(inventory) {}

  Result<std::vector<SiteFile>> write() const {
    std::vector<SiteFile> out;
    for (std::size_t i = 0; i < inventory_.sites.size(); ++i) {
      const Site& site = inventory_.sites[i];
      if (site.revoked) continue;
      auto text = config_text(i);
      const auto name = fmt::format("{}/{}.toml", site.name, site.name);
      const auto loaded = config::parse(text, name);
      if (!loaded.config) return Error{loaded.diagnostics.lines().front()};
      auto frr = config::frr_config(*loaded.config, bgp_plan(i));
      if (!frr) return Error{fmt::format("{}: {}", name, frr.error().text)};
      out.push_back({name, std::move(text)});
      out.push_back({fmt::format("{}/frr.conf", site.name), head("!", site) + *frr});
      out.push_back({fmt::format("{}/key-request.txt", site.name), key_request(site)});
    }
    return out;
  }

 private:
  std::string head(std::string_view comment, const Site& site) const {
    return fmt::format("{0} site {1}, number {2} of the mesh {3}: {4}\n{0} from {5}; change that and build again\n", comment,
                       site.name, site.number, inventory_.mesh.name, kWrittenBy, source_);
  }

  // The ceiling that their networks make, longer prefixes inside them included.
  routing::Ceiling ceiling_of(const std::vector<std::size_t>& sites) const {
    std::vector<routing::CeilingRule> rules;
    for (const std::size_t site : sites) {
      for (const auto& network : inventory_.sites[site].networks) {
        rules.push_back({network, network.length(), network.address().bits()});
      }
    }
    return routing::Ceiling(std::move(rules));
  }

  std::uint32_t maximum(std::size_t sites) const {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(10'000'000, std::uint64_t{inventory_.mesh.max_prefixes} * sites));
  }

  std::string config_text(std::size_t index) const {
    const Site& site = inventory_.sites[index];
    const auto& mesh = inventory_.mesh;
    std::string out = head("#", site) + "\n[site]\n";
    add(out, "name", quoted(site.name));
    add(out, "private_key_file", quoted(site.name + ".key") + "  # beside this file; greywire mesh enroll makes it");
    if (site.rotating) add(out, "previous_key_file", quoted(site.name + "-previous.key") + "  # until the others have its new key");
    add(out, "listen_port", std::to_string(site.listen_port.value_or(mesh.listen_port)));
    add(out, "overlay_address", texts(site.overlay_addresses));
    if (!site.networks.empty()) add(out, "networks", texts(site.networks));
    if (!(mesh.liveness == config::Liveness{})) {
      out += "\n[peer_defaults]\n";
      add(out, "liveness", quoted(mesh.liveness ? mesh.liveness->to_string() : "off"));
    }
    for (const std::size_t other : links_.of(index)) out += peer_text(index, other);
    out += "\n[routing]\n";
    add(out, "asn", std::to_string(inventory_.asn_of(site)));
    return out;
  }

  std::string peer_text(std::size_t index, std::size_t other) const {
    const Site& peer = inventory_.sites[other];
    if (!peer.enrolled()) return fmt::format("\n# {} is not enrolled yet: no [[peer]]\n", peer.name);
    const auto heard = links_.heard(index, other);
    std::string out = "\n[[peer]]\n";
    add(out, "name", quoted(peer.name));
    add(out, "public_key", quoted(peer.public_key.to_base64()));
    if (!peer.endpoints.empty()) add(out, "endpoint", texts(peer.endpoints));
    add(out, "overlay_address", texts(peer.overlay_addresses));
    const auto accept = ceiling_of(heard);
    if (!accept.empty()) add(out, "accept", texts(accept.rules()));
    add(out, "max_prefixes", std::to_string(maximum(heard.size())));
    add(out, "asn", std::to_string(inventory_.asn_of(peer)));
    return out;
  }

  // Sessions to the reflectors alone; each passes on the others' routes with the next hops that they have.
  bool by_reflectors() const {
    const auto& mesh = inventory_.mesh;
    return mesh.topology == Topology::kFull && mesh.bgp == Bgp::kIbgp &&
           std::any_of(inventory_.sites.begin(), inventory_.sites.end(), [](const Site& s) { return s.reflector && !s.revoked; });
  }

  config::BgpPlan bgp_plan(std::size_t index) const {
    const Site& site = inventory_.sites[index];
    config::BgpPlan plan;
    plan.whole = true;
    plan.bfd = inventory_.mesh.bfd;
    plan.connect_retry = kConnectRetry;
    plan.router_id = IpAddress::v4(site.number);
    for (const std::size_t other : links_.of(index)) {
      plan.neighbours.emplace(inventory_.sites[other].name, by_reflectors() ? reflected(index, other) : direct(index, other));
    }
    return plan;
  }

  config::BgpNeighbourPlan direct(std::size_t index, std::size_t other) const {
    config::BgpNeighbourPlan out;
    out.in = ceiling_of(links_.heard(index, other));
    if (!inventory_.passes_on(inventory_.sites[index])) return out;
    out.out = ceiling_of(links_.heard(other, index));
    out.reflector_client = out.own_next_hop = inventory_.mesh.bgp == Bgp::kIbgp;
    return out;
  }

  config::BgpNeighbourPlan reflected(std::size_t index, std::size_t other) const {
    const bool here = inventory_.sites[index].reflector, there = inventory_.sites[other].reflector;
    config::BgpNeighbourPlan out;
    out.session = here || there;
    out.reflector_client = here && !there;
    out.in = ceiling_of({other});
    if (there) {
      const auto others = all_but(index);
      out.in = ceiling_of(others);
      out.maximum = maximum(others.size());
    }
    if (here) out.out = ceiling_of(all_but(other));
    return out;
  }

  std::vector<std::size_t> all_but(std::size_t index) const {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < inventory_.sites.size(); ++i) {
      if (i != index && !inventory_.sites[i].revoked) out.push_back(i);
    }
    return out;
  }

  std::string key_request(const Site& site) const {
    std::string out = fmt::format("Key of site {} of the mesh {}: {} from {}\n\n", site.name, inventory_.mesh.name, kWrittenBy, source_);
    if (site.enrolled()) {
      return out + fmt::format("The site is enrolled. At the site `greywire mesh enroll {}` prints this line again:\n\n  {} {}\n", site.name,
                               site.name, site.public_key.to_base64());
    }
    return out + fmt::format("At the site, as root:\n\n"
                             "  greywire mesh enroll {0}\n\n"
                             "It makes the private key /etc/greywire/{0}.key where there is none; that file stays at the site and is shown "
                             "to nobody.\n"
                             "Send back the one line that it prints:\n\n  {0} PUBLIC-KEY\n\n"
                             "Whoever keeps the inventory makes sure that the line came from the site, and types\n\n"
                             "  greywire mesh add-key {0} PUBLIC-KEY {1}\n  greywire mesh build {1} -o FOLDER\n\n"
                             "Then {0}.toml goes to /etc/greywire/ of the site and frr.conf to its /etc/frr/.\n",
                             site.name, source_);
  }

  const Inventory& inventory_;
  std::string source_;
  Links links_;
};

}  // namespace

Result<std::vector<SiteFile>> site_files(const Inventory& inventory, std::string_view source) {
  return Writer(inventory, source).write();
}

std::vector<std::string> not_enrolled(const Inventory& inventory) {
  std::vector<std::string> out;
  for (const auto& site : inventory.sites) {
    if (!site.enrolled() && !site.revoked) out.push_back(site.name);
  }
  return out;
}

bool is_running_config(std::string_view path) { return !path.ends_with("/key-request.txt"); }

}  // namespace greywire::mesh
