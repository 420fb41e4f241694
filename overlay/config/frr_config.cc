#include "overlay/config/frr_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace greywire::config {
namespace {

constexpr Liveness kFrrBfd{std::chrono::milliseconds(300), 3};  // bfdd's defaults
constexpr Family kFamilies[] = {Family::kV4, Family::kV6};

std::string_view ip_word(Family family) { return family == Family::kV4 ? "ip" : "ipv6"; }
std::string_view af_word(Family family) { return family == Family::kV4 ? "ipv4" : "ipv6"; }
std::string list_name(std::string_view what, Family family) {
  return fmt::format("gw-{}-{}", what, family == Family::kV4 ? "v4" : "v6");
}

struct Neighbour {
  IpAddress address;
  const Peer* peer = nullptr;
  BgpNeighbourPlan plan;
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

BgpNeighbourPlan plan_of(const BgpPlan& plan, const Peer& peer) {
  const auto it = plan.neighbours.find(peer.name);
  return it == plan.neighbours.end() ? BgpNeighbourPlan{} : it->second;
}

bool speaks_bgp(const BgpPlan& plan, const Peer& peer) {
  const auto known = plan_of(plan, peer);
  return peer.enabled && known.session && !(known.in ? *known.in : peer.accept).empty();
}

std::vector<Neighbour> neighbours_of(const Config& config, const BgpPlan& plan) {
  std::vector<Neighbour> out;
  for (const auto& peer : config.peers) {
    if (!speaks_bgp(plan, peer) || peer.overlay_addresses.empty()) continue;
    const auto carries = [&](Family family) {
      return first_of(peer.overlay_addresses, family) != nullptr && first_of(config.site.overlay_addresses, family) != nullptr;
    };
    Neighbour neighbour;
    neighbour.peer = &peer;
    neighbour.plan = plan_of(plan, peer);
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
    if (tunnel.kind != TunnelKind::kGre || peer == nullptr || !speaks_bgp(plan, *peer)) continue;
    Neighbour neighbour;
    neighbour.peer = peer;
    neighbour.plan = plan_of(plan, *peer);
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

std::string prefix_list(const std::string& name, std::span<const routing::CeilingRule> rules, Family family) {
  std::string out;
  unsigned sequence = 0;
  const auto line = [&](const std::string& rule) {
    out += fmt::format("{} prefix-list {} seq {} {}\n", ip_word(family), list_name(name, family), sequence += 5, rule);
  };
  for (const auto& rule : rules) {
    if (rule.prefix.family() == family) line("permit " + rule.to_string());
  }
  if (sequence == 0) line("deny any");
  return out;
}

// Lists are named after peers, whose names have no colon.
constexpr char kOwn[] = "own";  // what the site announces
std::string in_name(const Peer& peer) { return peer.name == kOwn ? fmt::format("in:{}", peer.name) : peer.name; }
std::string out_name(const Peer& peer) { return fmt::format("out:{}", peer.name); }

std::string prefix_lists(const Config& config, const std::vector<Neighbour>& neighbours) {
  std::string out;
  for (const auto& peer : config.peers) {
    const auto used = std::find_if(neighbours.begin(), neighbours.end(), [&](const Neighbour& n) { return n.peer == &peer; });
    if (used == neighbours.end()) continue;
    const auto& plan = used->plan;
    for (const Family family : kFamilies) out += prefix_list(in_name(peer), (plan.in ? *plan.in : peer.accept).rules(), family);
    for (const Family family : kFamilies) {
      if (plan.out) out += prefix_list(out_name(peer), plan.out->rules(), family);
    }
  }
  std::vector<routing::CeilingRule> own;
  for (const auto& network : config.site.networks) own.push_back({network, network.length(), network.address().bits()});
  for (const Family family : kFamilies) out += prefix_list(kOwn, own, family);
  return out;
}

std::string address_family(const Config& config, const std::vector<Neighbour>& neighbours, Family family) {
  std::string out;
  for (const auto& network : config.site.networks) {
    if (network.family() == family) out += fmt::format("  network {}\n", network.to_string());
  }
  for (const auto& neighbour : neighbours) {
    if (!(family == Family::kV4 ? neighbour.v4 : neighbour.v6)) continue;
    const Peer& peer = *neighbour.peer;
    const auto& plan = neighbour.plan;
    const std::string who = fmt::format("  neighbor {} ", neighbour.address.to_string());
    out += who + "activate\n";
    if (plan.reflector_client) out += who + "route-reflector-client\n";
    if (plan.own_next_hop) out += who + "next-hop-self force\n";
    out += who + fmt::format("prefix-list {} in\n", list_name(in_name(peer), family));
    out += who + fmt::format("prefix-list {} out\n", list_name(plan.out ? out_name(peer) : kOwn, family));
    out += who + fmt::format("maximum-prefix {} 80 warning-only\n", plan.maximum.value_or(peer.max_prefixes));
  }
  return out.empty() ? out : fmt::format(" address-family {} unicast\n{} exit-address-family\n", af_word(family), out);
}

// What a session over gw0 takes from bfdd: neither end is connected in its eyes, so it is one of several hops. FRR's defaults
// are left out, as it leaves them out of its running configuration: `systemctl reload frr` compares the two as text, and would
// make each session anew.
std::string bfd_section(const Config& config, const std::vector<Neighbour>& neighbours, const Liveness& bfd) {
  std::string out;
  for (const auto& neighbour : neighbours) {
    const auto* own = first_of(config.site.overlay_addresses, neighbour.address.family());
    if (!neighbour.by_host_route || own == nullptr) continue;
    out += fmt::format(" peer {} multihop local-address {}\n", neighbour.address.to_string(), own->to_string());
    if (bfd.count != kFrrBfd.count) out += fmt::format("  detect-multiplier {}\n", bfd.count);
    const auto interval = bfd.interval.count();
    if (bfd.interval != kFrrBfd.interval) out += fmt::format("  receive-interval {0}\n  transmit-interval {0}\n", interval);
    out += " exit\n";
  }
  return out.empty() ? out : fmt::format("bfd\n{}exit\n", out);
}

std::string session_lines(const Config& config, const Neighbour& neighbour, const BgpPlan& plan) {
  const Peer& peer = *neighbour.peer;
  const std::string who = fmt::format(" neighbor {} ", neighbour.address.to_string());
  std::string out = who + fmt::format("remote-as {}\n", peer.asn ? std::to_string(*peer.asn) : std::string("external"));
  out += who + fmt::format("description {}\n", neighbour.description);
  if (neighbour.by_host_route && peer.asn != config.routing->asn) out += who + "disable-connected-check\n";
  if (plan.connect_retry) out += who + fmt::format("timers connect {}\n", plan.connect_retry->count());
  if (plan.bfd && neighbour.by_host_route) out += who + "bfd\n";  // intervals here are not bfdd's
  return out;
}

constexpr char kZebraComment[] =
    "! FRR 10: write 'no ip nht resolve-via-default' and 'no ipv6 nht resolve-via-default' into zebra's configuration,\n"
    "! or a dead peer's prefixes leave in the clear by the host's default route\n";
// FRR 8's default.
constexpr char kZebraLines[] =
    "! without these two a dead peer's prefixes would leave in the clear by the host's default route (FRR 10)\n"
    "no ip nht resolve-via-default\n"
    "no ipv6 nht resolve-via-default\n";

}  // namespace

Result<std::string> frr_config(const Config& config, const BgpPlan& plan) {
  if (!config.routing || !config.routing->asn) {
    return Error{"frr-config needs this site's AS number: write 'asn = NUMBER' into [routing]"};
  }
  const auto neighbours = neighbours_of(config, plan);
  if (neighbours.empty() && !plan.whole) {
    return Error{"no BGP neighbour follows from this config: an enabled peer needs overlay_address and accept"};
  }
  std::string out = fmt::format("! site {}: what follows from its Greywire config\n", config.site.name);
  out += plan.whole ? kZebraLines : kZebraComment;  // all that follows is bgpd's
  out += prefix_lists(config, neighbours);
  out += fmt::format("router bgp {}\n", *config.routing->asn);
  if (const auto* own = first_of(config.site.overlay_addresses, Family::kV4)) {
    out += fmt::format(" bgp router-id {}\n", own->to_string());
  } else if (plan.router_id) {
    out += fmt::format(" bgp router-id {}\n", plan.router_id->to_string());
  }
  out += " no bgp default ipv4-unicast\n";
  for (const auto& neighbour : neighbours) out += session_lines(config, neighbour, plan);
  for (const Family family : kFamilies) out += address_family(config, neighbours, family);
  out += "exit\n";
  if (plan.bfd) out += bfd_section(config, neighbours, *plan.bfd);
  return Result<std::string>(boost::system::in_place_value, std::move(out));
}

}  // namespace greywire::config
