// What to write into FRR's bgpd so that it agrees with a config: neighbours, prefix-lists that are the ceilings, and maximum
// prefixes. Pure.
#pragma once

#include <string>

#include "overlay/config/config.h"
#include "router/base/result.h"

namespace greywire::config {

// Text for bgpd.conf or vtysh. A neighbour for each enabled peer with an overlay address and an `accept`, and one for each
// `gre` link whose far end follows from its address (/30, /31, /126, /127). An Error says which key is missing.
Result<std::string> frr_config(const Config& config);

}  // namespace greywire::config
