#include "routing/zapi/client.h"

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <vector>

#include <fmt/format.h>

#include "routing/source_connection.h"

namespace greywire::routing::zapi {

namespace asio = boost::asio;
using boost::system::error_code;
using Protocol = asio::local::stream_protocol;

namespace {

constexpr std::size_t kReadBytes = 256 * 1024;

std::string describe(const error_code& error) {
  if (error == asio::error::eof) return "zebra closed the connection";
  if (error == asio::error::access_denied) {
    return "permission denied (the socket belongs to user frr: it takes CAP_DAC_OVERRIDE, or root with it)";
  }
  if (error == asio::error::connection_refused) return "zebra is not running (connection refused)";
  if (error == boost::system::errc::no_such_file_or_directory) return "zebra is not running (no such socket)";
  return error.message();
}

}  // namespace

class Client::Connection final : public SourceConnection<Session> {
 public:
  Connection(asio::io_context& io, std::string path, RouteSourceListener& listener, std::function<TimePoint()> now,
             const SessionTiming& timing, RightToConnect right)
      : SourceConnection(io, listener, std::move(now), fmt::format("zebra ({})", path), listener, timing),
        path_(std::move(path)),
        right_(std::move(right)),
        socket_(io),
        buffer_(kReadBytes) {}

  void inject(std::set<Prefix> prefixes, std::uint32_t ifindex) {
    session_.inject(std::move(prefixes), ifindex);
    proceed();
  }

 private:
  std::shared_ptr<Connection> self() { return std::static_pointer_cast<Connection>(shared_from_this()); }

  void perform(const Session::Action& action) override {
    switch (action.kind) {
      case Session::Action::Kind::kConnect:
        connect();
        break;
      case Session::Action::Kind::kSend:
        unsent_.insert(unsent_.end(), action.bytes.begin(), action.bytes.end());
        break;
      case Session::Action::Kind::kClose:
        close();
        break;
    }
  }
  void performed() override { write(); }

  void connect() {
    Protocol::endpoint endpoint;
    try {
      endpoint = Protocol::endpoint(path_);
    } catch (const boost::system::system_error&) {
      session_.connect_failed("the path is too long for a unix socket (107 bytes)", now());
      return;
    }
    const auto right = right_ ? right_() : nullptr;  // connect(2) is called here, and not later
    socket_.async_connect(endpoint, [self = self(), generation = generation()](error_code error) {
      if (self->is_stale(generation)) return;
      if (error) {
        self->session_.connect_failed(describe(error), self->now());
      } else {
        self->session_.connected(self->now());
        self->read();
      }
      self->proceed();
    });
  }

  void read() {
    socket_.async_read_some(asio::buffer(buffer_), [self = self(), generation = generation()](
                                                       error_code error, std::size_t bytes) {
      if (self->is_stale(generation)) return;
      if (error) {
        self->session_.closed(describe(error), self->now());
        self->proceed();
        return;
      }
      self->session_.received(std::span(self->buffer_).first(bytes), self->now());
      self->proceed();
      if (!self->is_stale(generation)) self->read();
    });
  }

  void write() {
    if (unsent_.empty() || !sending_.empty()) return;
    sending_.swap(unsent_);
    asio::async_write(socket_, asio::buffer(sending_),
                      [self = self(), generation = generation()](error_code error, std::size_t) {
                        if (self->is_stale(generation)) return;
                        self->sending_.clear();
                        if (error) self->session_.closed(describe(error), self->now());
                        self->proceed();
                      });
  }

  void close_handle() override {
    error_code ignored;
    socket_.close(ignored);
    unsent_.clear();
    sending_.clear();
  }

  const std::string path_;
  const RightToConnect right_;
  Protocol::socket socket_;
  std::vector<std::uint8_t> buffer_;
  Bytes unsent_;
  Bytes sending_;
};

Client::Client(asio::io_context& io, std::string socket_path, RouteSourceListener& listener,
               std::function<TimePoint()> now, const SessionTiming& timing, RightToConnect right)
    : connection_(
          std::make_shared<Connection>(io, std::move(socket_path), listener, std::move(now), timing, std::move(right))) {}

Client::~Client() {
  connection_->abandon();
}

void Client::start() {
  connection_->start();
}
void Client::stop() {
  connection_->stop();
}
void Client::inject(std::set<Prefix> prefixes, std::uint32_t ifindex) {
  connection_->inject(std::move(prefixes), ifindex);
}
void Client::resync() {
  connection_->resync();
}
void Client::rearm() {
  connection_->rearm();
}
Session::State Client::state() const {
  return connection_->session().state();
}
std::string Client::release() const {
  return connection_->session().release();
}
const SourceCounters& Client::counters() const {
  return connection_->session().counters();
}

}  // namespace greywire::routing::zapi
