#include "overlay/config/frr_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace greywire::config {
namespace {

constexpr Family kFamilies[] = {Family::kV4, Family::kV6};

std::string_view ip_word(Family family) { return family == Family::kV4 ? "ip" : "ipv6"; }
std::string_view af_word(Family family) { return family == Family::kV4 ? "ipv4" : "ipv6"; }
std::string list_name(std::string_view what, Family family) {
  return fmt::format("gw-{}-{}", what, family == Family::kV4 ? "v4" : "v6");
}

struct Neighbour {
  IpAddress address;
  const Peer* peer = nullptr;
  std::string description;
  bool v4 = false;  // families that it carries
  bool v6 = false;
  bool by_host_route = false;  // on the site's interface: not connected, in bgpd's eyes
};

const IpAddress* first_of(const std::vector<IpAddress>& addresses, Family family) {
  const auto it = std::find_if(addresses.begin(), addresses.end(), [&](const IpAddress& a) { return a.family() == family; });
  return it == addresses.end() ? nullptr : &*it;
}

// The other of the two addresses of a link's subnet; nothing where it has more.
std::optional<IpAddress> far_end(const InterfaceAddress& address) {
  const unsigned bits = address.address.bits();
  if (address.length + 2 < bits || address.length >= bits) return std::nullopt;
  std::vector<std::uint8_t> bytes(address.address.bytes().begin(), address.address.bytes().end());
  const bool pair = address.length + 1 == bits;
  if (!pair && bits == 32 && ((bytes.back() & 3) == 0 || (bytes.back() & 3) == 3)) return std::nullopt;
  if (!pair && bits == 128 && (bytes.back() & 3) == 0) return std::nullopt;
  if (!pair && bits == 128 && (bytes.back() & 3) == 3) return std::nullopt;
  bytes.back() = static_cast<std::uint8_t>(bytes.back() ^ (pair ? 1 : 3));
  return bits == 32 ? IpAddress::v4(std::span<const std::uint8_t, 4>(bytes.data(), 4))
                    : IpAddress::v6(std::span<const std::uint8_t, 16>(bytes.data(), 16));
}

std::vector<Neighbour> neighbours_of(const Config& config) {
  std::vector<Neighbour> out;
  for (const auto& peer : config.peers) {
    if (!peer.enabled || peer.accept.empty() || peer.overlay_addresses.empty()) continue;
    const auto carries = [&](Family family) {
      return first_of(peer.overlay_addresses, family) != nullptr && first_of(config.site.overlay_addresses, family) != nullptr;
    };
    Neighbour neighbour;
    neighbour.peer = &peer;
    neighbour.description = peer.name;
    neighbour.v4 = carries(Family::kV4);
    neighbour.v6 = carries(Family::kV6);
    neighbour.by_host_route = true;
    if (!neighbour.v4 && !neighbour.v6) continue;
    neighbour.address = *first_of(peer.overlay_addresses, neighbour.v4 ? Family::kV4 : Family::kV6);
    out.push_back(std::move(neighbour));
  }
  for (const auto& tunnel : config.tunnels) {
    const Peer* peer = config.find_peer(tunnel.peer);
    if (tunnel.kind != TunnelKind::kGre || peer == nullptr || !peer->enabled || peer->accept.empty()) continue;
    Neighbour neighbour;
    neighbour.peer = peer;
    neighbour.description = fmt::format("{} over {}", peer->name, tunnel.name);
    std::optional<IpAddress> remote;
    for (const auto& address : tunnel.addresses) {
      const auto far = far_end(address);
      if (!far) continue;
      (far->is_v4() ? neighbour.v4 : neighbour.v6) = true;
      if (!remote || (far->is_v4() && !remote->is_v4())) remote = far;
    }
    if (!remote) continue;
    neighbour.address = *remote;
    out.push_back(std::move(neighbour));
  }
  return out;
}

std::string prefix_lists(const Config& config, const std::vector<Neighbour>& neighbours) {
  std::string out;
  const auto line = [&](Family family, const std::string& name, unsigned sequence, const std::string& rule) {
    out += fmt::format("{} prefix-list {} seq {} {}\n", ip_word(family), name, sequence, rule);
  };
  for (const auto& peer : config.peers) {
    const bool used = std::any_of(neighbours.begin(), neighbours.end(), [&](const Neighbour& n) { return n.peer == &peer; });
    if (!used) continue;
    for (const Family family : kFamilies) {
      unsigned sequence = 0;
      for (const auto& rule : peer.accept.rules()) {
        if (rule.prefix.family() == family) line(family, list_name(peer.name, family), sequence += 5, "permit " + rule.to_string());
      }
      if (sequence == 0) line(family, list_name(peer.name, family), 5, "deny any");
    }
  }
  for (const Family family : kFamilies) {
    unsigned sequence = 0;
    for (const auto& network : config.site.networks) {
      if (network.family() != family) continue;
      const bool longest = network.is_host();
      line(family, list_name("own", family), sequence += 5,
           fmt::format("permit {}{}", network.to_string(), longest ? "" : fmt::format(" le {}", network.address().bits())));
    }
    if (sequence == 0) line(family, list_name("own", family), 5, "deny any");
  }
  return out;
}

std::string address_family(const Config& config, const std::vector<Neighbour>& neighbours, Family family) {
  std::string out;
  for (const auto& network : config.site.networks) {
    if (network.family() == family) out += fmt::format("  network {}\n", network.to_string());
  }
  for (const auto& neighbour : neighbours) {
    if (!(family == Family::kV4 ? neighbour.v4 : neighbour.v6)) continue;
    const std::string who = fmt::format("  neighbor {} ", neighbour.address.to_string());
    out += who + "activate\n";
    out += who + fmt::format("prefix-list {} in\n", list_name(neighbour.peer->name, family));
    out += who + fmt::format("prefix-list {} out\n", list_name("own", family));
    out += who + fmt::format("maximum-prefix {} 80 warning-only\n", neighbour.peer->max_prefixes);
  }
  return out.empty() ? out : fmt::format(" address-family {} unicast\n{} exit-address-family\n", af_word(family), out);
}

}  // namespace

Result<std::string> frr_config(const Config& config) {
  if (!config.routing || !config.routing->asn) {
    return Error{"frr-config needs this site's AS number: write 'asn = NUMBER' into [routing]"};
  }
  const auto neighbours = neighbours_of(config);
  if (neighbours.empty()) {
    return Error{"no BGP neighbour follows from this config: an enabled peer needs overlay_address and accept"};
  }
  std::string out = fmt::format("! site {}: what follows from its Greywire config\n", config.site.name);
  // These lines are bgpd's, the two are zebra's.
  out += "! FRR 10: write 'no ip nht resolve-via-default' and 'no ipv6 nht resolve-via-default' into zebra's configuration,\n"
         "! or a dead peer's prefixes leave in the clear by the host's default route\n";
  out += prefix_lists(config, neighbours);
  out += fmt::format("router bgp {}\n", *config.routing->asn);
  if (const auto* own = first_of(config.site.overlay_addresses, Family::kV4)) {
    out += fmt::format(" bgp router-id {}\n", own->to_string());
  }
  out += " no bgp default ipv4-unicast\n";
  for (const auto& neighbour : neighbours) {
    const std::string who = fmt::format(" neighbor {} ", neighbour.address.to_string());
    out += who + fmt::format("remote-as {}\n",
                             neighbour.peer->asn ? std::to_string(*neighbour.peer->asn) : std::string("external"));
    out += who + fmt::format("description {}\n", neighbour.description);
    if (neighbour.by_host_route && neighbour.peer->asn != config.routing->asn) out += who + "disable-connected-check\n";
  }
  for (const Family family : kFamilies) out += address_family(config, neighbours, family);
  out += "exit\n";
  return Result<std::string>(boost::system::in_place_value, std::move(out));
}

}  // namespace greywire::config
