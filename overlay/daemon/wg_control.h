// What `wg` may change on a running site. The config owns the device's key, port and mark, its peers, and of those the
// preshared key, the keepalive and the allowed-IPs that it names. `wg setconf` and `wg syncconf` send all of these
// whether they mean them or not, so they are left alone without an error, and a difference is told. Everything else is
// `wg`'s to change: peers and allowed-IPs of its own, and the endpoint of any peer, as roaming changes it too.
//
// The engine keeps whose peers and allowed-IPs are whose (Origin); here is the rest. Control thread.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "overlay/config/config.h"
#include "router/wireguard/device_status.h"

namespace greywire::daemon {

class WgControl final : public wireguard::DeviceControl {
 public:
  // `ignored` is told in words what `wg` tried in vain. `device` outlives the object.
  WgControl(wireguard::DeviceControl& device, std::shared_ptr<const config::Config> config,
            std::function<void(std::string_view)> ignored)
      : device_(device), config_(std::move(config)), ignored_(std::move(ignored)) {}
  void set_config(std::shared_ptr<const config::Config> config) { config_ = std::move(config); }
  void set_mark(std::uint32_t mark) { mark_ = mark; }  // the one that is set

  wireguard::DeviceStatus status() override { return device_.status(); }
  int set_private_key(const PrivateKey& key) override;
  int set_listen_port(std::uint16_t port) override;
  int set_fwmark(std::uint32_t mark) override;
  int remove_peers(Origin origin) override { return device_.remove_peers(origin); }
  int change_peer(const wireguard::PeerChange& change) override;

 private:
  wireguard::DeviceControl& device_;
  std::shared_ptr<const config::Config> config_;
  std::function<void(std::string_view)> ignored_;
  std::uint32_t mark_ = 0;
};

}  // namespace greywire::daemon
