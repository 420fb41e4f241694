// STATE_DIR/trial on the disk, and the config that it goes back to. Control thread: a write takes as long as the disk needs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "overlay/config/config.h"
#include "overlay/daemon/stored_trial.h"
#include "router/base/result.h"

namespace greywire::daemon {

Clocks clocks_now();

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

// The store below `root` that is of this config file, for where the file does not say which site it is.
std::optional<TrialStore> find_trial_of(const std::string& config_file, const std::string& root);

// What ran before a trial, of its text and of the key files as they are now.
struct Restored {
  config::Config config;
  std::vector<std::string> other_keys;  // files that held another key then
};
// `config_file` as the daemon was given it.
Result<Restored> restore(const StoredTrial& trial, const std::string& config_file);

}  // namespace greywire::daemon
