#include "overlay/daemon/site.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <string>
#include <vector>

#include "overlay/daemon/log_level.h"
#include "overlay/daemon/privileges.h"
#include "overlay/daemon/running_site.h"
#include "overlay/daemon/service_manager.h"
#include "overlay/daemon/start_choice.h"
#include "overlay/daemon/takeover.h"
#include "overlay/daemon/trial_store.h"

namespace greywire::daemon {
namespace {

// Gives up what is not needed at once, and tells of it when the site runs: a failed start is one line.
class FewerRights {
 public:
  // `before`: what may be gone back to; null: nothing.
  FewerRights(const std::string& config_file, const config::Config& config, const config::Config* before)
      : rights_(before == nullptr ? rights_for(config) : either(rights_for(config), rights_for(*before))),
        kept_(keep_only(rights_)),
        out_of_reach_(out_of_reach(config_file, config)) {}

  void tell() const {
    spdlog::info("capabilities: {}", rights_text(rights_));
    for (const std::string& line : kept_) spdlog::info("not given up: {}", line);
    for (const std::string& line : out_of_reach_) spdlog::warn("{}", line);
  }

 private:
  const Rights rights_;
  const std::vector<std::string> kept_, out_of_reach_;
};

// A file on trial with which the site does not start: the next start takes what ran before. Not where a daemon runs this site
// already, whose trial it is.
class FailedTrial {
 public:
  FailedTrial(const config::Config& config, const TrialAtStart& trial)
      : store_(config.site.state_dir), control_socket_(config.site.control_socket), tried_(fingerprint(config.text)),
        stored_(trial.before ? trial.stored : std::nullopt) {}

  Error with(Error error) const {
    if (!stored_ || is_answered(control_socket_)) return error;
    StoredTrial gone_back = *stored_;
    gone_back.until = std::nullopt;
    gone_back.tried = tried_;
    if (const auto kept = store_.write(gone_back); !kept) return error;
    error.text += "; the file was on trial, and the next start takes what ran before";
    return error;
  }

 private:
  const TrialStore store_;
  const std::string control_socket_, tried_;
  const std::optional<StoredTrial> stored_;
};

}  // namespace

Result<void> run_site(const RunSite& what, unsigned workers) {
  const std::string& config_file = what.config_file;
  auto held = take_listen_fds();
  StartChoice start = choose_start(config_file, clocks_now(), kStateFolder);
  // Where a daemon runs, a file with an error takes nothing over, on trial or not.
  if (what.takeover && start.config && start.errors != 0 && is_answered(start.config->site.control_socket)) start.config.reset();
  if (!start.config && start.lines.size() == 1) return Error{start.lines.front(), kUnusableConfig};
  for (const std::string& line : start.lines) std::fprintf(stderr, "%s\n", line.c_str());
  if (!start.config) {
    return Error{config_file + " has " + std::to_string(start.errors) + (start.errors == 1 ? " error" : " errors") +
                 "; nothing was started",
                 kUnusableConfig};
  }
  auto log = spdlog::stderr_color_mt(start.config->site.name);
  log->set_level(level_of(start.config->site.log_level));
  log->set_pattern("%Y-%m-%d %H:%M:%S.%e %n %l: %v");
  spdlog::set_default_logger(log);
  const FewerRights fewer(config_file, *start.config, start.trial.before.get());

  const FailedTrial failed(*start.config, start.trial);
  RunningSite site(std::move(*start.config), {config_file, workers, what.takeover, std::move(held), std::move(start.trial)});
  if (auto started = site.start(); !started) return failed.with(started.error());
  fewer.tell();
  return site.run();
}

}  // namespace greywire::daemon
