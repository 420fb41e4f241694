// `greywired [-f] IFNAME`: one WireGuard device under the UAPI socket, for `wg` and `wg-quick`. Nothing of the host is
// touched but the device itself, and the file that keeps its last time stamp: /var/lib/greywire/IFNAME/timestamp.
#pragma once

#include <string>

#include "router/base/result.h"

namespace greywire::daemon {

// Runs until a signal, or until the socket or the interface is removed. `ready` is called once the device can be
// configured. An Error: it could not start.
Result<void> run_bare_device(const std::string& interface, unsigned workers, void (*ready)(void*), void* context);

}  // namespace greywire::daemon
