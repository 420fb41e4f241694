// What `greywire status` and its neighbours show of a running site: plain values that the daemon fills and
// both sides of the control socket share. site_status_json.h makes JSON of them and back.
//
// Absent optionals mean "unknown or not applicable", never zero. Addresses, prefixes and keys are typed here
// and text in JSON. Keys are public ones only: no secret ever enters these structs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "router/base/drop_reason.h"
#include "router/base/ids.h"
#include "router/base/ip_address.h"

namespace greywire::control {

struct PeerReport {
  std::string name;        // from the config; empty for a peer that `wg` added
  std::string public_key;  // base64
  bool preshared_key = false;
  std::string origin = "config";  // config | wg
  std::optional<Endpoint> endpoint;
  std::optional<std::chrono::seconds> handshake_age;  // absent: never
  std::uint64_t handshakes = 0;  // that completed
  bool previous_key = false;     // of ours (`previous_key_file`): all that it knows, as far as we have heard
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_bytes = 0;
  std::chrono::seconds persistent_keepalive{0};  // 0 = off
  std::vector<IpAddress> overlay_addresses;
  std::vector<Prefix> static_allowed_ips;   // from the config and from `wg`
  std::vector<Prefix> learned_allowed_ips;  // from routing
  std::vector<Prefix> refused;              // learned but refused: packets to them are dropped
  std::uint64_t prefixes = 0;               // learned and accepted: one that several peers carry counts with each
  std::uint64_t over_maximum = 0;           // refused because there were max_prefixes already
  std::uint64_t max_prefixes = 0;           // 0: nothing is learned for it
  std::optional<bool> alive;                // by the probe in the tunnel; absent: not probed
  bool held_down = false;                   // alive, and not used yet: hold_up or flap_damping
  std::optional<std::chrono::microseconds> round_trip;
  std::optional<Mtu> inner_mtu;  // the largest IP packet inside the tunnel

  friend bool operator==(const PeerReport&, const PeerReport&) = default;
};

// One port of an L2 segment: this site's side, or a peer.
struct SegmentPortReport {
  std::string peer;  // empty: this site's side
  std::optional<std::uint32_t> key;
  std::optional<IpAddress> remote;
  std::uint64_t macs = 0;            // learned there
  std::chrono::seconds blocked{0};   // because of a loop, for so long; 0: not
  std::uint64_t rx_packets = 0;
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t tx_bytes = 0;

  friend bool operator==(const SegmentPortReport&, const SegmentPortReport&) = default;
};

struct SegmentReport {
  std::vector<SegmentPortReport> ports;
  std::uint64_t moves = 0;        // of MACs from port to port
  std::uint64_t flooded = 0;      // frames that went to everybody
  std::uint64_t not_learned = 0;  // frames whose source went beyond a limit
  std::uint64_t loops = 0;        // seen and blocked

  friend bool operator==(const SegmentReport&, const SegmentReport&) = default;
};

struct TunnelReport {
  std::string name;  // also the interface's
  std::string kind;  // gre | gretap | segment
  std::string peer;                    // of a segment: all of them
  std::optional<std::uint32_t> key;
  bool sequence = false;
  bool checksum = false;
  std::optional<std::uint8_t> encap_limit;
  std::optional<SegmentReport> segment;
  IpAddress local;                     // delivery source
  IpAddress remote;                    // delivery destination
  std::vector<std::string> addresses;  // ADDRESS/LENGTH on the interface, host bits kept
  std::string bridge;                  // empty: in none
  Mtu mtu;                             // of the device
  std::optional<Mtu> payload_limit;    // largest payload that the peer's path takes without fragmenting
  bool up = false;
  bool carrier = false;
  std::uint64_t rx_packets = 0;
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t tx_bytes = 0;

  friend bool operator==(const TunnelReport&, const TunnelReport&) = default;
};

struct RoutingReport {
  std::string source;         // zebra | kernel; empty: the site has no routing source
  std::string socket;         // its path, or the table
  std::string state;          // in the source's own words: connecting, synced, …
  std::string release_group;  // the FRR releases whose protocol was recognised; empty before
  std::uint64_t routes = 0;   // prefixes learned, and what became of them:
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t ignored = 0;
  std::uint64_t unresolved = 0;
  std::uint64_t held = 0;  // kept over a restart of the source until announced again
  std::uint64_t not_taken = 0;  // announcements beyond what the table holds
  std::uint64_t audits = 0;     // comparisons of source, policy and engine
  std::uint64_t repaired = 0;   // entries that differed then
  std::uint64_t dumps = 0;      // whole tables read from the source
  std::uint64_t overruns = 0;   // times that the kernel lost changes for us, so that all was read again
  std::string last_error;  // empty: none

  friend bool operator==(const RoutingReport&, const RoutingReport&) = default;
};

struct MtuReport {
  std::string name;             // interface or peer
  std::string kind;             // underlay | device | peer | gre | gretap | segment
  Mtu mtu;                      // what the name can carry, at its own layer
  std::optional<Mtu> path;      // the underlay's MTU that it was computed from
  std::uint32_t overhead = 0;   // bytes between the two
  std::optional<Mtu> mss_ipv4;  // TCP MSS that is clamped to; absent: not clamped
  std::optional<Mtu> mss_ipv6;
  std::string origin;  // computed | configured | measured
  // Of a peer whose path is searched (kind peer):
  std::string state;            // base | searching | complete | error | unprobeable; empty: not searched
  std::optional<Mtu> probed;    // the largest outer packet that a probe was answered for
  std::optional<Mtu> largest;   // the largest that is tried
  std::string reason;           // why `path` is what it is
  std::optional<std::chrono::seconds> changed_age;  // absent: never changed
  std::uint64_t black_holes = 0;  // times that a size which had passed stopped to

  friend bool operator==(const MtuReport&, const MtuReport&) = default;
};

// What the search for path MTUs and keeping to them did.
struct PathReport {
  std::uint64_t probes = 0;              // pairs of packets
  std::uint64_t reports = 0;             // ICMP too-big of routers about packets of ours
  std::uint64_t reports_ignored = 0;     // ... that quoted none, or came too fast
  std::uint64_t black_holes = 0;
  std::uint64_t too_big_sent = 0;        // ICMP too-big to senders inside
  std::uint64_t too_big_suppressed = 0;  // ... kept back by the rate limit
  std::uint64_t fragmented = 0;          // packets
  std::uint64_t fragments_sent = 0;
  std::uint64_t mss_clamped = 0;         // SYNs

  friend bool operator==(const PathReport&, const PathReport&) = default;
};

struct DropReport {
  std::string reason;   // drop_reason_name
  std::string meaning;  // drop_reason_meaning
  std::string advice;   // drop_advice
  std::uint64_t packets = 0;

  friend bool operator==(const DropReport&, const DropReport&) = default;
};

struct SiteStatus {
  std::string site;  // empty for the bare device
  std::string version;
  std::string interface;
  std::uint16_t listen_port = 0;
  std::uint32_t fwmark = 0;
  std::string public_key;  // base64; empty: no private key set
  std::vector<IpAddress> overlay_addresses;
  std::chrono::seconds uptime{0};
  std::vector<PeerReport> peers;
  std::vector<TunnelReport> tunnels;
  RoutingReport routing;
  std::vector<MtuReport> mtus;
  PathReport paths;
  std::vector<DropReport> drops;    // only reasons that were counted
  std::vector<std::string> alerts;  // one line each: what needs a person; the last ones
  std::uint64_t alerts_total = 0;   // since the start
  std::optional<std::chrono::seconds> confirm_within;  // then a reload is gone back from; absent: none is on trial

  friend bool operator==(const SiteStatus&, const SiteStatus&) = default;
};

// One learned prefix, for `greywire routes`.
struct RouteReport {
  Prefix prefix;
  std::vector<std::string> next_hops;  // address, with %INTERFACE where it has one
  std::string peer;                    // empty: none
  std::string state;                   // accepted | refused | ignored | unresolved | held
  std::string reason;                  // why, where it is not accepted

  friend bool operator==(const RouteReport&, const RouteReport&) = default;
};

struct RoutesReport {
  std::vector<RouteReport> routes;  // sorted by prefix

  friend bool operator==(const RoutesReport&, const RoutesReport&) = default;
};

// What happens to a packet for one address, for `greywire explain`.
struct ExplainReport {
  IpAddress address;
  bool delivered = false;
  std::optional<Prefix> match;     // the longest prefix that decided
  std::string peer;                // empty: none; several share the prefix
  std::string origin;              // of the match: config | wg | learned
  std::string drop_reason;         // drop_reason_name where not delivered
  std::optional<Mtu> mtu;          // the largest packet that goes there whole
  std::vector<std::string> sources;  // peers that may send from this address
  std::vector<std::string> steps;  // one plain line each, in the packet's order

  friend bool operator==(const ExplainReport&, const ExplainReport&) = default;
};

// What `greywire audit` found.
struct AuditReport {
  std::uint64_t routes = 0;    // learned prefixes that were looked at
  std::uint64_t repaired = 0;  // not as the policy has it, or not in the engine as decided: put right
  bool source_asked = false;   // the source was asked for all its routes again; what it does not repeat goes

  friend bool operator==(const AuditReport&, const AuditReport&) = default;
};

// One address of an L2 segment, for `greywire segments`.
struct MacReport {
  std::string segment;
  std::string mac;
  std::uint16_t vlan = 0;  // 0: without a tag
  std::string port;        // a peer's name, or "local"
  std::optional<std::chrono::seconds> age;  // since it was heard; absent: fixed by the config

  friend bool operator==(const MacReport&, const MacReport&) = default;
};

// What became of `greywire reload`, `greywire confirm` and `greywire rollback`.
struct ReloadReport {
  bool done = false;                 // false: nothing was changed, `errors` say why
  std::vector<std::string> changes;  // one line each; empty: the file says what runs already
  std::vector<std::string> warnings;
  std::vector<std::string> errors;   // "site.toml:12:3: …"; where done: what could not be made
  std::optional<std::chrono::seconds> confirm_within;  // as in SiteStatus

  friend bool operator==(const ReloadReport&, const ReloadReport&) = default;
};

// The reasons with a count, the most frequent first; `all`: those without one too.
std::vector<DropReport> drop_reports(const std::function<std::uint64_t(DropReason)>& count, bool all = false);

}  // namespace greywire::control
