#include "overlay/control/site_status.h"

#include <algorithm>

namespace greywire::control {

std::vector<DropReport> drop_reports(const std::vector<const DropCounters*>& counters) {
  std::vector<DropReport> reports;
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    const auto reason = static_cast<DropReason>(i);
    std::uint64_t packets = 0;
    for (const DropCounters* set : counters) packets += set->get(reason);
    if (packets == 0) continue;
    reports.push_back(
        {std::string(drop_reason_name(reason)), std::string(drop_reason_meaning(reason)), packets});
  }
  std::stable_sort(reports.begin(), reports.end(),
                   [](const DropReport& a, const DropReport& b) { return a.packets > b.packets; });
  return reports;
}

}  // namespace greywire::control
