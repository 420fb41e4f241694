// Reads the GRE and GRETAP links of a host from `ip -d -j address show` (or `link show`, which has no addresses): pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/config/diagnostics.h"
#include "overlay/config/values.h"

namespace greywire::import {

struct GreLink {
  std::string name;
  bool ethernet = false;  // gretap, ip6gretap
  IpAddress local;
  IpAddress remote;
  std::optional<std::uint32_t> key;
  bool sequence = false;
  bool checksum = false;
  std::uint8_t ttl = 64;  // 0: inherit
  std::string tos;        // as `tos` of [[tunnel]] takes it; empty: none was set
  std::optional<std::uint8_t> encap_limit;
  bool drops_what_is_too_big = false;  // a bridged one with path MTU discovery: greywired fragments
  std::string fwmark;     // not empty: its packets had it
  std::string bridge;     // or bond, or VRF: its master; empty: none
  std::vector<config::InterfaceAddress> addresses;
};

inline constexpr std::size_t kLargestLinks = 16 << 20;  // bytes

// Links that greywired cannot be told of (no remote end, two keys) are warnings, and are left out; nothing where the text is
// no such JSON.
std::optional<std::vector<GreLink>> parse_gre_links(std::string_view text, config::Diagnostics& diagnostics);

}  // namespace greywire::import
