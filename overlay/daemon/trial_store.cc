#include "overlay/daemon/trial_store.h"

#include <fmt/format.h>

#include <filesystem>

#include "overlay/config/load.h"
#include "overlay/files/read_file.h"
#include "overlay/files/replace_file.h"
#include "router/engine/boot_clock.h"

namespace greywire::daemon {
namespace {

namespace fs = std::filesystem;

constexpr char kBootId[] = "/proc/sys/kernel/random/boot_id";
constexpr std::size_t kLargestTrial = 3 * config::kLargestFile;  // JSON makes two characters of a quote or a line end

std::string absolute(const std::string& path) {
  std::error_code wrong;
  const auto out = fs::absolute(path, wrong);
  return wrong ? path : out.lexically_normal().string();
}

}  // namespace

Clocks clocks_now() {
  auto id = files::read_file(kBootId, 4096);
  std::string boot_id = id ? std::move(*id) : std::string();
  while (!boot_id.empty() && boot_id.back() == '\n') boot_id.pop_back();
  return {std::move(boot_id), engine::boot_now(), engine::wall_now()};
}

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

std::optional<TrialStore> find_trial_of(const std::string& config_file, const std::string& root) {
  std::error_code wrong;
  for (fs::directory_iterator at(root, wrong), end; !wrong && at != end; at.increment(wrong)) {
    TrialStore store(at->path().string());
    const auto trial = store.read();
    if (trial && *trial && (*trial)->file == absolute(config_file)) return store;
  }
  return std::nullopt;
}

Result<Restored> restore(const StoredTrial& trial, const std::string& config_file) {
  auto loaded = config::load_text(trial.before, absolute(config_file) == trial.file ? config_file : trial.file);
  if (!loaded.config) return Error{loaded.diagnostics.first_error()};
  Restored out{std::move(*loaded.config), {}};
  for (const auto& [path, print] : key_fingerprints(out.config, trial.file)) {
    const auto then = trial.keys.find(path);
    if (then != trial.keys.end() && then->second != print) out.other_keys.push_back(path);
  }
  return out;
}

}  // namespace greywire::daemon
