#include "overlay/daemon/site.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <string>
#include <vector>

#include "overlay/config/load.h"
#include "overlay/daemon/log_level.h"
#include "overlay/daemon/privileges.h"
#include "overlay/daemon/running_site.h"
#include "overlay/daemon/service_manager.h"

namespace greywire::daemon {
namespace {

// Gives up what is not needed at once, and tells of it when the site runs: a failed start is one line.
class FewerRights {
 public:
  FewerRights(const std::string& config_file, const config::Config& config)
      : rights_(rights_for(config)), kept_(keep_only(rights_)), out_of_reach_(out_of_reach(config_file, config)) {}

  void tell() const {
    spdlog::info("capabilities: {}", rights_text(rights_));
    for (const std::string& line : kept_) spdlog::info("not given up: {}", line);
    for (const std::string& line : out_of_reach_) spdlog::warn("{}", line);
  }

 private:
  const Rights rights_;
  const std::vector<std::string> kept_, out_of_reach_;
};

}  // namespace

Result<void> run_site(const RunSite& what, unsigned workers) {
  const std::string& config_file = what.config_file;
  auto held = take_listen_fds();
  auto loaded = config::load(config_file);
  const auto lines = loaded.diagnostics.lines();
  if (!loaded.config && lines.size() == 1) return Error{lines.front()};
  for (const std::string& line : lines) std::fprintf(stderr, "%s\n", line.c_str());
  if (!loaded.config) {
    const auto errors = loaded.diagnostics.error_count();
    return Error{config_file + " has " + std::to_string(errors) + (errors == 1 ? " error" : " errors") +
                 "; nothing was started"};
  }
  auto log = spdlog::stderr_color_mt(loaded.config->site.name);
  log->set_level(level_of(loaded.config->site.log_level));
  log->set_pattern("%Y-%m-%d %H:%M:%S.%e %n %l: %v");
  spdlog::set_default_logger(log);
  const FewerRights fewer(config_file, *loaded.config);

  RunningSite site(std::move(*loaded.config), {config_file, workers, what.takeover, std::move(held)});
  if (auto started = site.start(); !started) return started;
  fewer.tell();
  site.run();
  return {};
}

}  // namespace greywire::daemon
