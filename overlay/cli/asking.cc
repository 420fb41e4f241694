#include "overlay/cli/asking.h"

#include <cerrno>

#include "overlay/cli/control_client.h"

namespace greywire::cli {

ExitCode complain(const Surroundings& around, ExitCode code, std::string_view text) {
  around.err << "greywire: " << text << "\n";
  return code;
}

ExitCode code_of(const Error& error) {
  switch (error.code) {
    case ENOENT:
    case ECONNREFUSED:
      return ExitCode::kNoDaemon;
    case EACCES:
    case EPERM:
      return ExitCode::kNoPermission;
    default:
      return ExitCode::kDaemonFailed;
  }
}

ExitCode code_of_file(const Error& error, ExitCode otherwise) {
  return error.code == EACCES || error.code == EPERM || error.code == EROFS ? ExitCode::kNoPermission : otherwise;
}

Result<std::string> socket_of(const Surroundings& around, const Options& options, ExitCode& code) {
  auto socket = choose_socket(options.socket, options.site, around.socket_directory);
  if (!socket) {
    code = complain(around, socket.error().code == 0 ? ExitCode::kNoDaemon : code_of(socket.error()), socket.error().text);
  }
  return socket;
}

ExitCode ask(const Surroundings& around, const Options& options, const boost::json::object& request,
             const std::function<ExitCode(const boost::json::value&)>& show, ExitCode refused) {
  ExitCode code = ExitCode::kDone;
  const auto socket = socket_of(around, options, code);
  if (!socket) return code;
  const auto result = ask_daemon(*socket, request);
  if (!result) return complain(around, result.error().code == 0 ? refused : code_of(result.error()), result.error().text);
  return show(*result);
}

}  // namespace greywire::cli
