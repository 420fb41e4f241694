// What no single key can say: whether a config holds together as a whole. Pure; adds to `diagnostics` and stops at
// nothing. Values that were wrong by themselves are left out of the comparisons, so that one slip is one message.
#pragma once

#include "overlay/config/config.h"
#include "overlay/config/diagnostics.h"

namespace greywire::config {

void check(const Config& config, Diagnostics& diagnostics);          // all of the below but check_keys()
void check_peers(const Config& config, Diagnostics& diagnostics);    // names, keys, addresses, allowed-IPs
void check_tunnels(const Config& config, Diagnostics& diagnostics);  // peers, GRE addresses and keys, bridges
void check_underlay(const Config& config, Diagnostics& diagnostics);
void check_sense(const Config& config, Diagnostics& diagnostics);    // warnings: what is right but does nothing

// What only the keys' content tells; for after the key files are read.
void check_keys(const Config& config, Diagnostics& diagnostics);

}  // namespace greywire::config
