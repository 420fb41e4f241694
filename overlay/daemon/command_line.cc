#include "overlay/daemon/command_line.h"

#include <CLI/CLI.hpp>

#include "overlay/daemon/man_page.h"

namespace greywire::daemon {

std::optional<CommandLine> parse_command_line(int argc, const char* const* argv, int& exit_status) {
  CLI::App app{"greywired: a GRE/WireGuard overlay router"};
  app.set_version_flag("--version", "greywired " GREYWIRE_VERSION);
  app.footer(
      "Either runs a site in the foreground:   greywired --config /etc/greywire/site.toml\n"
      "or is a bare WireGuard device for wg:   greywired [-f] wg0\n"
      "Exit status: 0 ended as asked, 1 could not start, 2 wrong command line.");
  std::string config_file, interface;
  bool foreground = false;
  bool takeover = false;
  unsigned workers = 0;
  auto* config_option = app.add_option("-c,--config", config_file, "the site's TOML file")->type_name("FILE");
  app.add_flag("--takeover", takeover, "end the daemon that runs this site and go on with its devices")->needs(config_option);
  auto* interface_option = app.add_option("IFNAME", interface, "name of a bare WireGuard device");
  app.add_flag("-f,--foreground", foreground, "stay in the foreground (bare device)");
  app.add_option("--workers", workers, "data workers; 0 chooses by the number of cores")->type_name("NUMBER")->check(CLI::Range(0, 64));
  bool manual = false;
  app.add_flag("--man", manual, "print the manual page, for man(1)")->group("");
  config_option->excludes(interface_option);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    exit_status = app.exit(e) == 0 ? 0 : 2;
    return std::nullopt;
  }
  if (manual) {
    std::cout << man_page(app);
    exit_status = 0;
    return std::nullopt;
  }
  CommandLine line;
  line.workers = workers;
  if (!config_file.empty()) {
    line.run = RunSite{config_file, takeover};
  } else if (!interface.empty()) {
    line.run = RunDevice{interface, foreground};
  } else {
    std::cerr << "greywired: give --config FILE or the name of a device (see --help)\n";
    exit_status = 2;
    return std::nullopt;
  }
  return line;
}

}  // namespace greywire::daemon
