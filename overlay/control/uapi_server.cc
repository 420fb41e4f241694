#include "overlay/control/uapi_server.h"

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "overlay/control/uapi_codec.h"

namespace greywire::control {

namespace {

// The arguments of a process, each ended by a zero; empty where it is gone or hidden.
std::string command_line_of(pid_t process) {
  if (process <= 0) return {};
  std::ifstream file(fmt::format("/proc/{}/cmdline", process), std::ios::binary);
  std::string text(kUapiMaxCommandLine, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return text;
}

}  // namespace

bool writes_a_configuration(std::string_view command_line) {
  const auto word = [&command_line] {
    const auto end = std::min(command_line.find('\0'), command_line.size());
    const auto first = command_line.substr(0, end);
    command_line.remove_prefix(std::min(end + 1, command_line.size()));
    return first;
  };
  const std::string_view program = word();
  return program.substr(program.rfind('/') + 1) == "wg" && word() == "showconf";
}

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
  const auto make_session = [&device](const ConnectedClient& client) -> std::unique_ptr<StreamSession> {
    const auto view = writes_a_configuration(command_line_of(client.process)) ? UapiView::kConfiguration
                                                                              : UapiView::kEverything;
    return std::make_unique<UapiSession>(
        device, [](const std::string& name) { return ::if_nametoindex(name.c_str()); }, view);
  };
  return LocalServer::listen(io, std::move(options), make_session, std::move(on_removed));
}

}  // namespace greywire::control
