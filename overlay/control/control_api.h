// The control socket of a site's daemon, by default /run/greywire/SITE.sock: ControlSession's protocol over a
// LocalServer. Mode 0600; root and the daemon's own user are answered, nobody else. Control thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "overlay/control/control_session.h"
#include "overlay/control/local_server.h"
#include "router/base/result.h"

namespace greywire::control {

inline constexpr char kControlDirectory[] = "/run/greywire";

std::string control_socket_path(const std::string& site);  // "/run/greywire/ams.sock"

class ControlApi {
 public:
  ControlApi() = default;
  ControlApi(const ControlApi&) = delete;
  ControlApi& operator=(const ControlApi&) = delete;

  // Before or after listen(). The provider is called on the control thread and may not destroy the
  // ControlApi.
  void add_command(std::string name, Provider provider) {
    commands_.add(std::move(name), std::move(provider));
  }

  // An Error with EADDRINUSE: a live daemon answers on that path.
  Result<void> listen(boost::asio::io_context& io, const std::string& path);
  Result<void> listen(boost::asio::io_context& io, LocalServerOptions options);

  void stop() { server_.reset(); }  // closes all clients and removes the socket

 private:
  ControlCommands commands_;
  std::unique_ptr<LocalServer> server_;
};

}  // namespace greywire::control
