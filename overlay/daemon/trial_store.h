// STATE_DIR/trial on the disk. Control thread: a write takes as long as the disk needs.
#pragma once

#include <optional>
#include <string>

#include "overlay/config/config.h"
#include "overlay/daemon/stored_trial.h"
#include "router/base/result.h"

namespace greywire::daemon {

// Of the config that ran before and the text that is tried; `config_file` as the daemon was given it.
StoredTrial trial_of(const config::Config& before, const std::string& config_file, std::string_view tried);

class TrialStore {
 public:
  explicit TrialStore(const std::string& folder) : path_(folder + "/trial") {}

  const std::string& path() const { return path_; }
  // Nothing where there is none. An Error names the file and what is wrong with it.
  Result<std::optional<StoredTrial>> read() const;
  // On the disk when this returns.
  Result<void> write(const StoredTrial& trial) const;
  Result<void> remove() const;

 private:
  std::string path_;
};

struct FoundTrial {
  TrialStore store;
  StoredTrial trial;
};
// The trial below `root` that is of this config file, for where the file does not say (any more) which site it is. It lies in the
// state_dir of what ran before: what another site's daemon put into its own folder is none.
std::optional<FoundTrial> find_trial_of(const std::string& config_file, const std::string& root);

bool is_of_file(const StoredTrial& trial, const std::string& config_file);
// A trial of another config file that has the same state_dir. `site`: the name that this config file says; empty: unknown.
bool is_of_another(const StoredTrial& trial, const std::string& config_file, const std::string& site);

}  // namespace greywire::daemon
