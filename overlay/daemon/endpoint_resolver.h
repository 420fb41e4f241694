// Resolves a peer's endpoint when it is a name: at start, and again until it succeeds. Control thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string>

#include "overlay/config/values.h"
#include "router/base/ip_address.h"

namespace greywire::daemon {

class EndpointResolver {
 public:
  // `found` is called with each answer, `failed` with the reason of the first failure in a row.
  EndpointResolver(boost::asio::io_context& io, config::PeerEndpoint endpoint,
                   std::function<void(const Endpoint&)> found, std::function<void(const std::string&)> failed);
  void start();

 private:
  void retry();

  boost::asio::ip::udp::resolver resolver_;
  boost::asio::steady_timer timer_;
  const config::PeerEndpoint endpoint_;
  std::function<void(const Endpoint&)> found_;
  std::function<void(const std::string&)> failed_;
  bool told_ = false;
};

}  // namespace greywire::daemon
