#include "overlay/control/control_api.h"

#include <fmt/format.h>

#include <utility>

namespace greywire::control {

std::string control_socket_path(const std::string& site) {
  return fmt::format("{}/{}.sock", kControlDirectory, site);
}

Result<void> ControlApi::listen(boost::asio::io_context& io, const std::string& path) {
  LocalServerOptions options;
  options.path = path;
  options.same_user_only = true;
  return listen(io, std::move(options));
}

Result<void> ControlApi::listen(boost::asio::io_context& io, LocalServerOptions options) {
  const auto make_session = [this](const ConnectedClient&) -> std::unique_ptr<StreamSession> {
    return std::make_unique<ControlSession>(commands_);
  };
  auto server = LocalServer::listen(io, std::move(options), make_session);
  if (!server) return server.error();
  server_ = std::move(*server);
  return {};
}

}  // namespace greywire::control
