// The command line of greywired, parsed once into types.
#pragma once

#include <optional>
#include <string>
#include <variant>

namespace greywire::daemon {

// A site from a config file, in the foreground.
struct RunSite {
  std::string config_file;
  bool takeover = false;  // of a daemon that runs this site
};

// A bare WireGuard device, as wireguard-go is one.
struct RunDevice {
  std::string interface;
  bool foreground = false;
};

struct CommandLine {
  std::variant<RunSite, RunDevice> run;
  unsigned workers = 0;  // 0: chosen by the number of cores
};

// Without a value: `exit_status` says how to end, what there is to say was printed.
std::optional<CommandLine> parse_command_line(int argc, const char* const* argv, int& exit_status);

}  // namespace greywire::daemon
