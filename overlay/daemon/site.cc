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

namespace greywire::daemon {
namespace {

// Gives up what is not needed at once, and tells of it when the site runs: a failed start is one line.
class FewerRights {
 public:
  FewerRights(const std::string& config_file, const StartChoice& start)
      : rights_(rights_at_start(*start.config, start.trial.before.get(), start.file_says_zebra)),
        kept_(keep_only(rights_)),
        out_of_reach_(out_of_reach(config_file, *start.config)) {}

  void tell() const {
    spdlog::info("capabilities: {}", rights_text(rights_));
    for (const std::string& line : kept_) spdlog::info("not given up: {}", line);
    for (const std::string& line : out_of_reach_) spdlog::warn("{}", line);
  }

 private:
  const Rights rights_;
  const std::vector<std::string> kept_, out_of_reach_;
};

// Of a start that failed: a file on trial, which the next start does not take, or what ran before, which no start would get beyond
// unless the file that was gone back from can be edited.
class TrialOfStart {
 public:
  TrialOfStart(const std::string& config_file, const config::Config& config, const TrialAtStart& trial)
      : config_file_(config_file), control_socket_(config.site.control_socket), tried_(fingerprint(config.text)),
        on_trial_(trial.before != nullptr), trial_(trial) {
    trial_.before.reset();  // its keys are not to be kept here as well
  }

  // Writes it down, and says in the error what comes next. Nothing of it where a daemon runs this site already, whose trial it is.
  Error note_failure(Error error) const {
    if (is_answered(control_socket_)) return error;
    const bool noted = note_gone_back();
    if (noted && on_trial_) error.text += "; the file was on trial, and the next start takes what ran before";
    for (const auto& alert : trial_.alerts) error.text += "; " + alert;
    if (noted && !on_trial_) error.text += "; any edit of " + config_file_ + " starts the file";
    return error;
  }

 private:
  bool note_gone_back() const {
    if (!on_trial_ && trial_.then != TrialAtStart::Then::kGoneBack) return false;
    const auto now = trial_.store->read();
    const auto& then = *trial_.stored;
    // A daemon that handed over may have confirmed it, or begun another, since it was read.
    if (!now || !*now || (*now)->before != then.before || (*now)->until.has_value() != then.until.has_value()) return false;
    StoredTrial gone_back = then;
    gone_back.until.reset();
    gone_back.starting = false;
    if (on_trial_) gone_back.tried = tried_;
    return gone_back == **now || trial_.store->write(gone_back).has_value();
  }

  const std::string config_file_, control_socket_, tried_;
  const bool on_trial_;
  TrialAtStart trial_;
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
  const FewerRights fewer(config_file, start);

  const TrialOfStart trial(config_file, *start.config, start.trial);
  RunningSite site(std::move(*start.config), {config_file, workers, what.takeover, std::move(held), std::move(start.trial)});
  if (auto started = site.start(); !started) return trial.note_failure(started.error());
  fewer.tell();
  return site.run();
}

}  // namespace greywire::daemon
