// A source of routes: zebra (zapi/) or the kernel's tables (kernel_routes/). It runs its session on the io_context that it
// was made with, calls its RouteSourceListener, and runs the listener's deadlines too. Control thread only; nothing is
// called any more after the destructor.
#pragma once

#include "routing/route.h"

namespace greywire::routing {

class RouteSource {
 public:
  virtual ~RouteSource() = default;
  virtual void start() = 0;
  virtual void stop() = 0;  // ends the session; start() may follow
  // Asks for every route again. What is not repeated is taken as withdrawn. Nothing while there is no complete table: one is
  // under way then.
  virtual void resync() = 0;
  // To be called after anything outside of the source may have moved the listener's deadline forward.
  virtual void rearm() = 0;
  virtual const SourceCounters& counters() const = 0;
};

}  // namespace greywire::routing
