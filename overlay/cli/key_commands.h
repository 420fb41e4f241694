// genkey, pubkey and genpsk, in the text form that `wg` has: 44 characters of base64 and a newline.
#pragma once

#include "overlay/cli/command_line.h"

namespace greywire::cli {

ExitCode genkey_command(const Surroundings& around);
ExitCode genpsk_command(const Surroundings& around);
ExitCode pubkey_command(const Surroundings& around);  // reads the private key from `in`

}  // namespace greywire::cli
