#include "overlay/daemon/trial_store.h"

#include <fmt/format.h>

#include <filesystem>

#include "overlay/config/load.h"
#include "overlay/files/read_file.h"
#include "overlay/files/replace_file.h"

namespace greywire::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestTrial = 3 * config::kLargestFile;  // JSON makes two characters of a quote or a line end

std::string absolute(const std::string& path) {
  std::error_code wrong;
  const auto out = fs::absolute(path, wrong);
  return wrong ? path : out.lexically_normal().string();
}

// Without its keys.
bool lies_in_its_folder(const StoredTrial& trial, const fs::path& folder) {
  std::error_code wrong;
  return fs::equivalent(config::parse(trial.before, trial.file).state_dir, folder, wrong) && !wrong;
}

}  // namespace

StoredTrial trial_of(const config::Config& before, const std::string& config_file, std::string_view tried) {
  const auto file = absolute(config_file);
  return {file, before.text, key_fingerprints(before, file), fingerprint(tried), {}};
}

Result<std::optional<StoredTrial>> TrialStore::read() const {
  const auto text = files::read_state(path_, kLargestTrial);
  if (!text) return text.error();
  if (!*text) return std::optional<StoredTrial>();
  auto trial = parse_stored_trial(**text);
  if (!trial) return Error{fmt::format("cannot use {}: {}", path_, trial.error().text)};
  return std::optional<StoredTrial>(std::move(*trial));
}

Result<void> TrialStore::write(const StoredTrial& trial) const {
  return files::replace_state(path_, to_text(trial), files::OnDisk::kNow);
}

Result<void> TrialStore::remove() const { return files::remove_state(path_); }

std::optional<FoundTrial> find_trial_of(const std::string& config_file, const std::string& root) {
  std::error_code wrong;
  for (fs::directory_iterator at(root, wrong), end; !wrong && at != end; at.increment(wrong)) {
    TrialStore store(at->path().string());
    auto trial = store.read();
    if (!trial || !*trial || !is_of_file(**trial, config_file) || !lies_in_its_folder(**trial, at->path())) continue;
    return FoundTrial{std::move(store), std::move(**trial)};
  }
  return std::nullopt;
}

bool is_of_file(const StoredTrial& trial, const std::string& config_file) { return trial.file == absolute(config_file); }

bool is_of_another(const StoredTrial& trial, const std::string& config_file, const std::string& site) {
  if (is_of_file(trial, config_file)) return false;
  std::error_code wrong;
  if (fs::exists(trial.file, wrong)) return true;
  const auto before = config::parse(trial.before, trial.file);  // the file was renamed: the same site is the same trial
  return !site.empty() && before.config && before.config->site.name != site;
}

}  // namespace greywire::daemon
