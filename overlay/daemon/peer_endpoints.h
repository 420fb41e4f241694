// Keeps a peer's endpoints up to date: EndpointChoice with a clock and a resolver. Control thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string>
#include <vector>

#include "overlay/daemon/endpoint_choice.h"
#include "overlay/daemon/name_lookup.h"

namespace greywire::daemon {

class PeerEndpoints {
 public:
  // `changed` gets all candidates, the best first, whenever they change; `failed` the host and the reason of the first
  // failure in a row.
  PeerEndpoints(boost::asio::io_context& io, const std::vector<config::PeerEndpoint>& endpoints,
                std::function<void(const std::vector<Endpoint>&)> changed,
                std::function<void(const std::string& host, const std::string& why)> failed);

  void start();  // calls `changed` at once where an endpoint is an address
  void set_stale(bool stale);  // see EndpointChoice

 private:
  void ask();
  void answer(const EndpointChoice::Lookup& lookup, const Result<std::vector<ResolvedAddress>>& result);

  NameLookup names_;
  boost::asio::steady_timer timer_;
  EndpointChoice choice_;
  std::function<void(const std::vector<Endpoint>&)> changed_;
  std::function<void(const std::string&, const std::string&)> failed_;
  bool told_ = false;
};

}  // namespace greywire::daemon
