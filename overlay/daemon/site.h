// `greywired --config FILE`: one site in the foreground, until SIGINT or SIGTERM. The composition root: config, engine,
// links, control sockets and the routing source come together here.
#pragma once

#include "overlay/daemon/command_line.h"
#include "router/base/result.h"

namespace greywire::daemon {

// Error::code of run_site() where the config cannot be used: another start with the same one would fail as well.
inline constexpr int kUnusableConfig = -1;

// Runs until a signal. An Error: it could not start, or cannot go on; nothing is left behind.
Result<void> run_site(const RunSite& what, unsigned workers);

}  // namespace greywire::daemon
