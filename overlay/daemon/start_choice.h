// Which config a site starts with: a start is of the file, unless a trial of `greywire reload --confirm` says otherwise.
//
// While a trial has time left, the file is on trial still, whatever it says by now. Once it is over what ran before is started,
// again whatever the file says; a file that was edited after that is. A file that cannot be used, that could not be gone back from
// while the site runs, or with which the daemon died, counts as not confirmed: what ran before is better than nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "overlay/config/config.h"
#include "overlay/daemon/stored_trial.h"
#include "overlay/daemon/trial_store.h"
#include "router/base/result.h"

namespace greywire::daemon {

enum class Verdict : std::uint8_t {
  kOnTrial,
  kPutBack,       // the file says what ran before: the trial is over
  kEdited,        // it was gone back from the file, which is another one by now
  kCannotGoBack,  // the file is started, since what ran before cannot be
  // What ran before is started:
  kNotConfirmed,
  kNeedsRestart,  // the file has another key that cannot change at run time
  kNotUsable,     // the file has errors
  kDied,          // the daemon ended while it began to run the file
};

// Pure. `file` and `before` are null where they cannot be loaded, not both; `left` is time_left() of the trial.
Verdict judge(const StoredTrial& trial, const config::Config* file, const config::Config* before, Duration left);

// What ran before a trial, of its text and of the key files as they are now.
struct Restored {
  config::Config config;
  std::vector<std::string> other_keys;  // files that held another key then
};
// `config_file` as the daemon was given it.
Result<Restored> restore(const StoredTrial& trial, const std::string& config_file);

// What of a trial outlives the start. All but `alerts` empty: none.
struct TrialAtStart {
  enum class Then : std::uint8_t { kKeep, kForget, kGoneBack };  // what becomes of the stored one once the site runs
  Then then = Then::kKeep;
  std::optional<StoredTrial> stored;
  std::optional<TrialStore> store;  // where it lies: not always in the state_dir of what is started
  std::shared_ptr<const config::Config> before;  // set: the file is on trial, and this is gone back to
  std::vector<std::string> alerts;
};

struct StartChoice {
  std::optional<config::Config> config;  // none: nothing can be started
  std::vector<std::string> lines;        // what is wrong, with file and line, warnings too
  std::size_t errors = 0;                // of the file
  std::optional<bool> file_says_zebra;   // as the source of routes; nothing: the file cannot be loaded
  TrialAtStart trial;
};

Clocks clocks_now();

// Blocking file reads. `root` is where sites keep their state unless told otherwise: a file that does not say which site it is,
// or says another one than when its trial began, may have a trial below it.
StartChoice choose_start(const std::string& config_file, const Clocks& now, const std::string& root);

}  // namespace greywire::daemon
