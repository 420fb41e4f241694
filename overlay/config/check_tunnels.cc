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
      check_bridge(tunnel);
      check_addresses(tunnel);
      check_peer(tunnel);
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
    if (tunnel.bridge.empty()) return;
    const auto at = tunnel.at.of("bridge");
    if (tunnel.at.is_wrong("kind") || !tunnel.at.has("kind")) return;
    if (tunnel.kind != TunnelKind::kGretap) {
      return error(at, fmt::format("tunnel '{}' is a gre link, which carries no Ethernet frames: 'bridge' needs kind = "
                                   "\"gretap\"", tunnel.name));
    }
    if (tunnel.bridge == tunnel.name) error(at, fmt::format("tunnel '{}' cannot be its own bridge", tunnel.name));
    if (tunnel.at.has("address")) {
      error(tunnel.at.of("address"), fmt::format("tunnel '{}' is a port of bridge '{}': addresses belong on the bridge",
                                                 tunnel.name, tunnel.bridge));
    }
    const auto [first, is_new] = bridges_.emplace(tunnel.bridge, &tunnel);
    if (!is_new && !(tunnel.stp && first->second->stp)) {
      error(at, fmt::format("bridge '{}' has the TAPs '{}' and '{}', which can make a loop: write stp = true in each if the "
                            "bridge runs a spanning tree", tunnel.bridge, first->second->name, tunnel.name));
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

  void check_peer(const Tunnel& tunnel) {
    if (tunnel.peer.empty()) return;
    const auto* peer = config_.find_peer(tunnel.peer);
    if (peer == nullptr) {
      std::vector<std::string_view> names;
      for (const auto& known : config_.peers) {
        if (known.name.empty()) return;  // its name was wrong or left out: it may well be the one meant here
        names.push_back(known.name);
      }
      return error(tunnel.at.of("peer"), fmt::format("tunnel '{}': there is no peer '{}'{}", tunnel.name, tunnel.peer,
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
    const auto [first, is_new] = ends_.emplace(std::tuple(delivery.local, delivery.remote, tunnel.key), &tunnel);
    if (is_new) return;
    const auto key = tunnel.key ? fmt::format("key {}", *tunnel.key) : "no key";
    error(tunnel.at.of("key"), fmt::format("tunnels '{}' and '{}' have the same ends ({} and {}) and {}: give one of them "
                                           "another 'key'", first->second->name, tunnel.name, delivery.local.to_string(),
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
  std::map<std::tuple<IpAddress, IpAddress, std::optional<std::uint32_t>>, const Tunnel*> ends_;
};

}  // namespace

void check_tunnels(const Config& config, Diagnostics& diagnostics) { TunnelCheck(config, diagnostics).run(); }

}  // namespace greywire::config
