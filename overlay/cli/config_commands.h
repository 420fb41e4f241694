// The commands about a config file: check, frr-config.
#pragma once

#include "overlay/cli/asking.h"

namespace greywire::cli {

ExitCode check_command(const Surroundings& around, const Options& options);
ExitCode frr_config_command(const Surroundings& around, const Options& options);

}  // namespace greywire::cli
