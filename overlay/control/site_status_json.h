// The JSON of site_status.h, both ways, in one place: each struct's fields are listed once
// (site_status_json.cc).
//
// Names carry units (handshake_age_seconds). An absent optional is null. Reading is tolerant of versions:
// unknown members are skipped and missing ones keep their default; a member of the wrong type or range is an
// Error that names it ("peers[2].endpoint: …").
#pragma once

#include <boost/json/value.hpp>

#include "overlay/control/site_status.h"
#include "router/base/result.h"

namespace greywire::control {

boost::json::value to_json(const SiteStatus& status);
boost::json::value to_json(const RoutesReport& routes);
boost::json::value to_json(const AuditReport& audit);
boost::json::value to_json(const ExplainReport& explanation);
boost::json::value to_json(const ReloadReport& reload);
boost::json::value to_json(const std::vector<MacReport>& macs);
boost::json::value to_json(const std::vector<DropReport>& drops);

Result<SiteStatus> site_status_from_json(const boost::json::value& json);
Result<RoutesReport> routes_from_json(const boost::json::value& json);
Result<AuditReport> audit_from_json(const boost::json::value& json);
Result<ExplainReport> explain_from_json(const boost::json::value& json);
Result<ReloadReport> reload_from_json(const boost::json::value& json);
Result<std::vector<MacReport>> macs_from_json(const boost::json::value& json);

}  // namespace greywire::control
