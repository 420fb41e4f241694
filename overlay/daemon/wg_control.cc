#include "overlay/daemon/wg_control.h"

#include <fmt/format.h>

#include <algorithm>

#include "overlay/config/derive.h"
#include "router/crypto/x25519.h"

namespace greywire::daemon {

int WgControl::set_private_key(const PrivateKey& key) {
  if (!key.is_zero() && derive_public_key(key) != config_->site.public_key) {
    ignored_("`wg` cannot change the private key: it is private_key_file of [site]");
  }
  return 0;
}

int WgControl::set_listen_port(std::uint16_t port) {
  if (port != 0 && port != config_->site.listen_port) {
    ignored_(fmt::format("`wg` cannot move the site to port {}: that is listen_port of [site]", port));
  }
  return 0;
}

int WgControl::set_fwmark(std::uint32_t mark) {
  if (mark != 0 && mark != mark_) {
    ignored_(fmt::format("`wg` cannot set the mark {:#x}: that is mark of [underlay]", mark));
  }
  return 0;
}

int WgControl::change_peer(const wireguard::PeerChange& change) {
  const auto peer = std::find_if(config_->peers.begin(), config_->peers.end(), [&](const config::Peer& candidate) {
    return candidate.enabled && candidate.public_key == change.public_key;
  });
  if (peer == config_->peers.end()) return device_.change_peer(change);
  if (change.remove) {
    ignored_(fmt::format("`wg` cannot remove peer {}: it is in the config", peer->name));
    return 0;
  }
  wireguard::PeerChange rest = change;
  rest.preshared_key.reset();
  rest.persistent_keepalive.reset();
  if (change.preshared_key && !change.preshared_key->is_zero() && *change.preshared_key != peer->preshared_key) {
    ignored_(fmt::format("`wg` cannot change the preshared key of {}: it is in the config", peer->name));
  }
  if (change.persistent_keepalive && *change.persistent_keepalive != 0 &&
      *change.persistent_keepalive != config::effective_keepalive(*peer).count()) {
    ignored_(fmt::format("`wg` cannot change the keepalive of {}: it is in the config", peer->name));
  }
  return device_.change_peer(rest);
}

}  // namespace greywire::daemon
