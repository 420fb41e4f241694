// A DeviceControl in memory with the configuration semantics of WireGuard and no packets: peers in the order
// of their creation, one owner a prefix, the device's own key refused in silence. Any one thread.
#pragma once

#include <algorithm>
#include <cerrno>
#include <map>
#include <vector>

#include "router/crypto/x25519.h"
#include "router/wireguard/device_status.h"

namespace greywire::testing {

class FakeDevice final : public wireguard::DeviceControl {
 public:
  wireguard::DeviceStatus status() override {
    ++status_calls;
    return state;
  }

  int set_private_key(const PrivateKey& key) override {
    state.private_key = key;
    state.public_key = derive_public_key(key);
    if (!key.is_zero()) drop(state.public_key);
    return 0;
  }

  int set_listen_port(std::uint16_t port) override {
    if (port != 0 && port == busy_port) return EADDRINUSE;
    state.listen_port = port == 0 ? 40000 : port;
    return 0;
  }

  int set_fwmark(std::uint32_t mark) override {
    state.fwmark = mark;
    return 0;
  }

  int remove_peers(Origin origin) override {
    std::erase_if(state.peers, [origin](const auto& peer) { return peer.origin == origin; });
    for (auto& peer : state.peers) {
      std::erase_if(peer.allowed_ips, [origin](const auto& entry) { return entry.origin == origin; });
    }
    return 0;
  }

  int change_peer(const wireguard::PeerChange& change) override {
    changes.push_back(change);
    if (next_change_error != 0) return std::exchange(next_change_error, 0);
    if (!state.private_key.is_zero() && change.public_key == state.public_key) return 0;
    auto* peer = find(change.public_key);
    if (change.remove) {
      if (peer != nullptr && peer->origin == change.origin) drop(change.public_key);
      return 0;
    }
    if (peer == nullptr) {
      if (change.update_only) return 0;
      peer = &state.peers.emplace_back();
      peer->public_key = change.public_key;
      peer->origin = change.origin;
    }
    if (change.preshared_key) peer->preshared_key = *change.preshared_key;
    if (change.endpoint) peer->endpoint = *change.endpoint;
    if (change.persistent_keepalive) peer->persistent_keepalive = *change.persistent_keepalive;
    if (change.replace_allowed_ips) {
      std::erase_if(peer->allowed_ips, [&](const auto& entry) { return entry.origin == change.origin; });
    }
    for (const auto& allowed : change.allowed_ips) change_allowed_ip(*peer, allowed, change.origin);
    return 0;
  }

  wireguard::PeerStatus* find(const PublicKey& key) {
    const auto found = std::find_if(state.peers.begin(), state.peers.end(),
                                    [&](const auto& peer) { return peer.public_key == key; });
    return found == state.peers.end() ? nullptr : &*found;
  }

  wireguard::DeviceStatus state;
  std::vector<wireguard::PeerChange> changes;  // all that were asked for
  std::uint16_t busy_port = 0;                 // answers EADDRINUSE
  int next_change_error = 0;                   // the next change_peer fails with it
  int status_calls = 0;

 private:
  void drop(const PublicKey& key) {
    std::erase_if(state.peers, [&](const auto& peer) { return peer.public_key == key; });
  }

  void change_allowed_ip(wireguard::PeerStatus& owner, const wireguard::PeerChange::AllowedIpChange& allowed,
                         Origin origin) {
    const auto same = [&](const wireguard::AllowedIp& entry) { return entry.prefix == allowed.prefix; };
    if (allowed.remove) {
      std::erase_if(owner.allowed_ips, same);
      return;
    }
    for (auto& peer : state.peers) std::erase_if(peer.allowed_ips, same);
    owner.allowed_ips.push_back({allowed.prefix, origin});
  }
};

}  // namespace greywire::testing
