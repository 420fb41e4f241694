// What a site's daemon reported, as text for people. Pure: a report and whether colour is wanted give a
// string.
#pragma once

#include <string>

#include "overlay/control/site_status.h"

namespace greywire::cli {

std::string render_status(const control::SiteStatus& status, bool colour);  // all of it, lists cut short
std::string render_peers(const control::SiteStatus& status, bool colour);   // every peer with every prefix
std::string render_tunnels(const control::SiteStatus& status, bool colour);
std::string render_mtus(const control::SiteStatus& status, bool colour);
std::string render_drops(const control::SiteStatus& status, bool colour);
std::string render_routes(const control::RoutesReport& routes, bool colour);
std::string render_reload(const control::ReloadReport& reload, bool colour);
std::string render_audit(const control::AuditReport& audit, bool colour);
std::string render_explain(const control::ExplainReport& explanation, bool colour);

}  // namespace greywire::cli
