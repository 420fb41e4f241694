// A TCP socket that answers by HttpSession. Everything runs on the given io_context's one thread; the destructor closes all
// connections. A client that stalls is cut off; when `max_clients` are connected, the one that was idle longest makes way.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <memory>

#include "overlay/control/http_session.h"
#include "router/base/ip_address.h"
#include "router/base/result.h"

namespace greywire::control {

struct HttpServerOptions {
  Endpoint listen;  // port 0: chosen by the system
  std::size_t max_clients = 16;
  std::chrono::milliseconds stall_timeout{10000};
};

class HttpServer {
 public:
  // Errors name the address: EADDRINUSE, EADDRNOTAVAIL, EACCES.
  static Result<std::unique_ptr<HttpServer>> listen(boost::asio::io_context& io, const HttpServerOptions& options,
                                                    HttpPages pages);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  Endpoint address() const;  // with the port that was chosen

 private:
  class State;
  explicit HttpServer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace greywire::control
