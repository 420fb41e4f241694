// Runs a zapi::Session over zebra's unix socket, and the listener's deadlines with it: the only part of
// routing/ with a socket and a timer.
//
// The socket (/run/frr/zserv.api by default; mode 0700, user frr) must always be read: zebra queues without
// limit for a client that does not, about 90 kB of address space a message. So every wake-up reads up to 256
// kB, and what is done with a message must be cheap; nothing is queued here beyond one incomplete message.
//
// One io_context thread; not safe from others. Nothing is called any more after the destructor.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include <boost/asio/io_context.hpp>

#include "router/base/time.h"
#include "routing/route_source.h"
#include "routing/zapi/session.h"

namespace greywire::routing::zapi {

class Client final : public RouteSource {
 public:
  // What it makes is held while connect(2) is called: the right to a socket of another user.
  using RightToConnect = std::function<std::shared_ptr<void>()>;

  // `now` reads the clock (CLOCK_BOOTTIME). The listener outlives the client.
  Client(boost::asio::io_context& io, std::string socket_path, RouteSourceListener& listener,
         std::function<TimePoint()> now, const SessionTiming& timing = {}, RightToConnect right = {});
  ~Client() override;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void start() override;
  void stop() override;
  void resync() override;
  void rearm() override;

  void inject(std::set<Prefix> prefixes, std::uint32_t ifindex);  // see Session::inject
  Session::State state() const;
  std::string release() const;
  const SourceCounters& counters() const override;

 private:
  class Connection;
  std::shared_ptr<Connection> connection_;
};

}  // namespace greywire::routing::zapi
