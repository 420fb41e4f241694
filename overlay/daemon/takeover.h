// `greywired --config FILE --takeover`: the devices of the daemon that runs this site, for its successor. The running one
// is asked over its control socket, {"command":"handover","to":SOCKET}; it hands its descriptors to SOCKET as it would to
// systemd's store (service_manager.h), ends with "STOPPING=1", and stops. What it keeps are its keys and sessions.
#pragma once

#include <string>

#include "overlay/daemon/service_manager.h"
#include "router/base/result.h"

namespace greywire::daemon {

// Blocks until the other daemon is gone, some 100 ms, at most 10 s. Nothing held where none was running. An Error: one runs
// and does not hand over; it was left running unless the text says otherwise.
Result<HeldDescriptors> take_over(const std::string& control_socket);

// Whether a daemon answers on this socket.
bool is_answered(const std::string& control_socket);

}  // namespace greywire::daemon
