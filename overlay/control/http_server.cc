#include "overlay/control/http_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <utility>
#include <vector>

#include "overlay/control/stream_connection.h"

namespace greywire::control {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using asio::ip::tcp;

constexpr std::chrono::milliseconds kAcceptPause{100};  // when the process is out of descriptors

}  // namespace

class HttpServer::State : public std::enable_shared_from_this<HttpServer::State> {
 public:
  State(asio::io_context& io, const HttpServerOptions& options, HttpPages pages)
      : options_(options), pages_(std::move(pages)), acceptor_(io), pause_(io) {}

  Result<void> open() {
    const auto address = asio::ip::make_address(options_.listen.address.to_string());
    const tcp::endpoint where(address, options_.listen.port);
    error_code ec;
    acceptor_.open(where.protocol(), ec);
    if (!ec) acceptor_.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec && address.is_v6()) acceptor_.set_option(asio::ip::v6_only(true), ec);
    if (!ec) acceptor_.bind(where, ec);
    if (!ec) acceptor_.listen(asio::socket_base::max_listen_connections, ec);
    if (!ec) return {};
    return Error{fmt::format("cannot listen on {}: {}", options_.listen.to_string(), ec.message()), ec.value()};
  }

  void accept() {
    acceptor_.async_accept([self = shared_from_this()](error_code ec, tcp::socket socket) {
      if (self->stopped_) return;
      if (!ec) {
        self->admit(std::move(socket));
        return self->accept();
      }
      self->pause_.expires_after(kAcceptPause);
      self->pause_.async_wait([self](error_code) {
        if (!self->stopped_) self->accept();
      });
    });
  }

  void stop() {
    stopped_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
    for (const auto& client : std::vector<std::shared_ptr<StreamConnection>>(clients_.begin(), clients_.end())) {
      client->close();
    }
  }

  Endpoint address() const {
    error_code ignored;
    return {options_.listen.address, acceptor_.local_endpoint(ignored).port()};
  }

 private:
  void admit(tcp::socket socket) {
    if (clients_.size() >= options_.max_clients) {
      const auto quiet = std::find_if(clients_.begin(), clients_.end(), [](const auto& c) { return c->idle(); });
      if (quiet == clients_.end()) return;
      const std::shared_ptr<StreamConnection> victim = *quiet;
      victim->close();
    }
    auto client = std::make_shared<StreamConnection>(
        std::move(socket), std::make_unique<HttpSession>(pages_), options_.stall_timeout,
        [weak = weak_from_this()](StreamConnection* gone) {
          if (const auto state = weak.lock()) state->clients_.remove_if([gone](const auto& c) { return c.get() == gone; });
        });
    clients_.push_back(client);
    client->start();
  }

  const HttpServerOptions options_;
  const HttpPages pages_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::list<std::shared_ptr<StreamConnection>> clients_;  // in the order of their arrival
  bool stopped_ = false;
};

HttpServer::HttpServer(std::shared_ptr<State> state) : state_(std::move(state)) {}
HttpServer::~HttpServer() { state_->stop(); }

Endpoint HttpServer::address() const { return state_->address(); }

Result<std::unique_ptr<HttpServer>> HttpServer::listen(asio::io_context& io, const HttpServerOptions& options,
                                                       HttpPages pages) {
  auto state = std::make_shared<State>(io, options, std::move(pages));
  if (auto ok = state->open(); !ok) return ok.error();
  state->accept();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

}  // namespace greywire::control
