// The commands that look at a running site for a while: top, events and ping.
#pragma once

#include "overlay/cli/asking.h"

namespace greywire::cli {

ExitCode top_command(const Surroundings& around, const Options& options);
ExitCode events_command(const Surroundings& around, const Options& options);
ExitCode ping_command(const Surroundings& around, const Options& options);

}  // namespace greywire::cli
