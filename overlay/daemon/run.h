// The program greywired: command line, process, exit status.
#pragma once

namespace greywire::daemon {

int run(int argc, const char* const* argv);

}  // namespace greywire::daemon
