#include "overlay/daemon/start_choice.h"

#include <fmt/format.h>

#include "overlay/config/config_diff.h"
#include "overlay/config/load.h"
#include "overlay/daemon/trial_store.h"

namespace greywire::daemon {
namespace {

using Then = TrialAtStart::Then;

bool starts_before(Verdict verdict) { return verdict >= Verdict::kNotConfirmed; }

Then then_of(Verdict verdict) {
  if (starts_before(verdict)) return Then::kGoneBack;
  return verdict == Verdict::kEdited || verdict == Verdict::kPutBack ? Then::kForget : Then::kKeep;
}

// What the file says in so many words that it needs a restart.
std::string keys_text(const config::ConfigDiff& diff) {
  std::string out;
  for (const auto& change : diff.needs_restart) out += fmt::format("{}{}", out.empty() ? "" : ", ", change.key);
  return out;
}

// Empty: nothing to tell. `problem` is why the file, or what ran before, cannot be loaded.
std::string alert_text(Verdict verdict, const std::string& file, const std::string& problem) {
  switch (verdict) {
    case Verdict::kOnTrial:
    case Verdict::kPutBack:
    case Verdict::kEdited: return {};
    case Verdict::kCannotGoBack:
      return fmt::format("{} was not confirmed, but what ran before cannot be loaded ({}), so the file stays: put that right and "
                         "restart to go back, or `greywire reload` to keep the file", file, problem);
    case Verdict::kNotConfirmed:
      return fmt::format("{} was tried and not confirmed, so what ran before runs: `greywire diff` says how they differ, "
                         "`greywire reload` takes the file", file);
    case Verdict::kNeedsRestart:
      return fmt::format("since the trial began, {} has another {}, from which nobody could go back in time, so what ran before runs "
                         "and the trial is over: a further restart takes the file", file, problem);
    case Verdict::kNotUsable:
      return fmt::format("{} cannot be used ({}), so what ran before the trial runs", file, problem);
  }
  return {};
}

// The trial that this start has to do with. An Error: there is one, and it cannot be used.
Result<std::optional<StoredTrial>> trial_of_start(const config::Loaded& loaded, const std::string& config_file,
                                                  const std::string& root) {
  if (!loaded.state_dir.empty()) {
    auto stored = TrialStore(loaded.state_dir).read();
    if (!stored || *stored || loaded.config) return stored;
  }
  if (const auto store = find_trial_of(config_file, root)) return store->read();
  return std::optional<StoredTrial>();
}

void choose(StartChoice& out, const config::Loaded& loaded, const StoredTrial& stored, const std::string& config_file, Duration left) {
  auto restored = restore(stored, config_file);
  if (!loaded.config && !restored) {
    out.lines.push_back(fmt::format("what ran before the trial cannot be started either: {}", restored.error().text));
    return;
  }
  const config::Config* before = restored ? &restored->config : nullptr;
  const config::Config* file = loaded.config ? &*loaded.config : nullptr;
  const Verdict verdict = judge(stored, file, before, left);
  std::string problem = !restored ? restored.error().text : loaded.diagnostics.first_error();
  if (verdict == Verdict::kNeedsRestart) problem = keys_text(config::diff(*file, *before));
  if (auto alert = alert_text(verdict, config_file, problem); !alert.empty()) out.trial.alerts.push_back(std::move(alert));
  if (restored && verdict != Verdict::kEdited) {
    for (const auto& path : restored->other_keys) {
      out.trial.alerts.push_back(fmt::format("{} holds another key than before the trial of {}: going back keeps it", path, config_file));
    }
  }
  out.trial.stored = stored;
  out.trial.then = then_of(verdict);
  if (starts_before(verdict)) out.config = std::move(restored->config);
  if (verdict == Verdict::kOnTrial) out.trial.before = std::make_shared<const config::Config>(std::move(restored->config));
}

}  // namespace

Verdict judge(const StoredTrial& trial, const config::Config* file, const config::Config* before, Duration left) {
  if (file == nullptr) return Verdict::kNotUsable;
  const bool over = left <= Duration::zero();
  if (over && fingerprint(file->text) != trial.tried) return Verdict::kEdited;
  if (before == nullptr) return Verdict::kCannotGoBack;
  const auto back = config::diff(*file, *before);
  if (back.empty()) return Verdict::kPutBack;
  if (over) return Verdict::kNotConfirmed;
  return back.needs_restart.empty() ? Verdict::kOnTrial : Verdict::kNeedsRestart;
}

StartChoice choose_start(const std::string& config_file, const Clocks& now, const std::string& root) {
  StartChoice out;
  auto loaded = config::load(config_file);
  out.lines = loaded.diagnostics.lines();
  out.errors = loaded.diagnostics.error_count();
  const auto stored = trial_of_start(loaded, config_file, root);
  if (!stored) {
    out.trial.alerts.push_back(fmt::format("{}: whatever was on trial, {} is started as it is", stored.error().text, config_file));
    if (!loaded.config) out.lines.push_back(stored.error().text);
  } else if (*stored) {
    choose(out, loaded, **stored, config_file, time_left(**stored, now));
  }
  if (!out.config && loaded.config) out.config = std::move(*loaded.config);
  return out;
}

}  // namespace greywire::daemon
