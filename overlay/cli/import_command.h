// `greywire import`: from wg-quick's files and GRE links to a site's TOML and key files.
#pragma once

#include "overlay/cli/asking.h"

namespace greywire::cli {

ExitCode import_command(const Surroundings& around, const Options& options);

}  // namespace greywire::cli
