// Reads wg-quick's configuration files (wg-quick(8), wg(8)): pure. Keys go into wiping types and never into a message; what is
// no KEY = VALUE of a known key is told by its line alone, since it might hold one.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/config/diagnostics.h"
#include "overlay/config/values.h"
#include "router/crypto/keys.h"

namespace greywire::import {

// What greywired does otherwise, or not at all: "PostUp = iptables …".
struct LeftOver {
  config::SourcePosition at;
  std::string key;
  std::string value;  // one line of printable text
};

struct QuickPeer {
  config::SourcePosition at;
  std::string name;  // of a comment "# Name = fra" or "# fra" around its heading; empty: none that could be one
  PublicKey public_key;
  std::optional<PresharedKey> preshared_key;
  std::optional<config::PeerEndpoint> endpoint;
  std::vector<Prefix> allowed_ips;
  std::chrono::seconds keepalive{0};  // 0: off
};

struct QuickConfig {
  std::string file;       // as it was given
  std::string interface;  // the file's name without folder and ".conf"
  PrivateKey private_key;
  std::vector<config::InterfaceAddress> addresses;
  std::uint16_t listen_port = 0;  // 0: any
  bool table_off = false;         // routes are somebody else's business
  std::vector<QuickPeer> peers;
  std::vector<LeftOver> left_over;
};

inline constexpr std::size_t kLargestQuickFile = 1 << 20;  // bytes

// Nothing where `diagnostics`, which has the file's name, got an error.
std::optional<QuickConfig> parse_wg_quick(std::string_view text, config::Diagnostics& diagnostics);

}  // namespace greywire::import
