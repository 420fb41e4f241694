#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "overlay/config/check.h"
#include "overlay/config/derive.h"
#include "overlay/config/near_miss.h"

namespace greywire::config {
namespace {

class TunnelCheck {
 public:
  TunnelCheck(const Config& config, Diagnostics& diagnostics) : config_(config), diagnostics_(diagnostics) {}

  void run() {
    for (const auto& tunnel : config_.tunnels) {
      check_name(tunnel);
      check_keys_of_kind(tunnel);
      check_bridge(tunnel);
      check_addresses(tunnel);
      check_segment(tunnel);
      for (const auto& leg : legs_of(tunnel)) check_peer(leg);
    }
  }

 private:
  void error(SourcePosition at, std::string text) { diagnostics_.error(at, std::move(text)); }

  void check_name(const Tunnel& tunnel) {
    if (tunnel.name.empty()) return;
    const auto at = tunnel.at.of("name");
    const auto [first, is_new] = names_.emplace(tunnel.name, &tunnel);
    if (!is_new) {
      error(at, fmt::format("tunnel '{}' is there already, in line {}", tunnel.name, first->second->at.of("name").line));
    }
    if (tunnel.name == config_.site.interface) {
      error(at, fmt::format("tunnel '{}' has the name of the site's interface", tunnel.name));
    }
    if (tunnel.name == config_.underlay.device || tunnel.name == config_.underlay.vrf) {
      error(at, fmt::format("tunnel '{}' has the name of the underlay's interface", tunnel.name));
    }
  }

  void check_bridge(const Tunnel& tunnel) {
    if (tunnel.bridge.empty()) {
      for (const char* key : {"bridge_create", "isolated", "pvid", "vlan_untagged", "vlan_tagged"}) {
        if (!tunnel.at.has(key) || tunnel.at.has("bridge")) continue;
        error(tunnel.at.of(key), fmt::format("'{}' is about a port of a bridge: tunnel '{}' needs 'bridge' too", key, tunnel.name));
      }
      return;
    }
    check_vlans(tunnel);
    const auto at = tunnel.at.of("bridge");
    if (tunnel.at.is_wrong("kind") || !tunnel.at.has("kind")) return;
    if (tunnel.kind == TunnelKind::kGre) {
      return error(at, fmt::format("tunnel '{}' is a gre link, which carries no Ethernet frames: 'bridge' needs kind = "
                                   "\"gretap\"", tunnel.name));
    }
    if (tunnel.bridge == tunnel.name) error(at, fmt::format("tunnel '{}' cannot be its own bridge", tunnel.name));
    if (tunnel.at.has("address")) {
      error(tunnel.at.of("address"), fmt::format("tunnel '{}' is a port of bridge '{}': addresses belong on the bridge",
                                                 tunnel.name, tunnel.bridge));
    }
    const auto [first, is_new] = bridges_.emplace(tunnel.bridge, &tunnel);
    const Tunnel& other = *first->second;
    if (!is_new && !(tunnel.stp && other.stp) && !(tunnel.isolated && other.isolated)) {
      error(at, fmt::format("bridge '{}' has the TAPs '{}' and '{}', which can make a loop: write stp = true in each if the "
                            "bridge runs a spanning tree, or isolated = true in each, or make one tunnel of kind \"segment\" of "
                            "them", tunnel.bridge, other.name, tunnel.name));
    }
    if (!is_new && tunnel.bridge_create && other.bridge_create &&
        (port_vlans(tunnel).has_value() != port_vlans(other).has_value() || tunnel.stp != other.stp)) {
      error(at, fmt::format("tunnels '{}' and '{}' both make bridge '{}', but only one wants {} of it", other.name, tunnel.name,
                            tunnel.bridge, tunnel.stp != other.stp ? "a spanning tree" : "VLANs"));
    }
  }

  void check_vlans(const Tunnel& tunnel) {
    const auto holds = [](const std::vector<VlanRange>& ranges, unsigned vid) {
      return std::any_of(ranges.begin(), ranges.end(), [&](const auto& r) { return r.first <= vid && vid <= r.last; });
    };
    for (const auto& range : tunnel.vlan_tagged) {
      for (unsigned vid = range.first; vid <= range.last; ++vid) {
        const bool pvid = tunnel.pvid == vid;
        if (!pvid && !holds(tunnel.vlan_untagged, vid)) continue;
        return error(tunnel.at.of("vlan_tagged"), fmt::format("tunnel '{}' has VLAN {} both with a tag and without: take it out of "
                                                              "'vlan_tagged' or of '{}'", tunnel.name, vid,
                                                              pvid ? "pvid" : "vlan_untagged"));
      }
    }
  }

  void check_addresses(const Tunnel& tunnel) {
    const auto at = tunnel.at.of("address");
    const auto& own = config_.site.overlay_addresses;
    for (const auto& entry : tunnel.addresses) {
      const auto text = entry.address.to_string();
      if (std::find(own.begin(), own.end(), entry.address) != own.end()) {
        error(at, fmt::format("address {} of tunnel '{}' is this site's overlay address already", text, tunnel.name));
      }
      const auto [first, is_new] = addresses_.emplace(entry.address, &tunnel);
      if (!is_new && !entry.address.is_link_local()) {
        error(at, fmt::format("address {} of tunnel '{}' belongs to tunnel '{}' already", text, tunnel.name,
                              first->second->name));
      }
    }
  }

  void check_keys_of_kind(const Tunnel& tunnel) {
    if (tunnel.at.is_wrong("kind") || !tunnel.at.has("kind")) {
      if (!tunnel.at.has("peer") && !tunnel.at.has("peers")) needs(tunnel, "peer", "the name of a peer");
      return;
    }
    static constexpr const char* kOfSegments[] = {"peers", "hub", "bpdu", "broadcast_limit", "multicast_limit",
                                                  "unknown_limit", "mac_limit", "mac_limit_peer", "mac_age", "macs",
                                                  "loop_probe", "loop_block"};
    if (tunnel.kind == TunnelKind::kSegment) {
      if (!tunnel.at.has("peers")) needs(tunnel, "peers", "a list of peers, such as [\"fra\", \"nyc key 43\"]");
      for (const char* key : {"peer", "remote"}) {
        if (tunnel.at.has(key)) error(tunnel.at.of(key), fmt::format("tunnel '{}' is a segment: its ends are in 'peers', not in "
                                                                     "'{}'", tunnel.name, key));
      }
      return;
    }
    if (!tunnel.at.has("peer")) needs(tunnel, "peer", "the name of a peer");
    for (const char* key : kOfSegments) {
      if (tunnel.at.has(key)) error(tunnel.at.of(key), fmt::format("'{}' is only for kind = \"segment\"", key));
    }
  }

  void needs(const Tunnel& tunnel, std::string_view key, std::string_view type) {
    error(tunnel.at.section(), fmt::format("[[tunnel]] needs '{}': {}", key, type));
  }

  void check_segment(const Tunnel& tunnel) {
    if (tunnel.kind != TunnelKind::kSegment || !tunnel.at.has("peers") || tunnel.at.is_wrong("peers")) return;
    const auto& segment = tunnel.segment;
    std::vector<std::string_view> names;
    for (const auto& member : segment.peers) {
      const bool twice = std::find(names.begin(), names.end(), member.peer) != names.end();
      if (twice) error(tunnel.at.of("peers"), fmt::format("peer '{}' is on segment '{}' twice", member.peer, tunnel.name));
      names.push_back(member.peer);
    }
    if (names.empty()) error(tunnel.at.of("peers"), fmt::format("segment '{}' has no peers", tunnel.name));
    const auto on_it = [&](const char* key, const std::string& name) {
      if (std::find(names.begin(), names.end(), name) != names.end()) return;
      error(tunnel.at.of(key), fmt::format("peer '{}' is not on segment '{}'{}", name, tunnel.name, did_you_mean(name, names)));
    };
    for (const auto& name : segment.spokes) on_it("hub", name);
    for (const auto& fixed : segment.macs) {
      if (!fixed.peer.empty()) on_it("macs", fixed.peer);
    }
    if (tunnel.sequence && (segment.hub || !segment.spokes.empty())) {
      error(tunnel.at.of("sequence"), fmt::format("segment '{}' passes frames on between peers, which come in at several "
                                                  "workers: leave out 'sequence' or 'hub'", tunnel.name));
    }
  }

  void check_peer(const Tunnel& tunnel) {
    if (tunnel.peer.empty()) return;
    const auto* peer = config_.find_peer(tunnel.peer);
    if (peer == nullptr) {
      std::vector<std::string_view> names;
      for (const auto& known : config_.peers) {
        if (known.name.empty()) return;  // its name was wrong or left out: it may well be the one meant here
        names.push_back(known.name);
      }
      return error(tunnel.at.of(tunnel.at.has("peers") ? "peers" : "peer"),
                   fmt::format("tunnel '{}': there is no peer '{}'{}", tunnel.name, tunnel.peer,
                               did_you_mean(tunnel.peer, names)));
    }
    if (ends_are_wrong(tunnel, *peer)) return;
    const auto delivery = delivery_of(config_.site, *peer, tunnel);
    if (!delivery) {
      return error(tunnel.at.of("delivery"), fmt::format("tunnel '{}': {}", tunnel.name, delivery.error().text));
    }
    check_ends(tunnel, *peer, *delivery);
  }

  // What follows from the absence of a value that had its message already would be noise.
  bool ends_are_wrong(const Tunnel& tunnel, const Peer& peer) const {
    const auto& site = config_.site;
    if (!site.at.has("overlay_address") || site.at.is_wrong("overlay_address")) return true;
    return site.overlay_addresses.empty() || peer.at.is_wrong("overlay_address") || tunnel.at.is_wrong("local") ||
           tunnel.at.is_wrong("remote") || tunnel.at.is_wrong("delivery") || tunnel.at.is_wrong("key");
  }

  void check_ends(const Tunnel& tunnel, const Peer& peer, const Delivery& delivery) {
    const auto remote = delivery.remote.to_string();
    if (tunnel.encap_limit && delivery.family() == Family::kV4) {
      error(tunnel.at.of("encap_limit"), fmt::format("tunnel '{}' is delivered over IPv4, which has no encapsulation limit: "
                                                     "leave 'encap_limit' out, or write delivery = \"ipv6\"", tunnel.name));
    }
    if (delivery.local == delivery.remote) {
      return error(tunnel.at.of("remote"), fmt::format("tunnel '{}' has {} at both ends", tunnel.name, remote));
    }
    if (!may_send_from(peer, delivery.remote)) {
      error(tunnel.at.of("remote"), fmt::format("tunnel '{}': peer '{}' may not send from {}: add it to the peer's "
                                                "overlay_address or allowed_ips", tunnel.name, peer.name, remote));
    }
    const auto [first, is_new] = ends_.emplace(std::tuple(delivery.local, delivery.remote, tunnel.key), tunnel.name);
    if (is_new) return;
    const auto key = tunnel.key ? fmt::format("key {}", *tunnel.key) : "no key";
    error(tunnel.at.of("key"), fmt::format("tunnels '{}' and '{}' have the same ends ({} and {}) and {}: give one of them "
                                           "another 'key'", first->second, tunnel.name, delivery.local.to_string(),
                                           remote, key));
  }

  bool may_send_from(const Peer& peer, const IpAddress& address) const {
    for (const auto& other : config_.peers) {
      const auto& owned = other.overlay_addresses;
      if (std::find(owned.begin(), owned.end(), address) != owned.end()) return &other == &peer;
    }
    return peer.accept.covers(address) ||
           std::any_of(peer.allowed_ips.begin(), peer.allowed_ips.end(),
                       [&](const Prefix& prefix) { return prefix.contains(address); });
  }

  const Config& config_;
  Diagnostics& diagnostics_;
  std::map<std::string_view, const Tunnel*> names_;
  std::map<std::string_view, const Tunnel*> bridges_;
  std::map<IpAddress, const Tunnel*> addresses_;
  std::map<std::tuple<IpAddress, IpAddress, std::optional<std::uint32_t>>, std::string> ends_;
};

}  // namespace

void check_tunnels(const Config& config, Diagnostics& diagnostics) { TunnelCheck(config, diagnostics).run(); }

}  // namespace greywire::config
