// What STATE_DIR/trial holds of `greywire reload --confirm`, so that a trial goes on over a restart, a crash and a reboot, and what
// was gone back from is not started by the next one. Pure: text and time come in.
//
// No key is in it: of each key file there is a fingerprint, by which one that was changed meanwhile is known.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "overlay/config/config.h"
#include "router/base/result.h"
#include "router/base/time.h"

namespace greywire::daemon {

// Now, by what survives a restart of the daemon and what survives one of the host.
struct Clocks {
  std::string boot_id;  // of this boot; empty: unknown
  TimePoint boot;
  WallTime wall;
};

struct TrialDeadline {
  std::chrono::seconds wait{};  // as asked for: 1 s to ReloadTrial::kLongest
  std::string boot_id;          // of the boot in which it was set
  std::chrono::milliseconds boot{};  // CLOCK_BOOTTIME then
  std::chrono::milliseconds wall{};  // the same moment since 1970
  friend bool operator==(const TrialDeadline&, const TrialDeadline&) = default;
};

TrialDeadline deadline_after(std::chrono::seconds wait, const Clocks& now);

struct StoredTrial {
  std::string file;                         // the config's, absolute
  std::string before;                       // its text before the trial: what is gone back to
  std::map<std::string, std::string> keys;  // of `before`: fingerprints by the absolute path of the file
  std::string tried;                        // fingerprint of the text on trial
  std::optional<TrialDeadline> until;       // absent: it was gone back already
  bool starting = false;                    // the daemon is about to run what is tried, and does not yet
  friend bool operator==(const StoredTrial&, const StoredTrial&) = default;
};

// Until it is gone back; zero: it is to be by now, or was. By the boot clock as long as the host runs, so that nobody who sets the
// time moves it; by the time of day after a reboot. Where more than `wait` would be left, that was set back and nobody knows how
// long the host was down: zero.
Duration time_left(const StoredTrial& trial, const Clocks& now);

// After a reboot: by the boot clock from now on, with what is left now.
void move_to_boot(StoredTrial& trial, const Clocks& now);

// 64 hexadecimal digits, which tell nothing of a key.
std::string fingerprint(std::string_view text);
// Of the keys that were loaded with the config, by their files, relative to `config_file`.
std::map<std::string, std::string> key_fingerprints(const config::Config& config, const std::string& config_file);

// JSON. The Error says what is wrong in a few words, without the file's name.
std::string to_text(const StoredTrial& trial);
Result<StoredTrial> parse_stored_trial(std::string_view text);

}  // namespace greywire::daemon
