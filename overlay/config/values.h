// The small values that stand as text in a config file, each parsed once into a type. Pure; errors are one line that
// says what was expected, without the place.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "router/base/ip_address.h"
#include "router/base/result.h"
#include "router/packet/mac_address.h"

namespace greywire::config {

// An address as an interface carries it: unlike Prefix it keeps the host bits. "172.31.12.1/30".
struct InterfaceAddress {
  IpAddress address;
  unsigned length = 0;  // 1 to 32 or 128

  static Result<InterfaceAddress> parse(std::string_view text);  // the length must be written
  Prefix network() const { return {address, length}; }
  std::string to_string() const;
  friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

// Where a peer is reached: an address and a port, or a name to be resolved later. "192.0.2.1:51820",
// "[2001:db8::1]:51820", "fra.example.net:51820".
struct PeerEndpoint {
  std::string host;                  // a DNS name (RFC 1123 §2.1), or the address as text without brackets
  std::uint16_t port = 0;            // 1 to 65535
  std::optional<Endpoint> literal;   // set when `host` is an address: nothing to resolve

  static Result<PeerEndpoint> parse(std::string_view text);
  std::string to_string() const;
  friend bool operator==(const PeerEndpoint&, const PeerEndpoint&) = default;
};

// The probe in the tunnel: a peer is dead once `count` probes, one each `interval`, are unanswered. "1s x 3".
struct Liveness {
  std::chrono::milliseconds interval{1000};  // 100 ms to 60 s
  unsigned count = 3;                        // 1 to 20

  static Result<Liveness> parse(std::string_view text);  // not "off": see parse_liveness()
  std::string to_string() const;
  friend bool operator==(const Liveness&, const Liveness&) = default;
};

// A peer of an L2 segment: "fra", or with a GRE key of its own "fra key 43".
struct SegmentMember {
  std::string peer;
  std::optional<std::uint32_t> key;

  static Result<SegmentMember> parse(std::string_view text);
  friend bool operator==(const SegmentMember&, const SegmentMember&) = default;
};

// A MAC that is always at one place of a segment: "02:00:5e:10:00:01 fra", or "... local" for this site's side.
struct FixedMacEntry {
  MacAddress mac;
  std::string peer;  // empty: this site's side

  static Result<FixedMacEntry> parse(std::string_view text);
  friend bool operator==(const FixedMacEntry&, const FixedMacEntry&) = default;
};

Result<std::optional<Liveness>> parse_liveness(std::string_view text);         // "off" is nullopt
Result<std::chrono::milliseconds> parse_duration(std::string_view text);       // "500ms", "25s", "2m", "1h"
std::string duration_to_string(std::chrono::milliseconds duration);            // the largest unit that is exact
Result<std::chrono::seconds> parse_keepalive(std::string_view text);           // "25s", 1 s to 65535 s; "off" is 0

// VLAN identifiers, both ends included: "20" or "30-39".
struct VlanRange {
  std::uint16_t first = 1, last = 1;  // 1 to 4094
  static Result<VlanRange> parse(std::string_view text);
  friend bool operator==(const VlanRange&, const VlanRange&) = default;
};

// A device or bridge name the kernel would take: 1 to 15 characters (IFNAMSIZ) of letters, digits, '-', '_' and '.',
// and none of the names that mean something else ("lo", "all", "default", ".", "..").
Result<std::string> parse_interface_name(std::string_view text);

// The name of a site or a peer: 1 to 32 letters, digits, '-', '_' and '.'. It becomes part of a file name.
Result<std::string> parse_name(std::string_view text);

// An address a host can own and another can send to: not unspecified, loopback, multicast, link-local or IPv4-mapped.
Result<IpAddress> parse_host_address(std::string_view text);

// Who put a route into the kernel's table (rtm_protocol), by iproute2's name or a number: "bird", "186". Not the kernel
// itself, and not Greywire.
Result<std::uint8_t> parse_route_protocol(std::string_view text);

// A prefix without host bits: "10.2.0.0/16". An address alone is a host prefix.
Result<Prefix> parse_network(std::string_view text);

}  // namespace greywire::config
