// What follows from a Config: the values nobody should type. One place, pure, no threads.
//
// The family of a peer's underlay decides 20 bytes. It is that of the endpoint in use; while it is not known (a name
// not resolved yet, a peer that calls us), the longer IPv6 header is assumed, as `wg-quick` does.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "overlay/config/config.h"
#include "router/base/ids.h"
#include "router/base/ip_address.h"
#include "router/base/result.h"

namespace greywire::config {

inline constexpr std::chrono::seconds kKeepaliveWithoutEndpoint{25};
inline constexpr Mtu kBridgeMtu{1500};

// The IPv6 link-local that both ends compute from a peer's public key: fe80::/64 and, as interface identifier
// (RFC 7136: opaque), the first 8 bytes of BLAKE2s-256(key) with the universal/local and the group bit of the first byte
// cleared. So it is none of the reserved identifiers of RFC 5453, and stays when a device is made anew.
IpAddress link_local_of(const PublicKey& key);

// The largest inner packet to the peer: `mtu` of the peer, else what was found, else what WireGuard leaves of the underlay's
// MTU. It may be
// less than 1280 on a small underlay: then larger packets are fragmented inside WireGuard.
struct KnownPath {
  std::optional<Family> family = std::nullopt;  // of the endpoint in use
  std::optional<Mtu> inner = std::nullopt;      // the largest inner packet that the engine found to pass
};
Mtu peer_inner_mtu(const Config& config, const Peer& peer, const KnownPath& path);

// Whether the largest packet to the peer is searched for.
bool finds_path_mtu(const Peer& peer);

// The family of all endpoints where each is written as an address, and they are of one family; else nullopt.
std::optional<Family> endpoint_family(const Peer& peer);

// 0: none. 25 s for a peer without an endpoint that says nothing: the way back through its NAT must stay open, and
// only it can open it, so both ends keep it alive.
std::chrono::seconds effective_keepalive(const Peer& peer);

// Whether another peer may carry a static prefix of this one: by a shorter one of its own, or by routing within its ceiling.
bool has_fallback(const Config& config, const Peer& peer, const Prefix& prefix);

// Both ends of a tunnel's delivery packets, always of one family.
struct Delivery {
  IpAddress local;
  IpAddress remote;
  Family family() const { return local.family(); }
  friend auto operator<=>(const Delivery&, const Delivery&) = default;
};

// `local` and `remote` as written; what is not written is the first overlay address of the family, which is that of
// the end that is written, else `delivery`, else IPv4 where both ends have it, else IPv6. An Error says what is missing.
Result<Delivery> delivery_of(const Site& site, const Peer& peer, const Tunnel& tunnel);

bool clamps_mss(const Tunnel& tunnel);  // as written, else true for gre and false for gretap

// MSS to clamp to for IPv4 and IPv6 inside, in bytes; for packets of at most `mtu` (RFC 9293 §3.7.1).
struct MssLimits {
  std::uint16_t v4 = 0;
  std::uint16_t v6 = 0;
  friend bool operator==(const MssLimits&, const MssLimits&) = default;
};
MssLimits mss_limits(Mtu mtu);

// The largest IP packet that goes through the tunnel in one delivery packet. May be less than 1280.
Mtu tunnel_payload_mtu(const Tunnel& tunnel, Mtu peer_inner, Family delivery);

// The device's MTU: as written, else the above and at least 1280; of a bridged TAP 1500, whatever the peer's.
Mtu tunnel_device_mtu(const Tunnel& tunnel, Mtu peer_inner, Family delivery);

struct DerivedPeer {
  std::string name;
  bool enabled = true;
  IpAddress link_local;
  std::chrono::seconds keepalive{0};  // 0: none
  Mtu inner_mtu;
  MssLimits mss;                      // of TCP through the site's interface to this peer
};

struct DerivedTunnel {
  std::string name;
  std::string peer;                   // of a segment: the one with the narrowest path
  bool enabled = true;                // false: its peer is disabled, all of a segment's are
  Delivery delivery;
  Mtu payload_mtu;
  Mtu device_mtu;
  std::optional<MssLimits> mss;       // nullopt: not clamped
};

struct Derived {
  IpAddress link_local;               // this site's; of an all-zero key before load() has read the file
  Mtu device_mtu;                     // of the site's interface: the largest of its enabled peers', at least 1280
  std::vector<DerivedPeer> peers;     // in the order of Config::peers
  std::vector<DerivedTunnel> tunnels; // in the order of Config::tunnels
};

// What is known by now of the way to a peer.
using PathOf = std::function<KnownPath(const Peer&)>;
KnownPath path_as_written(const Peer& peer);

// `config` has passed check.h. Cheap: call it again when a path changes.
Derived derive(const Config& config, const PathOf& path_of = path_as_written);

}  // namespace greywire::config
