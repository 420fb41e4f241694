#include "overlay/control/local_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <optional>
#include <utility>
#include <vector>

#include "overlay/control/local_socket.h"
#include "overlay/control/stream_connection.h"

namespace greywire::control {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Socket = asio::local::stream_protocol::socket;

constexpr std::chrono::milliseconds kAcceptPause{100};  // when the process is out of descriptors

std::optional<ucred> credentials_of(Socket& socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  return credentials;
}

bool same_user(const std::optional<ucred>& client) {
  return client && (client->uid == 0 || client->uid == ::geteuid());
}

}  // namespace

class LocalServer::State : public std::enable_shared_from_this<LocalServer::State> {
 public:
  State(asio::io_context& io, LocalServerOptions options, BoundSocket bound, SessionFactory make_session,
        std::function<void()> on_removed)
      : options_(std::move(options)),
        identity_(bound.identity),
        make_session_(std::move(make_session)),
        on_removed_(std::move(on_removed)),
        acceptor_(io, asio::local::stream_protocol(), bound.fd),
        accept_pause_(io),
        watch_(io) {}

  void start() {
    accept();
    watch();
  }

  void stop() {
    stopped_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    accept_pause_.cancel();
    watch_.cancel();
    for (const auto& client : std::vector<std::shared_ptr<StreamConnection>>(clients_.begin(), clients_.end())) {
      client->close();
    }
    if (still_names(options_.path, identity_)) ::unlink(options_.path.c_str());
  }

  const std::string& path() const { return options_.path; }
  std::size_t client_count() const { return clients_.size(); }

 private:
  void accept() {
    acceptor_.async_accept([self = shared_from_this()](error_code ec, Socket socket) {
      if (self->stopped_) return;
      if (!ec) {
        self->admit(std::move(socket));
        return self->accept();
      }
      self->accept_pause_.expires_after(kAcceptPause);
      self->accept_pause_.async_wait([self](error_code) {
        if (!self->stopped_) self->accept();
      });
    });
  }

  void admit(Socket socket) {
    const auto credentials = credentials_of(socket);
    if (options_.same_user_only && !same_user(credentials)) return;
    if (clients_.size() >= options_.max_clients) {
      // Clients stand in the order of their arrival.
      const auto quiet =
          std::find_if(clients_.begin(), clients_.end(), [](const auto& c) { return c->idle(); });
      if (quiet == clients_.end()) return;
      const std::shared_ptr<StreamConnection> victim = *quiet;
      victim->close();
    }
    const std::weak_ptr<State> weak = weak_from_this();
    auto client = std::make_shared<StreamConnection>(
        std::move(socket), make_session_({credentials ? credentials->pid : 0}), options_.stall_timeout, [weak](StreamConnection* gone) {
          if (const auto state = weak.lock())
            state->clients_.remove_if([gone](const auto& c) { return c.get() == gone; });
        });
    clients_.push_back(client);
    client->start();
  }

  void watch() {
    watch_.expires_after(options_.watch_interval);
    watch_.async_wait([self = shared_from_this()](error_code ec) {
      if (ec || self->stopped_) return;
      if (still_names(self->options_.path, self->identity_)) return self->watch();
      if (self->on_removed_) std::exchange(self->on_removed_, {})();
    });
  }

  LocalServerOptions options_;
  FileIdentity identity_;
  SessionFactory make_session_;
  std::function<void()> on_removed_;
  asio::local::stream_protocol::acceptor acceptor_;
  asio::steady_timer accept_pause_;
  asio::steady_timer watch_;
  std::list<std::shared_ptr<StreamConnection>> clients_;
  bool stopped_ = false;
};

LocalServer::LocalServer(std::shared_ptr<State> state) : state_(std::move(state)) {}
LocalServer::~LocalServer() {
  state_->stop();
}

const std::string& LocalServer::path() const {
  return state_->path();
}
std::size_t LocalServer::client_count() const {
  return state_->client_count();
}

Result<std::unique_ptr<LocalServer>> LocalServer::listen(asio::io_context& io, LocalServerOptions options,
                                                         SessionFactory make_session,
                                                         std::function<void()> on_removed) {
  auto bound = bind_local_socket(options.path, options.directory_mode);
  if (!bound) return bound.error();
  auto state =
      std::make_shared<State>(io, std::move(options), *bound, std::move(make_session), std::move(on_removed));
  state->start();
  return std::unique_ptr<LocalServer>(new LocalServer(std::move(state)));
}

}  // namespace greywire::control
