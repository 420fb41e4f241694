#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "overlay/config/check.h"
#include "router/crypto/x25519.h"

namespace greywire::config {
namespace {

struct Owner {
  const Peer* peer = nullptr;  // nullptr: this site
  SourcePosition at;
};

std::string owner_name(const Owner& owner) {
  return owner.peer == nullptr ? "this site" : fmt::format("peer '{}'", owner.peer->name);
}

class PeerCheck {
 public:
  PeerCheck(const Config& config, Diagnostics& diagnostics) : config_(config), diagnostics_(diagnostics) {}

  void run() {
    check_identities();
    check_overlay_addresses();
    check_allowed_ips();
    check_nesting();
    for (const auto& peer : config_.peers) check_endpoint(peer);
  }

 private:
  void error(SourcePosition at, std::string text) { diagnostics_.error(at, std::move(text)); }

  void check_identities() {
    std::map<std::string_view, const Peer*> names;
    std::map<PublicKey, const Peer*> keys;
    for (const auto& peer : config_.peers) {
      const auto [name, new_name] = names.emplace(peer.name, &peer);
      if (!peer.name.empty() && !new_name) {
        error(peer.at.of("name"), fmt::format("peer '{}' is there already, in line {}", peer.name,
                                              name->second->at.of("name").line));
      }
      if (!peer.at.has("public_key") || peer.at.is_wrong("public_key")) continue;
      if (peer.public_key.is_zero()) {
        error(peer.at.of("public_key"), fmt::format("the public key of peer '{}' is all zero: it is nobody's", peer.name));
        continue;
      }
      const auto [key, new_key] = keys.emplace(peer.public_key, &peer);
      if (!new_key) {
        error(peer.at.of("public_key"), fmt::format("peer '{}' has the public key of peer '{}' in line {}", peer.name,
                                                    key->second->name, key->second->at.of("public_key").line));
      }
    }
  }

  void check_overlay_addresses() {
    const auto own = config_.site.at.of("overlay_address");
    for (const auto& address : config_.site.overlay_addresses) {
      if (!owners_.emplace(address, Owner{nullptr, own}).second) {
        error(own, fmt::format("overlay_address {} is there twice", address.to_string()));
      }
    }
    for (const auto& peer : config_.peers) {
      const auto at = peer.at.of("overlay_address");
      for (const auto& address : peer.overlay_addresses) {
        const auto [owner, is_new] = owners_.emplace(address, Owner{&peer, at});
        if (!is_new) {
          error(at, fmt::format("overlay_address {} of peer '{}' belongs to {} already, in line {}", address.to_string(),
                                peer.name, owner_name(owner->second), owner->second.at.line));
        }
        for (const auto& network : config_.site.networks) {
          if (!network.contains(address)) continue;
          error(at, fmt::format("overlay_address {} of peer '{}' lies in this site's own network {}", address.to_string(),
                                peer.name, network.to_string()));
        }
      }
    }
  }

  void check_allowed_ips() {
    for (const auto& peer : config_.peers) {
      for (const auto& prefix : peer.allowed_ips) check_allowed_ip(peer, prefix);
    }
  }

  void check_allowed_ip(const Peer& peer, const Prefix& prefix) {
    const auto at = peer.at.of("allowed_ips");
    for (const auto& network : config_.site.networks) {
      if (!network.contains(prefix)) continue;
      error(at, fmt::format("{} of peer '{}' lies in this site's own network {}", prefix.to_string(), peer.name,
                            network.to_string()));
    }
    const auto owner = owners_.find(prefix.address());
    if (prefix.is_host() && owner != owners_.end() && owner->second.peer != &peer) {
      error(at, fmt::format("{} of peer '{}' is the overlay address of {}", prefix.to_string(), peer.name,
                            owner_name(owner->second)));
    }
  }

  // In the order of Prefix a prefix stands before all that it contains, so that a stack holds what is around.
  void check_nesting() {
    std::vector<std::pair<Prefix, const Peer*>> all;
    for (const auto& peer : config_.peers) {
      for (const auto& prefix : peer.allowed_ips) all.emplace_back(prefix, &peer);
    }
    std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<std::pair<Prefix, const Peer*>> around;
    for (const auto& entry : all) {
      while (!around.empty() && !around.back().first.contains(entry.first)) around.pop_back();
      if (!around.empty() && around.back().second != entry.second) report_overlap(around.back(), entry);
      around.push_back(entry);
    }
  }

  // Longest match makes nesting well-defined, and below a default route it is what everybody wants.
  void report_overlap(const std::pair<Prefix, const Peer*>& outer, const std::pair<Prefix, const Peer*>& inner) {
    const auto& [outer_prefix, outer_peer] = outer;
    const auto& [inner_prefix, inner_peer] = inner;
    if (inner_prefix == outer_prefix) {
      const bool in_order = outer_peer->at.of("allowed_ips") < inner_peer->at.of("allowed_ips");
      const auto* first = in_order ? outer_peer : inner_peer;
      const auto* second = in_order ? inner_peer : outer_peer;
      error(second->at.of("allowed_ips"), fmt::format("{} of peer '{}' belongs to peer '{}' already, in line {}",
                                                      inner_prefix.to_string(), second->name, first->name,
                                                      first->at.of("allowed_ips").line));
    } else if (outer_prefix.length() != 0) {
      diagnostics_.warning(inner_peer->at.of("allowed_ips"),
                           fmt::format("{} of peer '{}' lies in {} of peer '{}': the longer one wins",
                                       inner_prefix.to_string(), inner_peer->name, outer_prefix.to_string(),
                                       outer_peer->name));
    }
  }

  void check_endpoint(const Peer& peer) {
    for (const auto& endpoint : peer.endpoints) {
      if (endpoint.literal) check_endpoint(peer, endpoint);
    }
  }

  void check_endpoint(const Peer& peer, const PeerEndpoint& endpoint) {
    const auto owner = owners_.find(endpoint.literal->address);
    if (owner == owners_.end()) return;
    error(peer.at.of("endpoint"), fmt::format("endpoint {} of peer '{}' is the overlay address of {}: it is inside the tunnel",
                                              endpoint.to_string(), peer.name, owner_name(owner->second)));
  }

  const Config& config_;
  Diagnostics& diagnostics_;
  std::map<IpAddress, Owner> owners_;
};

}  // namespace

void check_peers(const Config& config, Diagnostics& diagnostics) { PeerCheck(config, diagnostics).run(); }

void check_keys(const Config& config, Diagnostics& diagnostics) {
  const Site& site = config.site;
  if (site.private_key.is_zero()) return;
  const bool has_previous = !site.previous_key.is_zero();
  if (has_previous && site.previous_key == site.private_key) {
    diagnostics.error(site.at.of("previous_key_file"),
                      "'previous_key_file' holds the key of 'private_key_file': it is for the one before; leave it out");
  }
  const PublicKey previous = has_previous ? derive_public_key(site.previous_key) : PublicKey{};
  for (const auto& peer : config.peers) {
    if (peer.public_key != site.public_key && !(has_previous && peer.public_key == previous)) continue;
    diagnostics.error(peer.at.of("public_key"),
                      fmt::format("peer '{}' has this site's own public key: one of them is the wrong one", peer.name));
  }
}

}  // namespace greywire::config
