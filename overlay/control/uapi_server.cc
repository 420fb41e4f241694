#include "overlay/control/uapi_server.h"

#include <fmt/format.h>
#include <net/if.h>

#include <utility>

#include "overlay/control/uapi_codec.h"

namespace greywire::control {

std::string uapi_socket_path(const std::string& interface) {
  return fmt::format("{}/{}.sock", kUapiDirectory, interface);
}

Result<std::unique_ptr<LocalServer>> serve_uapi(boost::asio::io_context& io, const std::string& interface,
                                                wireguard::DeviceControl& device,
                                                std::function<void()> on_removed) {
  LocalServerOptions options;
  options.path = uapi_socket_path(interface);
  return serve_uapi(io, std::move(options), device, std::move(on_removed));
}

Result<std::unique_ptr<LocalServer>> serve_uapi(boost::asio::io_context& io, LocalServerOptions options,
                                                wireguard::DeviceControl& device,
                                                std::function<void()> on_removed) {
  const auto make_session = [&device]() -> std::unique_ptr<StreamSession> {
    return std::make_unique<UapiSession>(
        device, [](const std::string& name) { return ::if_nametoindex(name.c_str()); });
  };
  return LocalServer::listen(io, std::move(options), make_session, std::move(on_removed));
}

}  // namespace greywire::control
