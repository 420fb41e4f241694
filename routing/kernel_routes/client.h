// Runs a kernel::Session over a netlink socket of the network namespace in which it was started, and the listener's deadlines
// with it.
//
// The socket gets 16 MB of receive buffer (by SO_RCVBUFFORCE where that is allowed), some 15,000 changes; beyond that the
// kernel drops changes and says ENOBUFS, and everything is read again. One io_context thread.
#pragma once

#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>

#include "router/base/time.h"
#include "routing/kernel_routes/session.h"
#include "routing/route_source.h"

namespace greywire::routing::kernel {

class Client final : public RouteSource {
 public:
  // `now` reads the clock (CLOCK_BOOTTIME). The listener outlives the client.
  Client(boost::asio::io_context& io, Filter filter, RouteSourceListener& listener, std::function<TimePoint()> now,
         const SessionTiming& timing = {});
  ~Client() override;

  void start() override;
  void stop() override;
  void resync() override;
  void rearm() override;
  const SourceCounters& counters() const override;

 private:
  class Connection;
  std::shared_ptr<Connection> connection_;
};

}  // namespace greywire::routing::kernel
