// One site's configuration as types: what the TOML file says, with defaults filled in and every value checked.
// What follows from it (MTUs, GRE addresses, link-locals) is in derive.h; how a file becomes this is in load.h.
//
// Values: no threads, no system calls. A Config that load() or parse() gave out has passed check.h: names, keys and
// overlay addresses are unique, and every tunnel has its peer.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/config/diagnostics.h"
#include "overlay/config/values.h"
#include "router/base/ids.h"
#include "router/base/ip_address.h"
#include "router/crypto/keys.h"
#include "router/gre/tunnel.h"
#include "router/packet/ip_header.h"
#include "routing/ceiling.h"

namespace greywire::config {

inline constexpr std::uint32_t kLeastMtu = 1280;    // below it the kernel takes IPv6 off a device (RFC 8200 §5)
inline constexpr std::uint32_t kGreatestMtu = 9216;

// Where each key of one section stands, for messages about the file as a whole.
class KeyPositions {
 public:
  void set_section(SourcePosition at) { section_ = at; }
  void set(std::string_view key, SourcePosition at) { keys_.insert_or_assign(std::string(key), at); }
  void set_wrong(std::string_view key) { wrong_.emplace(key); }
  bool has(std::string_view key) const { return keys_.find(key) != keys_.end(); }       // written, be it right or wrong
  bool is_wrong(std::string_view key) const { return wrong_.find(key) != wrong_.end(); }  // its message is out already
  SourcePosition of(std::string_view key) const {  // the section's where the key is not written
    const auto found = keys_.find(key);
    return found == keys_.end() ? section_ : found->second;
  }
  SourcePosition section() const { return section_; }
  // Where something is written is no part of what it says: two configs that say the same are equal.
  friend bool operator==(const KeyPositions&, const KeyPositions&) { return true; }

 private:
  SourcePosition section_;
  std::map<std::string, SourcePosition, std::less<>> keys_;
  std::set<std::string, std::less<>> wrong_;
};

enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarning, kError };
enum class SourceCheck : std::uint8_t { kCeiling, kStrict };
// A routed link (TUN), a bridged one (TAP), one TAP over several peers.
enum class TunnelKind : std::uint8_t { kGre, kGretap, kSegment };

struct Site {
  std::string name;
  std::string private_key_file;             // as written; relative to the folder of the config file
  PrivateKey private_key;                   // all zero until load() has read the file
  PublicKey public_key;                     // of private_key
  std::string previous_key_file;            // empty: none
  PrivateKey previous_key;                  // all zero: none; filled by load()
  std::uint16_t listen_port = 51820;
  std::vector<IpAddress> overlay_addresses; // at least one; the first of a family is the one that tunnels use
  std::string interface = "gw0";
  std::vector<Prefix> networks;             // this site's own: never accepted from a peer
  std::optional<Mtu> mtu;                   // of `interface`, by hand
  std::string control_socket;               // absolute path; "/run/greywire/<name>.sock" unless set
  std::string state_dir;                    // "/var/lib/greywire/<name>" unless set; beside the config file where relative
  LogLevel log_level = LogLevel::kInfo;
  std::optional<Endpoint> metrics;          // where HTTP answers with metrics; none: nowhere
  KeyPositions at;
  friend bool operator==(const Site&, const Site&) = default;
};

struct Peer {
  std::string name;
  PublicKey public_key;
  std::string preshared_key_file;           // empty: none
  PresharedKey preshared_key;               // all zero: none; filled by load()
  std::vector<PeerEndpoint> endpoints;      // the best first; empty: the peer calls
  std::vector<IpAddress> overlay_addresses;
  std::vector<Prefix> allowed_ips;          // static, beside the overlay addresses
  routing::Ceiling accept;                  // named sets are already put in
  std::uint32_t max_prefixes = 10'000;
  std::optional<std::uint32_t> asn;         // for frr-config; nullopt: "external"
  std::optional<std::chrono::seconds> keepalive;  // as written, 0 for "off"; see effective_keepalive()
  std::optional<Liveness> liveness = Liveness{};  // nullopt: "off"
  std::chrono::milliseconds hold_up{1000};  // how long a peer that came back must answer before it is used
  std::optional<std::chrono::milliseconds> flap_damping{60'000};  // the half-life; nullopt: "off"
  std::optional<Mtu> mtu;                   // of inner packets, by hand
  bool pmtu = true;                         // false: keep the computed MTU whatever the path says; so does `mtu`
  bool enabled = true;
  SourceCheck source_check = SourceCheck::kCeiling;
  OuterDscp dscp = OuterDscp::kRouting;     // of outer headers; ECN always follows the inner packet
  KeyPositions at;
  friend bool operator==(const Peer&, const Peer&) = default;
};

// What only an L2 segment has.
struct Segment {
  std::vector<SegmentMember> peers;         // in the order of the ports, from 1
  bool hub = false;                         // all peers are spokes
  std::vector<std::string> spokes;          // or these
  std::vector<FixedMacEntry> macs;
  std::uint32_t mac_limit = 8192;
  std::uint32_t mac_limit_peer = 2048;
  std::chrono::milliseconds mac_age{300'000};
  std::uint32_t broadcast_limit = 1000;     // frames a second from one port, 0: none
  std::uint32_t multicast_limit = 4000;
  std::uint32_t unknown_limit = 1000;
  bool forward_bpdus = false;
  std::chrono::milliseconds loop_probe{1000};   // 0: "off"
  std::chrono::milliseconds loop_block{60'000};

  friend bool operator==(const Segment&, const Segment&) = default;
};

struct Tunnel {
  std::string name;                         // of the device
  TunnelKind kind = TunnelKind::kGre;
  std::string peer;                         // a Peer's name
  std::optional<std::uint32_t> key;
  std::vector<InterfaceAddress> addresses;
  std::string bridge;                       // empty: none
  bool bridge_create = false;               // make the bridge where there is none
  bool stp = false;                         // the bridge breaks loops itself, so it may hold several TAPs
  bool isolated = false;                    // no frames to other isolated ports, so it may hold several TAPs as well
  std::optional<std::uint16_t> pvid;        // VLAN of untagged frames; with any of the three the bridge filters VLANs
  std::vector<VlanRange> vlan_untagged;     // which go out without a tag; the pvid does besides
  std::vector<VlanRange> vlan_tagged;
  std::optional<Family> delivery;           // by hand; see delivery_of()
  std::optional<IpAddress> local;
  std::optional<IpAddress> remote;
  std::optional<Mtu> mtu;                   // of the device, by hand
  std::optional<bool> mss_clamp;            // default: see clamps_mss()
  bool tell_too_big = false;                // gretap: answer with ICMP instead of fragmenting
  std::uint8_t ttl = 64;                    // of the delivery packet; 0: "inherit"
  gre::TosPolicy tos_policy = gre::TosPolicy::kPeer;
  std::uint8_t tos = 0;                     // with kFixed: the DS field, ECN 0
  gre::DfPolicy df = gre::DfPolicy::kClear;
  bool sequence = false;
  bool checksum = false;
  std::optional<std::uint8_t> encap_limit;  // nullopt: "none"
  Segment segment;                          // of kSegment
  KeyPositions at;
  friend bool operator==(const Tunnel&, const Tunnel&) = default;
};

// The VLANs of a tunnel's bridge port, by VID; nothing where the config says none.
struct PortVlan {
  std::uint16_t vid = 0;
  bool pvid = false, untagged = false;
};
std::optional<std::vector<PortVlan>> port_vlans(const Tunnel& tunnel);

struct Underlay {
  Mtu mtu{1500};                            // the largest that is tried
  std::chrono::milliseconds pmtu_raise{600'000};  // how often a path that takes less is tried again
  std::optional<std::uint32_t> mark;        // nullopt: a free one is chosen; 0: outer packets are not marked
  std::optional<std::uint32_t> table;       // nullopt: a free one is chosen
  std::string device;                       // empty: not bound
  std::string vrf;                          // empty: none
  KeyPositions at;
  friend bool operator==(const Underlay&, const Underlay&) = default;
};

enum class RouteSourceKind : std::uint8_t { kZebra, kKernel };

struct Routing {
  RouteSourceKind source = RouteSourceKind::kZebra;
  std::string zebra = "/run/frr/zserv.api";
  std::uint32_t table = 254;                // of kKernel: the main one
  std::vector<std::uint8_t> protocols;      // of kKernel: rtm_protocol of the routes that count; none: all daemons' and people's
  std::chrono::milliseconds hold{240'000};  // how long learned entries outlive a zebra that came back without them
  bool inject = false;                      // static allowed-IPs as routes into zebra
  std::optional<std::uint32_t> asn;         // for frr-config
  std::optional<std::chrono::milliseconds> audit{3'600'000};  // nullopt: "off"
  KeyPositions at;
  friend bool operator==(const Routing&, const Routing&) = default;
};

struct Config {
  Site site;
  std::vector<Peer> peers;                  // in the order of the file; disabled ones too
  std::vector<Tunnel> tunnels;
  Underlay underlay;
  std::optional<Routing> routing;           // nullopt: no [routing], nothing is learned
  std::string text;                         // what all this was read from; no key is in it

  const Peer* find_peer(std::string_view name) const;  // nullptr: none; valid until `peers` changes
};

// What a tunnel is on the wire: itself, or for a segment a gretap tunnel with each of its peers.
std::vector<Tunnel> legs_of(const Tunnel& tunnel);
bool has_enabled_peer(const Config& config, const Tunnel& tunnel);

std::string_view to_string(TunnelKind kind);        // "gre", "gretap", "segment"
std::string_view to_string(SourceCheck check);      // "ceiling", "strict"
std::string_view to_string(LogLevel level);         // "trace", "debug", "info", "warning", "error"

}  // namespace greywire::config
