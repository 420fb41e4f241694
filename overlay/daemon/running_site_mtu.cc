// From what the engine finds out about the paths to the MTUs of this host's devices, and what is told of it.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>

#include "overlay/daemon/running_site.h"
#include "router/engine/boot_clock.h"
#include "router/pmtu/overhead.h"

namespace greywire::daemon {
namespace {

// A search goes up in steps, and so would the devices; what is lost in that time is a few percent of speed.
constexpr Duration kHoldBeforeRise = std::chrono::seconds(2);

std::uint32_t below(Mtu path, Mtu mtu) { return path.bytes - std::min(path.bytes, mtu.bytes); }

void set_mss(control::MtuReport& report, const config::MssLimits& mss) {
  report.mss_ipv4 = Mtu{mss.v4};
  report.mss_ipv6 = Mtu{mss.v6};
}

std::optional<std::chrono::seconds> age_of(std::optional<TimePoint> at) {
  if (!at) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::seconds>(engine::boot_now() - *at);
}

void set_search(control::MtuReport& report, const engine::PathStatus::Search& search) {
  report.path = search.plpmtu;
  report.state = pmtu::path_state_name(search.state);
  if (search.probed.bytes != 0) report.probed = search.probed;
  report.largest = search.max;
  report.reason = pmtu::path_reason_text(search.reason);
  report.changed_age = age_of(search.changed_at);
  report.black_holes = search.black_holes;
}

}  // namespace

std::optional<engine::PathOptions> RunningSite::path_options(const config::Peer& peer) const {
  if (!config::finds_path_mtu(peer)) return std::nullopt;
  return engine::PathOptions{config_->underlay.mtu, config_->underlay.pmtu_raise};
}

// Many may change at once, as at the start: they are looked at together.
void RunningSite::path_changed(PeerId) {
  if (paths_pending_) return;
  paths_pending_ = true;
  boost::asio::post(io_, [this] { follow_paths(); });
}

void RunningSite::follow_paths() {
  paths_pending_ = false;
  bool changed = false;
  for (const auto& path : engine_->paths()) {
    PeerRecord* record = record_of(path.peer);
    if (record == nullptr || !path.search || record->inner == path.inner) continue;
    const bool first = !record->inner;
    const std::uint32_t before = first ? 0 : record->inner->bytes;
    record->inner = path.inner;
    changed = true;
    if (first && path.search->reason == pmtu::PathReason::kAssumed) continue;
    event("path_mtu", {{"peer", record->config->name},
                       {"path", path.search->plpmtu.bytes},
                       {"from", first ? boost::json::value(nullptr) : boost::json::value(before)},
                       {"to", path.inner.bytes},
                       {"why", pmtu::path_reason_text(path.search->reason)}});
    spdlog::info("path to {}: {} bytes, {} inside the tunnel ({})", record->config->name, path.search->plpmtu.bytes,
                 path.inner.bytes, pmtu::path_reason_text(path.search->reason));
  }
  if (!changed) return;
  derived_ = derive_now();
  reconcile_soon();
}

config::Derived RunningSite::derive_now() const {
  return config::derive(*config_, [this](const config::Peer& peer) {
    config::KnownPath known = config::path_as_written(peer);
    const auto it = peers_.find(peer.name);
    if (it == peers_.end()) return known;
    if (it->second.underlay) known.family = it->second.underlay;
    known.inner = it->second.inner;
    return known;
  });
}

Mtu RunningSite::damped(const std::string& device, Mtu wanted) {
  auto& damping = damping_.try_emplace(device, kHoldBeforeRise).first->second;
  const TimePoint now = engine::boot_now();
  const Mtu mtu = damping.update(wanted, now);
  if (damping.next_expiry() != kNever) {
    mtu_timer_.expires_after(damping.next_expiry() - now);
    mtu_timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) reconcile();
    });
  }
  return mtu;
}

void RunningSite::report_paths(control::SiteStatus& out) {
  const auto paths = engine_->paths();
  report_devices(out);
  for (const auto& path : paths) {
    const PeerRecord* record = record_of(path.peer);
    if (record == nullptr) continue;
    out.mtus.push_back(report_path(*record, path));
    if (path.search) out.paths.black_holes += path.search->black_holes;
  }
  for (const auto& tunnel : derived_.tunnels) {
    const auto it = tunnels_.find(tunnel.name);
    const auto peer = peers_.find(tunnel.peer);
    if (it == tunnels_.end() || peer == peers_.end()) continue;
    const auto path = std::find_if(paths.begin(), paths.end(), [&](const auto& p) { return p.peer == peer->second.id; });
    control::MtuReport& report = out.mtus.emplace_back();
    report.name = tunnel.name;
    report.kind = config::to_string(it->second.config->kind);
    report.mtu = tunnel.device_mtu;
    report.path = path != paths.end() && path->search ? path->search->plpmtu : config_->underlay.mtu;
    report.overhead = below(*report.path, tunnel.payload_mtu);
    if (tunnel.mss) set_mss(report, *tunnel.mss);
    report.origin = it->second.config->mtu ? "configured" : "computed";
  }
  const engine::PathTotals totals = engine_->path_totals();
  const auto events = [&](PathEvent event) { return totals.events[static_cast<std::size_t>(event)]; };
  out.paths.probes = totals.probes;
  out.paths.reports = totals.reports;
  out.paths.reports_ignored = totals.reports_ignored;
  out.paths.too_big_sent = events(PathEvent::kTooBigSent);
  out.paths.too_big_suppressed = events(PathEvent::kTooBigSuppressed);
  out.paths.fragmented = events(PathEvent::kFragmented);
  out.paths.fragments_sent = events(PathEvent::kFragmentsSent);
  out.paths.mss_clamped = events(PathEvent::kMssClamped);
}

void RunningSite::report_devices(control::SiteStatus& out) const {
  control::MtuReport underlay;
  underlay.name = underlay.kind = "underlay";
  underlay.mtu = config_->underlay.mtu;
  underlay.origin = "configured";
  out.mtus.push_back(underlay);
  control::MtuReport gateway;
  gateway.name = config_->site.interface;
  gateway.kind = "device";
  gateway.mtu = derived_.device_mtu;
  gateway.path = underlay.mtu;
  gateway.overhead = below(underlay.mtu, derived_.device_mtu);
  gateway.origin = config_->site.mtu ? "configured" : "computed";
  out.mtus.push_back(gateway);
}

control::MtuReport RunningSite::report_path(const PeerRecord& record, const engine::PathStatus& path) const {
  control::MtuReport report;
  report.name = record.config->name;
  report.kind = "peer";
  report.mtu = path.inner;
  report.path = config_->underlay.mtu;
  if (path.search) set_search(report, *path.search);
  report.overhead = below(*report.path, report.mtu);
  set_mss(report, config::mss_limits(path.inner));
  report.origin = record.config->mtu ? "configured" : path.search && path.search->probed.bytes != 0 ? "measured" : "computed";
  return report;
}

}  // namespace greywire::daemon
