// Watching a running site: metrics, health and readiness by HTTP, the service manager's watchdog.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "overlay/control/metrics.h"
#include "overlay/daemon/running_site.h"
#include "router/engine/boot_clock.h"

namespace greywire::daemon {
namespace {

constexpr std::chrono::seconds kPageLife{1};  // scrapes that come faster get the same page

}  // namespace

// Monitoring that cannot be had takes no site down: its address may come later.
void RunningSite::open_metrics() {
  metrics_.reset();
  metrics_page_.clear();
  if (!config_->site.metrics) return;
  auto server = control::HttpServer::listen(io_, {.listen = *config_->site.metrics},
                                            [this](std::string_view path) { return page(path); });
  if (server) {
    metrics_ = std::move(*server);
    metrics_problem_.clear();
    spdlog::info("metrics at http://{}/metrics", metrics_->address().to_string());
  } else if (metrics_problem_ != server.error().text) {
    metrics_problem_ = server.error().text;
    alert(fmt::format("metrics: {}: tried again every few seconds; 'metrics' of [site] says where", metrics_problem_));
  }
}

control::HttpReply RunningSite::page(std::string_view path) {
  if (path == "/metrics") {
    const TimePoint now = engine::boot_now();
    if (metrics_page_.empty() || now - metrics_page_at_ >= kPageLife) {
      metrics_page_ = metrics_text();
      metrics_page_at_ = now;
    }
    return {200, metrics_page_, std::string(control::kMetricsContentType)};
  }
  if (path == "/healthz") {
    engine_->greatest_timestamp();  // the engine answers
    return {200, "ok\n"};
  }
  if (path == "/readyz") {
    const std::string why = why_not_ready();
    return why.empty() ? control::HttpReply{200, "ready\n"} : control::HttpReply{503, why + "\n"};
  }
  return {404, "there is /metrics, /healthz and /readyz\n"};
}

std::string RunningSite::metrics_text() { return control::prometheus_text(status(Detail::kFigures)); }

std::string RunningSite::why_not_ready() {
  if (config_->routing) {
    const auto source = adapter_->status().source;
    synced_ |= source == routing::SourceState::kSynced;
    if (!synced_) return fmt::format("routes are not known yet: {} {}", routing_report().source, routing::source_state_name(source));
  }
  const bool any = std::any_of(peers_.begin(), peers_.end(), [](const auto& peer) { return peer.second.reachability.usable(); });
  return any || peers_.empty() ? std::string() : "no peer answers";
}

// Told only while both the control thread and the engine's protocol thread do their work.
void RunningSite::feed_watchdog() {
  const auto interval = service_manager_.watchdog();
  if (!interval) return;
  engine_->greatest_timestamp();
  tell("WATCHDOG=1");
  watchdog_timer_.expires_after(*interval / 2);
  watchdog_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) feed_watchdog();
  });
}

}  // namespace greywire::daemon
