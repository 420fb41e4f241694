// What a running site tells while somebody looks: events, pings, the MAC tables of segments, what a reload would change.
#include <fmt/format.h>

#include <algorithm>

#include "overlay/config/load.h"
#include "overlay/config/near_miss.h"
#include "overlay/control/site_status_json.h"
#include "overlay/daemon/running_site.h"
#include "router/engine/boot_clock.h"

namespace greywire::daemon {
namespace {

using boost::json::object;
using boost::json::value;

constexpr std::chrono::seconds kFollowed{5};         // since somebody asked for events last
constexpr std::chrono::milliseconds kLookAgain{500};  // meanwhile peers are looked at so often
constexpr std::size_t kRoutesAtOnce = 64;            // more changes are one event
constexpr std::size_t kMaxPings = 256;

std::optional<std::string> text_of(const object& request, std::string_view name) {
  const value* member = request.if_contains(name);
  if (member == nullptr || !member->is_string()) return std::nullopt;
  return std::string(member->get_string());
}

std::uint64_t number_of(const object& request, std::string_view name) {
  const value* member = request.if_contains(name);
  boost::system::error_code ec;
  const auto number = member == nullptr ? 0 : member->to_number<std::uint64_t>(ec);
  return ec ? 0 : number;
}

std::string endpoint_text(const std::optional<Endpoint>& endpoint) { return endpoint ? endpoint->to_string() : std::string(); }

}  // namespace

void RunningSite::add_live_commands() {
  control_.add_command("events", [this](const object& request) -> Result<value> {
    const TimePoint now = engine::boot_now();
    const bool was_followed = now - events_asked_at_ < kFollowed;
    events_asked_at_ = now;
    observe_peers();
    if (!was_followed) keep_observing();
    return value(events_.since(number_of(request, "after")));
  });
  control_.add_command("ping", [this](const object& request) -> Result<value> { return ping(request); });
  control_.add_command("pong", [this](const object& request) -> Result<value> {
    const auto it = pings_.find(static_cast<std::uint32_t>(number_of(request, "id")));
    if (it == pings_.end() || !it->second) return value(nullptr);
    return value(object{{"round_trip_nanoseconds", it->second->count()}});
  });
  control_.add_command("capture", [this](const object& request) -> Result<value> { return capture(request); });
  control_.add_command("figures", [this](const object&) -> Result<value> { return control::to_json(status(Detail::kFigures)); });
  control_.add_command("segments", [this](const object& request) -> Result<value> {
    return segments(text_of(request, "segment").value_or(""));
  });
  control_.add_command("diff", [this](const object& request) -> Result<value> {
    return control::to_json(difference(text_of(request, "file").value_or(options_.config_file)));
  });
}

void RunningSite::event(std::string_view kind, object detail) { events_.add(kind, engine::wall_now(), std::move(detail)); }

// While somebody follows, so that what he sees is fresh; refresh() does it every few seconds anyhow.
void RunningSite::keep_observing() {
  observe_timer_.expires_after(kLookAgain);
  observe_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || engine::boot_now() - events_asked_at_ >= kFollowed) return;
    observe_peers();
    keep_observing();
  });
}

void RunningSite::observe_peers() {
  const wireguard::DeviceStatus device = engine_->brief_status();
  for (const auto& peer : device.peers) {
    const PeerRecord* record = record_of(peer.id);
    const std::string name = record == nullptr ? peer.public_key.to_base64() : record->config->name;
    auto [it, is_new] = observed_.try_emplace(peer.id);
    Observed& seen = it->second;
    if (peer.handshakes != seen.handshakes) {
      events_.add("handshake", peer.last_handshake, {{"peer", name}, {"count", peer.handshakes}});
    }
    if (peer.endpoint != seen.endpoint && peer.endpoint) {
      event("endpoint", {{"peer", name}, {"from", endpoint_text(seen.endpoint)}, {"to", endpoint_text(peer.endpoint)}});
    }
    seen = {peer.handshakes, peer.endpoint};
  }
  if (observed_.size() == device.peers.size()) return;
  std::erase_if(observed_, [&](const auto& entry) {
    return std::none_of(device.peers.begin(), device.peers.end(), [&](const auto& peer) { return peer.id == entry.first; });
  });
}

void RunningSite::route_events(std::span<const routing::LearnedChange> changes) {
  using Action = routing::LearnedChange::Action;
  if (changes.size() > kRoutesAtOnce) return event("routes", {{"changes", changes.size()}});
  for (const auto& change : changes) {
    object detail{{"prefix", change.prefix.to_string()}};
    boost::json::array peers;
    const auto add = [&](PeerId id) {
      if (const PeerRecord* record = record_of(id); record != nullptr) peers.emplace_back(record->config->name);
    };
    if (change.action == Action::kPeer) add(change.peer);
    if (const auto group = groups_.find(change.group); change.action == Action::kGroup && group != groups_.end()) {
      for (const PeerId id : group->second) add(id);
    }
    detail["state"] = change.action == Action::kRemove ? "withdrawn" : change.action == Action::kDiscard ? "refused" : "accepted";
    detail["peers"] = std::move(peers);
    event("route", std::move(detail));
  }
}

// An echo of ours through the tunnel, as the probes are: answered by a Greywire's engine, or by any other peer's kernel.
Result<value> RunningSite::ping(const object& request) {
  const auto name = text_of(request, "peer").value_or("");
  const auto it = peers_.find(name);
  if (it == peers_.end()) {
    std::vector<std::string_view> names;
    for (const auto& [known, record] : peers_) names.emplace_back(known);
    return Error{fmt::format("there is no peer '{}'{}", name, config::did_you_mean(name, names))};
  }
  const std::uint32_t id = ++last_ping_;
  const auto sent = engine_->ping(it->second.id, id, number_of(request, "size"));
  if (!sent) return Error{fmt::format("peer {}: {}", name, sent.error().text)};
  pings_[id] = std::nullopt;
  if (pings_.size() > kMaxPings) pings_.erase(pings_.begin());
  return value(object{{"id", id}});
}

// The reader listens on `to`, beside our control socket, and is connected to: then packets come as pcapng until he closes.
Result<value> RunningSite::capture(const object& request) {
  if (capture_ && capture_->running()) return Error{"a capture runs already: end it first"};
  capture_.reset();
  const auto name = text_of(request, "of").value_or("");
  const auto* outer = request.if_contains("outer");
  const bool outside = outer != nullptr && outer->is_bool() && outer->get_bool();
  CaptureWhat what = CaptureWhat::kNothing;
  std::uint32_t id = 0;
  control::PcapLink link = control::PcapLink::kRawIp;
  if (const auto peer = peers_.find(name); peer != peers_.end()) {
    what = outside ? CaptureWhat::kOuter : CaptureWhat::kInner;
    id = peer->second.id.value;
  } else if (const auto tunnel = tunnels_.find(name); tunnel != tunnels_.end() && !outside) {
    what = CaptureWhat::kLink;
    id = tunnel->second.link.value;
    if (tunnel->second.config->kind != config::TunnelKind::kGre) link = control::PcapLink::kEthernet;
  } else {
    std::vector<std::string_view> names;
    for (const auto& [known, record] : peers_) names.emplace_back(known);
    if (!outside) {
      for (const auto& [known, record] : tunnels_) names.emplace_back(known);
    }
    return Error{fmt::format("there is no peer {}'{}'{}", outside ? "" : "or tunnel ", name, config::did_you_mean(name, names))};
  }
  const auto fd = connect_to_reader(text_of(request, "to").value_or(""));
  if (!fd) return fd.error();
  engine_->tap().start(what, id);
  capture_ = std::make_unique<CaptureStream>(engine_->tap(), *fd, link, name);
  return value(nullptr);
}

Result<value> RunningSite::segments(const std::string& only) {
  std::vector<control::MacReport> out;
  std::vector<std::string_view> names;
  for (const auto& [name, record] : tunnels_) {
    if (record.config->kind != config::TunnelKind::kSegment) continue;
    names.emplace_back(name);
    if (!only.empty() && only != name) continue;
    for (const auto& entry : engine_->segment_macs(record.link)) {
      const bool local = entry.port == 0 || entry.port > record.ports.size();
      control::MacReport& mac = out.emplace_back();
      mac.segment = name;
      mac.mac = entry.key.mac.to_string();
      mac.vlan = entry.key.vlan;
      mac.port = local ? "local" : record.ports[entry.port - 1U];
      if (entry.age) mac.age = std::chrono::duration_cast<std::chrono::seconds>(*entry.age);
    }
  }
  if (!only.empty() && std::find(names.begin(), names.end(), only) == names.end()) {
    return Error{fmt::format("there is no segment '{}'{}", only, config::did_you_mean(only, names))};
  }
  return control::to_json(out);
}

control::ReloadReport RunningSite::difference(const std::string& file) const {
  control::ReloadReport report;
  auto loaded = config::load(file);
  (loaded.config ? report.warnings : report.errors) = loaded.diagnostics.lines();
  if (!loaded.config) return report;
  const config::ConfigDiff diff = config::diff(*config_, *loaded.config);
  report.done = true;
  report.changes = diff.lines();
  for (const auto& change : diff.needs_restart) report.changes.push_back(change.key + " needs a restart");
  return report;
}

}  // namespace greywire::daemon
