// What is to be done so that a running site becomes what another config says: pure. Peers are known by name and public
// key, tunnels by name and kind; disabled peers, and their tunnels, count as absent.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/config/config.h"

namespace greywire::config {

// A key that cannot change while the site runs, and did.
struct NeedsRestart {
  std::string key;    // "'listen_port' of [site]"
  SourcePosition at;  // in the new file
};

struct ConfigDiff {
  std::vector<std::string> removed_peers, changed_peers, added_peers;  // another public key: changed, unless it was another peer's
  std::vector<std::string> removed_tunnels, added_tunnels;             // another kind of device: both
  std::vector<std::string> changed_tunnels;   // the device stays
  std::vector<std::string> affected_tunnels;  // written as before, but their peer or this site's addresses changed
  bool site = false;                          // something of [site], [underlay] or [routing]
  std::map<std::string, std::string> changed_keys;  // of a changed peer or tunnel, "peer fra": "endpoint, accept"
  std::vector<NeedsRestart> needs_restart;    // in the order of the sections

  bool empty() const;
  std::vector<std::string> lines() const;  // "peer fra changed: endpoint", for people; without affected_tunnels
};

ConfigDiff diff(const Config& before, const Config& after);

enum class Reload : std::uint8_t { kAtRunTime, kRestart };
// What becomes of a changed key of "site", "underlay" or "routing"; keys of peers and tunnels all change at run time.
// Nothing: a key that nobody has decided about.
std::optional<Reload> reload_of(std::string_view section, std::string_view key);
// Whether a change of this key of "peer" or "tunnel" is told by its name.
bool has_name_in_diff(std::string_view section, std::string_view key);

}  // namespace greywire::config
