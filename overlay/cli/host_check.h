// `greywire check --host`: what of this host keeps a site from working, or from working well. Reads files below `root` alone
// ("" is the host itself), so that tests bring a host of their own; what cannot be read is not told.
#pragma once

#include <string>
#include <vector>

#include "overlay/config/config.h"

namespace greywire::cli {

struct HostFinding {
  bool fatal = false;   // greywired would not start; else it runs, with less
  std::string what;     // "net.ipv4.ip_forward", "/dev/net/tun"
  std::string problem;  // with the way out, one line

  std::string line() const;  // "host: warning: net.ipv4.ip_forward: …"
  friend bool operator==(const HostFinding&, const HostFinding&) = default;
};

std::vector<HostFinding> check_host(const config::Config& config, const std::string& root = {});

}  // namespace greywire::cli
