// What a site's daemon reported, as text for people. Pure: a report and how the reader sees it give a
// string.
#pragma once

#include <string>
#include <vector>

#include "overlay/cli/text_table.h"
#include "overlay/control/site_status.h"

namespace greywire::cli {

Cell peer_state(const control::PeerReport& peer);

std::string render_status(const control::SiteStatus& status, const Look& look);  // all of it, lists cut short
std::string render_peers(const control::SiteStatus& status, const Look& look);   // every peer with every prefix
std::string render_tunnels(const control::SiteStatus& status, const Look& look);
std::string render_mtus(const control::SiteStatus& status, const Look& look);
std::string render_drops(const std::vector<control::DropReport>& drops, const Look& look);
std::string render_segments(const std::vector<control::MacReport>& macs, const Look& look);
std::string render_diff(const control::ReloadReport& difference, const Look& look);
std::string render_routes(const control::RoutesReport& routes, const Look& look);
std::string render_reload(const control::ReloadReport& reload, const Look& look);
std::string render_confirm(const control::ReloadReport& reload, const Look& look);
std::string render_audit(const control::AuditReport& audit, const Look& look);
std::string render_explain(const control::ExplainReport& explanation, const Look& look);

}  // namespace greywire::cli
