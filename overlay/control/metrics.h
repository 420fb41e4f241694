// A site's status as Prometheus metrics (text exposition format 0.0.4). One table names every metric with its type, labels
// and meaning: the text is made by it and docs/metrics.md is printed from it, so the two cannot differ.
//
// Names: greywire_ first, units last (seconds, bytes), _total for counters; a peer's label is its name, or its public key
// where `wg` added it. A figure that is not known is absent, never zero. Pure, any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "overlay/control/site_status.h"

namespace greywire::control {

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

enum class MetricType : std::uint8_t { kGauge, kCounter };

class MetricSamples;

struct Metric {
  std::string_view name;
  MetricType type;
  std::string_view labels;   // "peer", "segment,port"; empty: none
  std::string_view meaning;  // one line without '|'
  void (*collect)(const SiteStatus&, MetricSamples&);
};

std::span<const Metric> metrics();
std::string_view metric_type_name(MetricType type);  // "gauge"

// Every metric that has a sample, with HELP and TYPE. `status` needs no allowed-IPs and only the refused routes.
std::string prometheus_text(const SiteStatus& status);

std::string metrics_markdown();  // the table between the marks in docs/metrics.md

}  // namespace greywire::control
