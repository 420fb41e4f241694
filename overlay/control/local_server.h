// A Unix stream socket on which a daemon answers requests: it carries bytes between clients and their
// StreamSessions.
//
// - Makes the directory, takes over the socket of a daemon that died (its connect is refused), and refuses,
// by an
//   Error, a path that a live daemon answers on or that is no socket. Mode 0600.
// - A client that stops in the middle of a request or does not read its reply is cut off after
// `stall_timeout`, and
//   hinders nobody meanwhile. Between requests a client may stay as long as there is room; when `max_clients`
//   are connected, the one that was idle longest makes way.
// - When the socket file is removed or replaced, `on_removed` is called once; open connections go on.
//
// Everything runs on the given io_context's one thread: listen(), the destructor, the sessions and
// `on_removed`. The destructor closes all connections and removes the socket file if it is still ours;
// `on_removed` must not destroy the server directly but may post that.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "overlay/control/stream_session.h"
#include "router/base/result.h"

namespace greywire::control {

struct LocalServerOptions {
  std::string path;              // at most 107 bytes
  mode_t directory_mode = 0700;  // of the last directory, if it has to be made
  std::size_t max_clients = 64;
  std::chrono::milliseconds stall_timeout{10000};
  std::chrono::milliseconds watch_interval{1000};  // how often the socket file is looked at
  bool same_user_only = false;  // check SO_PEERCRED too: only root and the daemon's own user are answered
};

struct ConnectedClient {
  pid_t process = 0;  // as this process sees it; 0 where it does not (another PID namespace)
};

class LocalServer {
 public:
  using SessionFactory = std::function<std::unique_ptr<StreamSession>(const ConnectedClient&)>;

  static Result<std::unique_ptr<LocalServer>> listen(boost::asio::io_context& io, LocalServerOptions options,
                                                     SessionFactory make_session,
                                                     std::function<void()> on_removed = {});
  ~LocalServer();
  LocalServer(const LocalServer&) = delete;
  LocalServer& operator=(const LocalServer&) = delete;

  const std::string& path() const;
  std::size_t client_count() const;

 private:
  class State;
  explicit LocalServer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace greywire::control
