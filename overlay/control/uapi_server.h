// The UAPI socket of one device, /var/run/wireguard/IFNAME.sock: what `wg` and `wg-quick` look for.
// LocalServer says how clients are treated; UapiSession what is answered. Control thread only.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "overlay/control/local_server.h"
#include "router/base/result.h"
#include "router/wireguard/device_status.h"

namespace greywire::control {

inline constexpr char kUapiDirectory[] = "/var/run/wireguard";

inline constexpr std::size_t kUapiMaxCommandLine = 256;  // bytes of a client's command line that are looked at

// True for `wg showconf`, by the client's arguments as /proc/PID/cmdline has them. On the socket it says what `wg show`
// says, but what it prints is kept in a file, by `wg-quick save` above all: prefixes that routing brought, and may take
// away the next moment, have no place there. A client that cannot be told is shown everything.
bool writes_a_configuration(std::string_view command_line);

std::string uapi_socket_path(const std::string& interface);

// Serves `device`, which outlives the server, until the returned object is destroyed. `on_removed`: the
// socket file was taken away, which ends a bare daemon. An Error with EADDRINUSE: another daemon has that
// interface.
Result<std::unique_ptr<LocalServer>> serve_uapi(boost::asio::io_context& io, const std::string& interface,
                                                wireguard::DeviceControl& device,
                                                std::function<void()> on_removed);

// The same with everything settable.
Result<std::unique_ptr<LocalServer>> serve_uapi(boost::asio::io_context& io, LocalServerOptions options,
                                                wireguard::DeviceControl& device,
                                                std::function<void()> on_removed);

}  // namespace greywire::control
