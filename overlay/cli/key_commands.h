// genkey, pubkey and genpsk, in the text form that `wg` has: 44 characters of base64 and a newline; or as JSON.
#pragma once

#include "overlay/cli/asking.h"

namespace greywire::cli {

ExitCode genkey_command(const Surroundings& around, const Options& options);
ExitCode genpsk_command(const Surroundings& around, const Options& options);
ExitCode pubkey_command(const Surroundings& around, const Options& options);  // reads the private key from `in`

}  // namespace greywire::cli
