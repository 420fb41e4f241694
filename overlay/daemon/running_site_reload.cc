// `greywire reload`: from what runs to what the file says now, on trial or not; `greywire confirm` and `greywire rollback`.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "overlay/config/load.h"
#include "overlay/control/site_status_json.h"
#include "overlay/daemon/log_level.h"
#include "overlay/daemon/running_site.h"
#include "overlay/daemon/takeover.h"
#include "router/engine/boot_clock.h"

namespace greywire::daemon {
namespace {

std::string at(const std::string& file, config::SourcePosition where) {
  return where.line == 0 ? file : fmt::format("{}:{}:{}", file, where.line, where.column);
}

// Nobody began, confirmed or went back in between.
bool same_trial(const std::optional<StoredTrial>& one, const std::optional<StoredTrial>& other) {
  if (!one || !other) return one.has_value() == other.has_value();
  return one->file == other->file && one->before == other->before && one->until == other->until;
}

}  // namespace

void RunningSite::add_reload_commands() {
  using boost::json::value;
  using Request = boost::json::object;
  const auto as_json = [](const Result<control::ReloadReport>& report) -> Result<value> {
    if (!report) return report.error();
    return control::to_json(*report);
  };
  control_.add_command("reload", [this](const Request& request) -> Result<value> {
    const auto* wanted = request.if_contains("confirm");
    if (wanted == nullptr) return control::to_json(reload());
    boost::system::error_code wrong;
    const auto wait = wanted->to_number<std::uint32_t>(wrong);
    if (wrong || wait == 0 || wait > ReloadTrial::kLongest.count()) {
      return Error{fmt::format("\"confirm\" is a number of seconds from 1 to {}", ReloadTrial::kLongest.count())};
    }
    return control::to_json(reload(std::chrono::seconds(wait)));
  });
  control_.add_command("confirm", [this, as_json](const Request&) -> Result<value> { return as_json(confirm()); });
  control_.add_command("rollback", [this, as_json](const Request&) -> Result<value> { return as_json(go_back("asked to")); });
}

control::ReloadReport RunningSite::reload(std::optional<std::chrono::seconds> trial) {
  control::ReloadReport report;
  tell("RELOADING=1");
  if (trial_.waiting() && !trial) {
    report.errors.push_back(fmt::format("a reload waits for confirmation, {} s left: `greywire confirm` keeps it, `greywire rollback` goes "
                                        "back, `greywire reload --confirm SECONDS` tries the file in its place",
                                        trial_.left(engine::boot_now())->count()));
  } else {
    auto loaded = config::load(options_.config_file);
    (loaded.config ? report.warnings : report.errors) = loaded.diagnostics.lines();
    if (loaded.config) {
      auto fresh = std::make_shared<const config::Config>(std::move(*loaded.config));
      const config::ConfigDiff diff = config::diff(*config_, *fresh);
      for (const auto& change : diff.needs_restart) {
        report.errors.push_back(fmt::format("{}: {} changed: that needs {}a restart", at(options_.config_file, change.at), change.key,
                                            change.key.starts_with("'private_key_file'") ? "`previous_key_file`, for the key before, or " : ""));
      }
      if (report.errors.empty()) take(diff, std::move(fresh), trial, report);
    }
  }
  tell_reload(report);
  tell("READY=1");
  if (!report.done) spdlog::error("reload: nothing was changed");
  if (report.done && report.changes.empty()) spdlog::info("reload: {} says what runs already", options_.config_file);
  return report;
}

void RunningSite::take(const config::ConfigDiff& diff, std::shared_ptr<const config::Config> fresh,
                       std::optional<std::chrono::seconds> trial, control::ReloadReport& report) {
  // The file was put back by hand: there is nothing to go back to any more.
  const bool put_back = trial_.waiting() && config::diff(*trial_.before(), *fresh).empty();
  if (trial && !put_back && (trial_.waiting() || !diff.empty())) {
    if (auto begun = begin_trial(*fresh, *trial, report); !begun) {
      report.errors.push_back(begun.error().text);
      return;
    }
  }
  if (put_back || !trial) {
    if (auto dropped = drop_trial(); !dropped) {
      report.errors.push_back(dropped.error().text + ": a restart would go back from the file, so nothing was changed: put that right and "
                              "reload again");
      return;
    }
    trial_.end();
  }
  report.done = true;
  report.changes = diff.lines();
  apply(diff, std::move(fresh), report);
  settle_trial();
  watch_trial();
  report.confirm_within = trial_.left(engine::boot_now());
}

void RunningSite::tell_reload(const control::ReloadReport& report) {
  for (const std::string& line : report.errors) spdlog::error("reload: {}", line);
  for (const std::string& line : report.changes) spdlog::info("reload: {}", line);
  boost::json::object told{{"done", report.done}};
  for (const auto& [name, lines] : {std::pair{"changes", &report.changes}, {"errors", &report.errors}}) {
    told[name] = boost::json::array(lines->begin(), lines->end());
  }
  event("reload", std::move(told));
}

Result<control::ReloadReport> RunningSite::confirm() {
  if (!trial_.waiting()) return Error{"no reload waits for confirmation: begin with `greywire reload --confirm SECONDS`"};
  if (auto gone = trial_store_.remove(); !gone) {
    return Error{fmt::format("{}: not confirmed, since a restart would go back: put that right and confirm again, {} s are left",
                             gone.error().text, trial_.left(engine::boot_now())->count())};
  }
  trial_.end();
  watch_trial();
  spdlog::info("reload: confirmed");
  event("confirm", {{"confirmed", true}, {"why", ""}});
  control::ReloadReport report;
  report.done = true;
  return report;
}

Result<control::ReloadReport> RunningSite::go_back(std::string_view why) {
  auto before = trial_.end();
  if (!before) return Error{"no reload waits for confirmation, so there is nothing to go back from"};
  watch_trial();
  const auto file = config::read_file(options_.config_file);  // nor is what nobody loaded started, once it is written
  keep_gone_back(trial_of(*before, options_.config_file, file ? *file : config_->text), trial_store_);
  control::ReloadReport report;
  const config::ConfigDiff diff = config::diff(*config_, *before);
  report.done = true;
  report.changes = diff.lines();
  event("confirm", {{"confirmed", false}, {"why", why}});
  apply(diff, std::move(before), report);
  tell_reload(report);
  alert(fmt::format("reload: {}, so what ran before runs again; {} still says what was tried (`greywire diff`)", why,
                    options_.config_file));
  return report;
}

void RunningSite::watch_trial() {
  if (!trial_.waiting()) {
    trial_timer_.cancel();
    return;
  }
  trial_timer_.expires_after(std::max<Duration>(trial_.deadline() - engine::boot_now(), Duration::zero()));
  trial_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    if (!trial_.due(engine::boot_now())) return watch_trial();
    [[maybe_unused]] const auto report = go_back("not confirmed in time");
  });
}

// Before anything is changed: who is cut off by the change can neither read a warning nor do anything about it.
Result<void> RunningSite::begin_trial(const config::Config& fresh, std::chrono::seconds wait, control::ReloadReport& report) {
  const auto refused = [](const Error& why) {
    return Error{why.text + ": a restart could not go back, so the trial was not begun: put that right, or reload without --confirm"};
  };
  const auto there = trial_store_.read();
  if (there && *there && is_of_another(**there, options_.config_file, config_->site.name)) {
    return refused({fmt::format("{} is of a trial of {}", trial_store_.path(), (*there)->file)});
  }
  const Clocks now = clocks_now();
  StoredTrial stored = trial_of(trial_.waiting() ? *trial_.before() : *config_, options_.config_file, fresh.text);
  stored.until = deadline_after(wait, now);
  stored.starting = true;
  if (auto kept = trial_store_.write(stored); !kept) return refused(kept.error());
  if (auto read = trial_store_.read(); !read) {
    std::ignore = trial_store_.remove();
    return refused(read.error());
  }
  trial_.begin(config_, wait, now.boot);
  const auto restored = restore(stored, options_.config_file);
  options_.trial.store = trial_store_;
  options_.trial.stored = std::move(stored);
  if (!restored) {
    report.warnings.push_back("a restart within the trial could not go back: " + restored.error().text);
    return {};
  }
  for (const auto& path : restored->other_keys) {
    report.warnings.push_back(fmt::format("{} holds another key than the one that ran: a restart within the trial could not go back to "
                                          "that", path));
  }
  return {};
}

// Not one of another config file with the same state_dir.
Result<void> RunningSite::drop_trial() {
  const auto stored = trial_store_.read();
  if (stored && *stored && is_of_another(**stored, options_.config_file, config_->site.name)) return {};
  return trial_store_.remove();
}

void RunningSite::keep_gone_back(StoredTrial trial, const TrialStore& store) {
  trial.until.reset();
  trial.starting = false;
  if (auto kept = store.write(trial); !kept) {
    alert(fmt::format("{}: a restart may try {} again", kept.error().text, options_.config_file));
  }
}

// A daemon that handed over may have been told to confirm, to go back or to begin since the choice was made.
void RunningSite::choose_again(TrialAtStart& trial) {
  const auto stored = trial.store.value_or(trial_store_).read();
  if (stored && same_trial(*stored, trial.stored)) return;
  StartChoice again = choose_start(options_.config_file, clocks_now(), kStateFolder);
  if (!again.config || !config::diff(*config_, *again.config).needs_restart.empty()) {
    trial = {};
    return alert(fmt::format("reload: {} or its trial changed while the site was handed over: restart the site", options_.config_file));
  }
  trial = std::move(again.trial);
  config_ = std::make_shared<const config::Config>(std::move(*again.config));
  derived_ = config::derive(*config_);
}

void RunningSite::prepare_trial() {
  TrialAtStart& trial = options_.trial;
  if (options_.takeover) choose_again(trial);
  if (!trial.before || is_answered(config_->site.control_socket)) return;
  trial.stored->tried = fingerprint(config_->text);
  trial.stored->starting = true;
  move_to_boot(*trial.stored, clocks_now());
  if (auto kept = trial.store->write(*trial.stored); !kept) alert(kept.error().text);
}

void RunningSite::settle_trial() {
  TrialAtStart trial = std::exchange(options_.trial, {});
  for (const auto& line : trial.alerts) alert("reload: " + line);
  if (trial.then == TrialAtStart::Then::kForget) {
    if (auto gone = trial.store->remove(); !gone) {
      alert(gone.error().text + ": a restart may go back to what ran before a trial that is over; remove it");
    }
  }
  if (trial.then == TrialAtStart::Then::kGoneBack && trial.stored->until) keep_gone_back(*trial.stored, *trial.store);
  if (trial.before) trial_.resume(std::move(trial.before), engine::boot_now() + time_left(*trial.stored, clocks_now()));
  if (!trial_.waiting() || !trial.stored) return;
  trial.stored->starting = false;
  if (auto kept = trial.store->write(*trial.stored); !kept) alert(kept.error().text + ": a restart goes back from the file");
  spdlog::info("reload: on trial, to be confirmed within {} s", trial_.left(engine::boot_now())->count());
  watch_trial();
}

// Removals come first: what they free (addresses, allowed-IPs, device names) may be somebody else's now.
void RunningSite::apply(const config::ConfigDiff& diff, std::shared_ptr<const config::Config> fresh,
                        control::ReloadReport& report) {
  const auto old = config_;  // until the last pointer into it is gone
  for (const auto& name : diff.removed_tunnels) remove_tunnel(name);
  for (const auto& name : diff.removed_peers) remove_peer(name);
  adopt(std::move(fresh));
  spdlog::default_logger()->set_level(level_of(config_->site.log_level));
  if (old->site.metrics != config_->site.metrics) open_metrics();
  engine_->set_identities(config_->site.private_key, config_->site.previous_key);
  engine_->set_own(own_overlay(), config_->site.networks);
  for (const auto& name : diff.changed_peers) change_peer(*old->find_peer(name));
  for (const auto& name : diff.added_peers) {
    const config::Peer& peer = *config_->find_peer(name);
    remove_foreign(peer.public_key);
    add_peer(peer);
    engine_->initiate(peers_.at(name).id);
  }
  rederive();  // the peers' policies: what may come out of their tunnels follows from them
  for (const auto* list : {&diff.changed_tunnels, &diff.affected_tunnels}) {
    for (const auto& name : *list) {
      const auto it = tunnels_.find(name);
      if (it == tunnels_.end()) continue;
      replace(it->second);
    }
  }
  for (const config::Tunnel& tunnel : config_->tunnels) {  // also those that could not be made before
    if (tunnels_.count(tunnel.name) != 0 || !any_peer_known(tunnel)) continue;
    if (auto ok = add_tunnel(tunnel); !ok) report.errors.push_back(ok.error().text);
  }
  adapter_->set_own(own_prefixes(), engine::boot_now());
  adapter_->set_peers(peer_routing(), engine::boot_now());
  if (source_) source_->rearm();
  audit_later();
  reconcile();
  hold_back();
}

void RunningSite::adopt(std::shared_ptr<const config::Config> fresh) {
  config_ = std::move(fresh);
  for (auto& [name, record] : peers_) record.config = config_->find_peer(name);
  for (auto& [name, record] : tunnels_) {
    const auto it = std::find_if(config_->tunnels.begin(), config_->tunnels.end(),
                                 [&, &wanted = name](const config::Tunnel& tunnel) { return tunnel.name == wanted; });
    record.config = &*it;
  }
  derived_ = derive_now();
  wg_control_->set_config(config_);
}

void RunningSite::remove_peer(const std::string& name) {
  const auto it = peers_.find(name);
  wireguard::PeerChange change;
  change.public_key = it->second.config->public_key;
  change.origin = Origin::kConfig;
  change.remove = true;
  peers_.erase(it);
  engine_->change_peer(change);
}

// Whom `wg` had added is the config's from now on.
void RunningSite::remove_foreign(const PublicKey& key) {
  wireguard::PeerChange foreign;
  foreign.public_key = key;
  foreign.remove = true;
  engine_->change_peer(foreign);
}

// Sessions live on; a new preshared key counts from the next handshake on.
void RunningSite::change_peer(const config::Peer& old) {
  PeerRecord& record = peers_.at(old.name);
  if (record.config->public_key != old.public_key) {
    remove_foreign(record.config->public_key);
    if (!engine_->change_key(old.public_key, record.config->public_key)) {
      alert(fmt::format("peer {}: its new public_key is another peer's: restart the site", old.name));
    }
  }
  engine_->change_peer(settings_of(*record.config));
  record.reachability.set_config({record.config->hold_up, record.config->flap_damping}, engine::boot_now());
  if (!record.config->liveness || record.config->overlay_addresses.empty()) record.reachability.assume_alive();
  if (record.config->endpoints != old.endpoints) find_endpoints(record);
  if (record.config->public_key != old.public_key) engine_->initiate(record.id);
}

void RunningSite::remove_tunnel(const std::string& name) {
  const auto it = tunnels_.find(name);
  if (it == tunnels_.end()) return;  // it could not be made
  engine_->remove_link(it->second.link);
  if (const auto told = service_manager_.forget(stored_name(name)); !told) alert(told.error().text);
  std::erase(own_ifindexes_, it->second.ifindex);
  tunnels_.erase(it);
}

}  // namespace greywire::daemon
