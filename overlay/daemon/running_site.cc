#include "overlay/daemon/running_site.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <tuple>
#include <utility>
#include <boost/asio/post.hpp>

#include "overlay/control/site_status_json.h"
#include "overlay/control/uapi_server.h"
#include "overlay/daemon/takeover.h"
#include "router/engine/boot_clock.h"

namespace greywire::daemon {
namespace {

constexpr std::chrono::seconds kRefresh{5};
constexpr std::chrono::minutes kKeepEndpoints{1};
constexpr std::size_t kMaxAlerts = 50;
constexpr std::int64_t kRejectAfter = 180;  // seconds, whitepaper §6.1

}  // namespace

RunningSite::RunningSite(config::Config config, SiteOptions site_options)
    : config_(std::make_shared<const config::Config>(std::move(config))),
      options_(std::move(site_options)),
      derived_(config::derive(*config_)),
      started_(engine::boot_now()) {}

RunningSite::~RunningSite() {
  capture_.reset();
  metrics_.reset();
  injector_ = nullptr;
  source_.reset();
  control_.stop();
  uapi_.reset();
  if (engine_) {
    keep_timestamp(engine_->greatest_timestamp());
    if (made_links_) keep_last_run(engine_->status());
  }
  // Devices go with the engine; what is left of us then are the underlay's rules and routes, and bridges.
  engine_.reset();
  if (!netlink_ || !made_links_) return;
  links::DesiredLinks nothing;
  if (underlay_) nothing.withdrawn = {*underlay_};
  const auto outcome = links::reconcile(*netlink_, nothing);
  if (!outcome) spdlog::warn("the underlay's rules or bridges may be left behind: {}", outcome.error().text);
}

Result<void> RunningSite::start() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) signals_.add(signal);
  watch_signals();
  auto netlink = links::LinkNetlink::open();
  if (!netlink) return netlink.error();
  netlink_ = std::move(*netlink);
  auto monitor = links::LinkMonitor::open();
  if (!monitor) return monitor.error();
  monitor_.emplace(std::move(*monitor));

  engine::EngineOptions options;
  options.workers = options_.workers;
  options.bind_device = config_->underlay.vrf.empty() ? config_->underlay.device : config_->underlay.vrf;
  if (auto kept = timestamps_.read(); kept) {
    options.kept_timestamp = *kept;
  } else {
    alert(kept.error().text);
  }
  engine::EngineEvents events;
  events.keep_timestamp = [this](const wireguard::Timestamp& stamp) {
    boost::asio::post(io_, [this, stamp] { keep_timestamp(stamp); });
  };
  events.liveness = [this](PeerId id, bool alive) {
    boost::asio::post(io_, [this, id, alive] { peer_heard(id, alive); });
  };
  events.path = [this](PeerId id) {
    boost::asio::post(io_, [this, id] { path_changed(id); });
  };
  events.pong = [this](std::uint32_t id, Duration round_trip) {
    boost::asio::post(io_, [this, id, round_trip] {
      if (const auto it = pings_.find(id); it != pings_.end()) it->second = round_trip;
    });
  };
  events.no_icmp = [this](const std::string& why) {
    boost::asio::post(io_, [why] { spdlog::warn("{}; path MTUs are found by probes alone", why); });
  };
  events.link_gone = [this](LinkId) {
    boost::asio::post(io_, [this] {
      end_because_ = "a device of ours was deleted by somebody: ending, so that a restart makes it again";
      io_.stop();
    });
  };
  events.keys_not_locked = [this] { boost::asio::post(io_, [this] { alert(engine::kKeysNotLocked); }); };
  engine_ = std::make_unique<engine::Engine>(options, std::move(events));

  if (options_.takeover) {
    auto held = take_over(config_->site.control_socket);
    if (!held) return held.error();
    options_.held = std::move(*held);
  }
  prepare_trial();
  engine_->set_private_key(config_->site.private_key);
  engine_->set_identities(config_->site.private_key, config_->site.previous_key);
  last_run_ = read_last_run(config_->site.state_dir);
  if (auto ok = open_devices(); !ok) return ok;
  if (auto ok = choose_underlay(); !ok) return ok;
  if (last_run_.underlay && last_run_.underlay != underlay_) withdrawn_ = {*last_run_.underlay};
  if (auto ok = engine_->listen(config_->site.listen_port); !ok) return ok;
  for (const config::Peer& peer : config_->peers) {
    if (peer.enabled) add_peer(peer);
  }
  adopt_reachability();
  if (auto ok = open_tunnels(); !ok) return ok;
  if (auto ok = open_control(); !ok) return ok;
  forget_unused_devices();
  start_routing();
  reconcile();
  keep_last_run(engine_->status());
  watch_links();
  refresh();
  engine_->initiate_all();
  settle_trial();
  spdlog::info("{} is up: {} peers, {} tunnels, port {}, {} with {} worker(s)", config_->site.name, peers_.size(),
               tunnels_.size(), config_->site.listen_port, engine_->aead_name(), engine_->workers());
  tell("READY=1");
  feed_watchdog();
  return {};
}

Result<void> RunningSite::run() {
  io_.run();
  if (!end_because_.empty()) return Error{end_because_};
  return {};
}

void RunningSite::watch_signals() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (signal != SIGHUP) {
      tell("STOPPING=1");
      return io_.stop();
    }
    reload();
    watch_signals();
  });
}

void RunningSite::keep_timestamp(const wireguard::Timestamp& stamp) {
  if (stamp == wireguard::Timestamp{}) return;
  const auto kept = timestamps_.write(stamp);
  if (!kept && !told_state_) {
    alert(kept.error().text + ": after a restart with the clock set back, peers will not answer until it has caught up");
  }
  told_state_ = !kept;
}

// A folder that cannot be written to was told of already, by keep_timestamp.
void RunningSite::keep_last_run(const wireguard::DeviceStatus& status) {
  last_run_at_ = engine::boot_now();
  LastRun now{underlay_, {}};
  for (const auto& peer : status.peers) {
    if (peer.origin == Origin::kConfig && peer.endpoint) now.endpoints.emplace(peer.public_key, *peer.endpoint);
  }
  if (now == last_run_ || !write_last_run(config_->site.state_dir, now)) return;
  last_run_ = std::move(now);
}

Result<void> RunningSite::open_control() {
  wg_control_.emplace(*engine_, config_, [](std::string_view what) { spdlog::warn("{}", what); });
  if (underlay_) wg_control_->set_mark(underlay_->mark);
  auto uapi = control::serve_uapi(io_, config_->site.interface, *wg_control_, [] {
    spdlog::warn("the WireGuard socket was removed: `wg` cannot reach this device until a restart");
  });
  if (!uapi) return uapi.error();
  uapi_ = std::move(*uapi);
  using boost::json::object;
  using boost::json::value;
  control_.add_command("status", [this](const object&) -> Result<value> { return control::to_json(status()); });
  control_.add_command("routes", [this](const object&) -> Result<value> { return control::to_json(routes()); });
  control_.add_command("explain", [this](const object& request) -> Result<value> {
    const auto* text = request.if_contains("address");
    if (text == nullptr || !text->is_string()) return Error{"explain needs an \"address\""};
    const auto address = IpAddress::parse(text->get_string());
    if (!address) return address.error();
    return control::to_json(explain(*address));
  });
  control_.add_command("audit", [this](const object&) -> Result<value> { return control::to_json(audit()); });
  add_reload_commands();
  control_.add_command("metrics", [this](const object&) -> Result<value> { return value(boost::json::string(metrics_text())); });
  add_live_commands();
  control_.add_command("handover", [this](const object& request) -> Result<value> {
    const auto* to = request.if_contains("to");
    if (to == nullptr || !to->is_string()) return Error{"handover needs \"to\", the path of a socket"};
    return hand_over(std::string(to->get_string()));
  });
  return control_.listen(io_, config_->site.control_socket);
}

void RunningSite::refresh() {
  bool changed = false;
  const wireguard::DeviceStatus status = engine_->brief_status();
  if (engine::boot_now() - last_run_at_ >= kKeepEndpoints) keep_last_run(status);
  for (const auto& peer : status.peers) {
    PeerRecord* record = record_of(peer.id);
    if (record == nullptr) continue;
    look_for(*record, peer);
    const auto age = engine::wall_now().seconds - peer.last_handshake.seconds;
    const bool fresh = peer.last_handshake != WallTime{} && age <= kRejectAfter;
    if (std::exchange(record->handshake_fresh, fresh) != fresh) inject_static();
    if (!peer.endpoint || record->underlay == peer.endpoint->address.family()) continue;
    record->underlay = peer.endpoint->address.family();
    changed = true;
  }
  if (changed) rederive();
  tell_segment_events();
  // Its timer's clock stands still while the host is suspended.
  if (trial_.due(engine::boot_now())) std::ignore = go_back("not confirmed in time");
  if (!metrics_) open_metrics();
  observe_peers();
  refresh_timer_.expires_after(kRefresh);
  refresh_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) refresh();
  });
}

void RunningSite::rederive() {
  derived_ = derive_now();
  for (const auto& [name, record] : peers_) {
    if (const auto* derived = derived_of(name)) engine_->set_peer_policy(record.id, policy_of(*record.config, *derived));
  }
  reconcile_soon();
}

void RunningSite::peer_heard(PeerId id, bool alive) {
  PeerRecord* peer = record_of(id);
  if (peer == nullptr || peer->reachability.alive() == alive) return;
  if (peer->endpoints) peer->endpoints->set_stale(!alive);
  const bool was_damped = peer->reachability.damped();
  const bool changed = peer->reachability.heard(alive, engine::boot_now());
  if (!was_damped && peer->reachability.damped()) {
    alert(fmt::format("peer {} keeps going and coming: not used until it has been quiet (flap_damping)", peer->config->name));
    event("peer", {{"peer", peer->config->name}, {"state", "held"}});
  }
  if (changed) {
    usable_changed(*peer);
    reconcile();
  }
  hold_back();
}

void RunningSite::usable_changed(const PeerRecord& peer) {
  event("peer", {{"peer", peer.config->name}, {"state", peer.reachability.usable() ? "up" : "down"}});
  spdlog::info("peer {} is {}", peer.config->name,
               peer.reachability.usable() ? "reachable" : "not reachable: no answer to the probes");
}

void RunningSite::hold_back() {
  TimePoint next = kNever;
  for (const auto& [name, record] : peers_) next = std::min(next, record.reachability.next_deadline());
  if (next == kNever) {
    hold_timer_.cancel();
    return;
  }
  hold_timer_.expires_after(std::max<Duration>(next - engine::boot_now(), Duration::zero()));
  hold_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    bool changed = false;
    for (auto& [name, record] : peers_) {
      if (!record.reachability.advance(engine::boot_now())) continue;
      usable_changed(record);
      changed = true;
    }
    if (changed) reconcile();
    hold_back();
  });
}

void RunningSite::endpoints_changed(PeerRecord& peer, const std::vector<Endpoint>& candidates) {
  engine_->set_endpoints(peer.id, candidates);
  if (!candidates.empty()) {
    if (peer.place == PeerRecord::Place::kAwaited) engine_->initiate(peer.id);  // when all were called it was nowhere
    peer.place = PeerRecord::Place::kKnown;
  }
  if (peer.underlay || candidates.empty()) return;
  const Family family = candidates.front().address.family();
  const bool all = std::all_of(candidates.begin(), candidates.end(),
                               [&](const Endpoint& candidate) { return candidate.address.family() == family; });
  if (!all) return;  // where it answers will tell
  peer.underlay = family;
  rederive();
}

// Asks DNS again for a peer that does not answer.
void RunningSite::look_for(PeerRecord& peer, const wireguard::PeerStatus& status) {
  if (!peer.endpoints) return;
  std::optional<bool> reachable;
  if (peer.config->liveness && !peer.config->overlay_addresses.empty()) reachable = peer.reachability.alive();
  std::optional<std::chrono::seconds> age;
  if (status.last_handshake != WallTime{}) {
    age = std::chrono::seconds(engine::wall_now().seconds - status.last_handshake.seconds);
  }
  peer.endpoints->set_stale(is_stale(reachable, status.handshake_pending, age));
}

RunningSite::PeerRecord* RunningSite::record_of(PeerId id) {
  for (auto& [name, record] : peers_) {
    if (record.id == id) return &record;
  }
  return nullptr;
}

const config::DerivedPeer* RunningSite::derived_of(const std::string& peer) const {
  for (const auto& derived : derived_.peers) {
    if (derived.name == peer) return &derived;
  }
  return nullptr;
}

void RunningSite::notice(std::string_view line) {
  spdlog::info("{}", line);
  event("notice", {{"text", line}});
}

void RunningSite::alert(std::string_view line) {
  spdlog::warn("{}", line);
  ++alerts_total_;
  event("alert", {{"text", line}});
  alerts_.emplace_back(line);
  if (alerts_.size() > kMaxAlerts) alerts_.pop_front();
}

}  // namespace greywire::daemon
