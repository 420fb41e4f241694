// What the control side says to a WireGuard device and reads from it: plain values, copied between threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "router/base/ids.h"
#include "router/base/ip_address.h"
#include "router/base/time.h"
#include "router/crypto/keys.h"

namespace greywire::wireguard {

struct AllowedIp {
  Prefix prefix;
  Origin origin = Origin::kWg;
};

struct PeerStatus {
  PeerId id;
  PublicKey public_key;
  PresharedKey preshared_key;  // zeros: none
  std::optional<Endpoint> endpoint;
  std::uint16_t persistent_keepalive = 0;  // seconds, 0 = off
  WallTime last_handshake;                 // zero: never
  std::uint64_t handshakes = 0;            // that completed
  bool knows_previous_key = false;         // for all we know: no handshake was under our own identity since there is a previous one
  bool handshake_pending = false;          // an initiation is under way and unanswered
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_bytes = 0;
  Origin origin = Origin::kWg;
  std::vector<AllowedIp> allowed_ips;  // sorted
  // Liveness by the probe in the tunnel; empty where the peer has no overlay address to probe.
  std::optional<bool> alive;
  std::optional<Duration> round_trip;
};

struct DeviceStatus {
  PrivateKey private_key;  // zeros: none
  PublicKey public_key;
  std::uint16_t listen_port = 0;
  std::uint32_t fwmark = 0;
  std::vector<PeerStatus> peers;  // in the order of their creation
};

// One peer's part of a change. Fields that are absent stay as they are.
struct PeerChange {
  PublicKey public_key;
  Origin origin = Origin::kWg;
  bool remove = false;
  bool update_only = false;
  bool replace_allowed_ips = false;  // takes away only entries of `origin`
  std::optional<PresharedKey> preshared_key;
  std::optional<Endpoint> endpoint;
  std::optional<std::uint16_t> persistent_keepalive;
  struct AllowedIpChange {
    Prefix prefix;
    bool remove = false;  // only if this peer owns it
  };
  std::vector<AllowedIpChange> allowed_ips;  // in order
};

// A running device as the control sockets see it. Any control-side thread may call; each call is atomic and blocks
// until the protocol thread has done it (well under a millisecond). Errors are errno values, 0 is success.
class DeviceControl {
 public:
  virtual ~DeviceControl() = default;
  virtual DeviceStatus status() = 0;
  virtual int set_private_key(const PrivateKey& key) = 0;  // zeros clear it
  virtual int set_listen_port(std::uint16_t port) = 0;     // EADDRINUSE; 0 = choose
  virtual int set_fwmark(std::uint32_t mark) = 0;          // 0 = off
  virtual int remove_peers(Origin origin) = 0;             // all peers that came from there
  virtual int change_peer(const PeerChange& change) = 0;
};

}  // namespace greywire::wireguard
