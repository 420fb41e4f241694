#include "overlay/daemon/start_choice.h"

#include <fmt/format.h>

#include "overlay/config/config_diff.h"
#include "overlay/config/load.h"
#include "overlay/files/read_file.h"
#include "router/engine/boot_clock.h"

namespace greywire::daemon {
namespace {

using Then = TrialAtStart::Then;

constexpr char kBootId[] = "/proc/sys/kernel/random/boot_id";

// The file is not what was tried.
bool was_edited(const StoredTrial& trial, const config::Config& file) { return fingerprint(file.text) != trial.tried; }

bool starts_before(Verdict verdict) { return verdict >= Verdict::kNotConfirmed; }

Then then_of(Verdict verdict) {
  if (starts_before(verdict)) return Then::kGoneBack;
  return verdict == Verdict::kEdited || verdict == Verdict::kPutBack ? Then::kForget : Then::kKeep;
}

bool says_zebra(const config::Config& config) {
  return config.routing && config.routing->source == config::RouteSourceKind::kZebra;
}

// What the file says in so many words that it needs a restart.
std::string keys_text(const config::ConfigDiff& diff) {
  std::string out;
  for (const auto& change : diff.needs_restart) out += fmt::format("{}{}", out.empty() ? "" : ", ", change.key);
  return out;
}

// Empty: nothing to tell. `problem` is why the file, or what ran before, cannot be loaded; `edited`: the file is not what was tried.
std::string alert_text(Verdict verdict, const std::string& file, const std::string& problem, bool edited) {
  switch (verdict) {
    case Verdict::kOnTrial:
    case Verdict::kPutBack:
    case Verdict::kEdited: return {};
    case Verdict::kCannotGoBack:
      return fmt::format("{} was not confirmed, but what ran before cannot be loaded ({}), so the file stays: put that right and "
                         "restart to go back, or `greywire reload` to keep the file", file, problem);
    case Verdict::kNotConfirmed:
      return fmt::format("{} was tried and not confirmed, so what ran before runs: `greywire diff` says how they differ, "
                         "`greywire reload` takes the file, as does a restart once it was edited", file);
    case Verdict::kNeedsRestart:
      return fmt::format("since the trial began, {} has another {}, from which nobody could go back in time, so what ran before runs "
                         "and the trial is over: a further restart takes the file{}", file, problem, edited ? "" : " once it was edited");
    case Verdict::kDied:
      return fmt::format("greywired ended while it began to run {}, which was on trial, so what ran before runs: `greywire reload` takes "
                         "the file, as does a restart once it was edited", file);
    case Verdict::kNotUsable:
      return fmt::format("{} cannot be used ({}), so what ran before the trial runs", file, problem);
  }
  return {};
}

// The trial that this start has to do with. An Error: there is one, and it cannot be used.
Result<std::optional<FoundTrial>> trial_of_start(const config::Loaded& loaded, const std::string& config_file, const std::string& root,
                                                 std::vector<std::string>& alerts) {
  if (!loaded.state_dir.empty()) {
    TrialStore own(loaded.state_dir);
    auto stored = own.read();
    if (!stored) return stored.error();
    const auto site = loaded.config ? loaded.config->site.name : std::string();
    if (*stored && !is_of_another(**stored, config_file, site)) return std::optional(FoundTrial{std::move(own), std::move(**stored)});
    if (*stored) {
      alerts.push_back(fmt::format("{} is of a trial of {}, which stays as it is: {} should have a state_dir of its own", own.path(),
                                   (*stored)->file, config_file));
    }
  }
  return find_trial_of(config_file, root);
}

// Key files that do not hold any more what ran.
std::vector<std::string> key_alerts(Verdict verdict, const std::vector<std::string>& files, const std::string& config_file) {
  std::vector<std::string> out;
  if (verdict == Verdict::kEdited) return out;
  for (const auto& path : files) {
    out.push_back(fmt::format("{} holds another key than before the trial of {}: {}", path, config_file,
                              verdict == Verdict::kPutBack ? "nothing else differs, and that key is gone, so the trial is over"
                                                           : "going back keeps it"));
  }
  return out;
}

void choose(StartChoice& out, const config::Loaded& loaded, FoundTrial found, const std::string& config_file, const Clocks& now) {
  StoredTrial& stored = found.trial;
  auto restored = restore(stored, config_file);
  if (!loaded.config && !restored) {
    out.lines.push_back(fmt::format("what ran before the trial cannot be started either: {}", restored.error().text));
    return;
  }
  const config::Config* before = restored ? &restored->config : nullptr;
  const config::Config* file = loaded.config ? &*loaded.config : nullptr;
  const Verdict verdict = judge(stored, file, before, time_left(stored, now));
  std::string problem = !restored ? restored.error().text : loaded.diagnostics.first_error();
  if (verdict == Verdict::kNeedsRestart) problem = keys_text(config::diff(*file, *before));
  const bool edited = file == nullptr || was_edited(stored, *file);
  if (auto alert = alert_text(verdict, config_file, problem, edited); !alert.empty()) out.trial.alerts.push_back(std::move(alert));
  if (restored) {
    for (auto& alert : key_alerts(verdict, restored->other_keys, config_file)) out.trial.alerts.push_back(std::move(alert));
  }
  // Whatever was written while it was on trial is part of what was not confirmed.
  if (verdict == Verdict::kNotConfirmed) stored.tried = fingerprint(file->text);
  out.trial.stored = std::move(stored);
  out.trial.store = std::move(found.store);
  out.trial.then = then_of(verdict);
  if (starts_before(verdict)) out.config = std::move(restored->config);
  if (verdict == Verdict::kOnTrial) out.trial.before = std::make_shared<const config::Config>(std::move(restored->config));
}

}  // namespace

Clocks clocks_now() {
  auto id = files::read_file(kBootId, 4096);
  std::string boot_id = id ? std::move(*id) : std::string();
  while (!boot_id.empty() && boot_id.back() == '\n') boot_id.pop_back();
  return {std::move(boot_id), engine::boot_now(), engine::wall_now()};
}

Result<Restored> restore(const StoredTrial& trial, const std::string& config_file) {
  auto loaded = config::load_text(trial.before, is_of_file(trial, config_file) ? config_file : trial.file);
  if (!loaded.config) return Error{loaded.diagnostics.first_error()};
  Restored out{std::move(*loaded.config), {}};
  for (const auto& [path, print] : key_fingerprints(out.config, trial.file)) {
    const auto then = trial.keys.find(path);
    if (then != trial.keys.end() && then->second != print) out.other_keys.push_back(path);
  }
  return out;
}

Verdict judge(const StoredTrial& trial, const config::Config* file, const config::Config* before, Duration left) {
  if (file == nullptr) return Verdict::kNotUsable;
  const bool edited = was_edited(trial, *file);
  if (!trial.until && edited) return Verdict::kEdited;
  if (before == nullptr) return Verdict::kCannotGoBack;
  const auto back = config::diff(*file, *before);
  if (back.empty()) return Verdict::kPutBack;
  if (left <= Duration::zero()) return Verdict::kNotConfirmed;
  if (!back.needs_restart.empty()) return Verdict::kNeedsRestart;
  return trial.starting && !edited ? Verdict::kDied : Verdict::kOnTrial;
}

StartChoice choose_start(const std::string& config_file, const Clocks& now, const std::string& root) {
  StartChoice out;
  auto loaded = config::load(config_file);
  out.lines = loaded.diagnostics.lines();
  out.errors = loaded.diagnostics.error_count();
  if (loaded.config) out.file_says_zebra = says_zebra(*loaded.config);
  auto found = trial_of_start(loaded, config_file, root, out.trial.alerts);
  if (!found) {
    out.trial.alerts.push_back(fmt::format("{}: whatever was on trial, {} is started as it is", found.error().text, config_file));
    if (!loaded.config) out.lines.push_back(found.error().text);
  } else if (*found) {
    choose(out, loaded, std::move(**found), config_file, now);
  }
  if (!out.config && loaded.config) out.config = std::move(*loaded.config);
  if (out.config && says_zebra(*out.config) && out.file_says_zebra == false) {
    out.trial.alerts.push_back(fmt::format("{} has no source = \"zebra\", so what ran before does not get the right to zebra's socket",
                                           config_file));
  }
  return out;
}

}  // namespace greywire::daemon
