#include "overlay/control/site_status.h"

#include <algorithm>

#include "overlay/control/drop_advice.h"

namespace greywire::control {

std::vector<DropReport> drop_reports(const std::function<std::uint64_t(DropReason)>& count, bool all) {
  std::vector<DropReport> reports;
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    const auto reason = static_cast<DropReason>(i);
    const auto packets = count(reason);
    if (packets == 0 && !all) continue;
    reports.push_back({std::string(drop_reason_name(reason)), std::string(drop_reason_meaning(reason)),
                       std::string(drop_advice(reason)), packets});
  }
  std::stable_sort(reports.begin(), reports.end(),
                   [](const DropReport& a, const DropReport& b) { return a.packets > b.packets; });
  return reports;
}

}  // namespace greywire::control
