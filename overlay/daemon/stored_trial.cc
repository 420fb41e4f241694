#include "overlay/daemon/stored_trial.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "overlay/config/key_files.h"
#include "overlay/daemon/reload_trial.h"
#include "router/crypto/blake2s.h"

namespace greywire::daemon {
namespace {

namespace json = boost::json;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr std::int64_t kVersion = 1;
constexpr std::string_view kLabel = "greywire trial ";  // a fingerprint is of no use elsewhere
constexpr std::int64_t kLatest = 9'000'000'000'000;     // milliseconds: nanoseconds have room beyond it

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string fingerprint_of(std::span<const std::uint8_t> bytes) { return key_to_hex(blake2s_hash(bytes_of(kLabel), bytes)); }

milliseconds since_1970(WallTime wall) {
  return std::chrono::seconds(wall.seconds) + duration_cast<milliseconds>(std::chrono::nanoseconds(wall.nanoseconds));
}

milliseconds since_boot(TimePoint at) { return duration_cast<milliseconds>(at.time_since_epoch()); }

// The members of an object, with the first that is missing or of another kind.
class Members {
 public:
  explicit Members(const json::object& object) : object_(object) {}

  std::string text(std::string_view name) {
    const auto* found = object_.if_contains(name);
    const auto* value = found == nullptr ? nullptr : found->if_string();
    if (value == nullptr || value->empty()) return complain<std::string>(name);
    return std::string(*value);
  }
  std::int64_t number(std::string_view name, std::int64_t least, std::int64_t greatest) {
    const auto* found = object_.if_contains(name);
    const auto* value = found == nullptr ? nullptr : found->if_int64();
    if (value == nullptr || *value < least || *value > greatest) return complain<std::int64_t>(name);
    return *value;
  }
  std::map<std::string, std::string> texts(std::string_view name) {
    const auto* found = object_.if_contains(name);
    const auto* values = found == nullptr ? nullptr : found->if_object();
    if (values == nullptr) return complain<std::map<std::string, std::string>>(name);
    std::map<std::string, std::string> out;
    for (const auto& [key, value] : *values) {
      if (!value.is_string()) return complain<std::map<std::string, std::string>>(name);
      out.emplace(key, value.get_string());
    }
    return out;
  }
  template <class T>
  T complain(std::string_view name) {
    if (!wrong_) wrong_ = fmt::format("it has no \"{}\", or a wrong one", name);
    return {};
  }
  const std::optional<std::string>& wrong() const { return wrong_; }

 private:
  const json::object& object_;
  std::optional<std::string> wrong_;
};

Result<TrialDeadline> deadline_from(const json::object& object) {
  Members members(object);
  TrialDeadline out;
  out.wait = std::chrono::seconds(members.number("wait_seconds", 1, ReloadTrial::kLongest.count()));
  out.boot = milliseconds(members.number("boot_milliseconds", 0, kLatest));
  out.wall = milliseconds(members.number("unix_milliseconds", -kLatest, kLatest));
  if (const auto* boot = object.if_contains("boot_id"); boot != nullptr && boot->is_string()) {
    out.boot_id = boot->get_string();
  } else {
    members.complain<std::string>("boot_id");
  }
  if (members.wrong()) return Error{*members.wrong()};
  return out;
}

}  // namespace

TrialDeadline deadline_after(std::chrono::seconds wait, const Clocks& now) {
  return {wait, now.boot_id, since_boot(now.boot) + wait, since_1970(now.wall) + wait};
}

Duration time_left(const StoredTrial& trial, const Clocks& now) {
  if (!trial.until) return Duration::zero();
  const TrialDeadline& until = *trial.until;
  const bool same_boot = !until.boot_id.empty() && until.boot_id == now.boot_id;
  const auto left = same_boot ? until.boot - since_boot(now.boot) : until.wall - since_1970(now.wall);
  return left > until.wait || left < milliseconds::zero() ? Duration::zero() : Duration(left);
}

void move_to_boot(StoredTrial& trial, const Clocks& now) {
  if (!trial.until || now.boot_id.empty() || trial.until->boot_id == now.boot_id) return;
  trial.until->boot = since_boot(now.boot + time_left(trial, now));
  trial.until->boot_id = now.boot_id;
}

std::string fingerprint(std::string_view text) { return fingerprint_of(bytes_of(text)); }

std::map<std::string, std::string> key_fingerprints(const config::Config& config, const std::string& config_file) {
  std::map<std::string, std::string> out;
  const auto add = [&](const std::string& file, std::span<const std::uint8_t> key) {
    if (!file.empty()) out.insert_or_assign(config::beside(config_file, file), fingerprint_of(key));
  };
  add(config.site.private_key_file, config.site.private_key.bytes());
  add(config.site.previous_key_file, config.site.previous_key.bytes());
  for (const auto& peer : config.peers) add(peer.preshared_key_file, peer.preshared_key.bytes());
  return out;
}

std::string to_text(const StoredTrial& trial) {
  json::object out{{"version", kVersion}, {"file", trial.file}, {"until", nullptr}, {"tried", trial.tried}};
  if (trial.until) {
    out["until"] = {{"wait_seconds", trial.until->wait.count()},
                    {"unix_milliseconds", trial.until->wall.count()},
                    {"boot_milliseconds", trial.until->boot.count()},
                    {"boot_id", trial.until->boot_id}};
  }
  if (trial.starting) out["starting"] = true;
  json::object keys;
  for (const auto& [path, print] : trial.keys) keys[path] = print;
  out["keys"] = std::move(keys);
  out["before"] = trial.before;
  return json::serialize(out) + "\n";
}

Result<StoredTrial> parse_stored_trial(std::string_view text) {
  json::error_code wrong;
  json::parse_options options;
  options.allow_invalid_utf8 = true;  // the path of a file may be anything
  const auto value = json::parse(text, wrong, {}, options);
  if (wrong || !value.is_object()) return Error{"it is no JSON object"};
  const json::object& object = value.get_object();
  Members members(object);
  const auto version = members.number("version", 1, kLatest);
  if (!members.wrong() && version != kVersion) {
    return Error{fmt::format("it is of version {}, and this greywired knows {}", version, kVersion)};
  }
  StoredTrial out;
  out.file = members.text("file");
  out.before = members.text("before");
  out.tried = members.text("tried");
  out.keys = members.texts("keys");
  if (const auto* starting = object.if_contains("starting"); starting != nullptr) {
    if (!starting->is_bool()) members.complain<int>("starting");
    out.starting = starting->is_bool() && starting->get_bool();
  }
  const auto* until = object.if_contains("until");
  if (until == nullptr || !(until->is_null() || until->is_object())) {
    members.complain<int>("until");
  } else if (until->is_object()) {
    auto deadline = deadline_from(until->get_object());
    if (!deadline) return deadline.error();
    out.until = std::move(*deadline);
  }
  if (members.wrong()) return Error{*members.wrong()};
  return out;
}

}  // namespace greywire::daemon
