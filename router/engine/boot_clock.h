// The engine's clocks: the only place under router/ where time is read. Any thread; they cannot fail.
#pragma once

#include "router/base/time.h"

namespace greywire::engine {

TimePoint boot_now();  // CLOCK_BOOTTIME
WallTime wall_now();   // CLOCK_REALTIME

}  // namespace greywire::engine
