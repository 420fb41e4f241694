// What the next run of a site should know of this one, in STATE_DIR/last-run: where the peers were, so that those without
// an endpoint in the config are called at once instead of when their timers find out; and the underlay's mark and table,
// so that their rules are removed where the config has others now. Lost or damaged, it costs seconds and no more.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "overlay/links/link_state.h"
#include "router/base/ip_address.h"
#include "router/base/result.h"
#include "router/crypto/keys.h"

namespace greywire::daemon {

struct LastRun {
  std::optional<links::Underlay> underlay;
  std::map<PublicKey, Endpoint> endpoints;
  friend bool operator==(const LastRun&, const LastRun&) = default;
};

// A line each: "underlay MARK TABLE mirror|own", "endpoint KEY ADDRESS:PORT".
std::string to_text(const LastRun& run);
// Pure. Lines that it does not understand are left out.
LastRun parse_last_run(std::string_view text);

// Control thread; a write takes as long as the disk needs. `read` finds nothing where there is no file.
LastRun read_last_run(const std::string& folder);
Result<void> write_last_run(const std::string& folder, const LastRun& run);

}  // namespace greywire::daemon
