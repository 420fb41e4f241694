#include "routing/zapi/client.h"

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <vector>

#include <fmt/format.h>

namespace greywire::routing::zapi {

namespace asio = boost::asio;
using boost::system::error_code;
using Protocol = asio::local::stream_protocol;

namespace {

constexpr std::size_t kReadBytes = 256 * 1024;

std::string describe(const error_code& error) {
  if (error == asio::error::eof) return "zebra closed the connection";
  if (error == asio::error::access_denied) {
    return "permission denied (the socket belongs to user frr: run as root or frr)";
  }
  if (error == asio::error::connection_refused) return "zebra is not running (connection refused)";
  if (error == boost::system::errc::no_such_file_or_directory) return "zebra is not running (no such socket)";
  return error.message();
}

}  // namespace

// Shared, so that handlers that are still queued when the client goes find something to look at.
// `generation_` tells the handlers of a connection that was closed from those of the present one.
class Client::Connection : public std::enable_shared_from_this<Client::Connection> {
 public:
  Connection(asio::io_context& io, std::string path, RouteSourceListener& listener,
             std::function<TimePoint()> now, const SessionTiming& timing)
      : path_(std::move(path)),
        listener_(listener),
        now_(std::move(now)),
        session_(fmt::format("zebra ({})", path_), listener, timing),
        socket_(io),
        timer_(io),
        buffer_(kReadBytes) {}

  void start() {
    session_.start(now_());
    proceed();
  }

  void stop() {
    session_.stop(now_());
    proceed();
  }

  void resync() {
    session_.resync(now_());
    proceed();
  }

  void inject(std::set<Prefix> prefixes, std::uint32_t ifindex) {
    session_.inject(std::move(prefixes), ifindex);
    proceed();
  }

  void abandon() {
    abandoned_ = true;
    close();
    timer_.cancel();
  }

  void rearm() {
    const auto deadline = std::min(session_.next_expiry(), listener_.next_deadline());
    if (deadline == armed_for_) return;
    armed_for_ = deadline;
    if (deadline == kNever) {
      timer_.cancel();
      return;
    }
    timer_.expires_after(std::max(deadline - now_(), Duration::zero()));
    timer_.async_wait([self = shared_from_this()](error_code error) { self->on_timer(error); });
  }

  const Session& session() const { return session_; }

 private:
  void proceed() {
    while (const auto action = session_.next_action()) {
      switch (action->kind) {
        case Session::Action::Kind::kConnect:
          connect();
          break;
        case Session::Action::Kind::kSend:
          unsent_.insert(unsent_.end(), action->bytes.begin(), action->bytes.end());
          break;
        case Session::Action::Kind::kClose:
          close();
          break;
      }
    }
    write();
    rearm();
  }

  void connect() {
    const auto generation = ++generation_;
    Protocol::endpoint endpoint;
    try {
      endpoint = Protocol::endpoint(path_);
    } catch (const boost::system::system_error&) {
      session_.connect_failed("the path is too long for a unix socket (107 bytes)", now_());
      return;
    }
    socket_.async_connect(endpoint, [self = shared_from_this(), generation](error_code error) {
      if (self->is_stale(generation)) return;
      if (error) {
        self->session_.connect_failed(describe(error), self->now_());
      } else {
        self->session_.connected(self->now_());
        self->read();
      }
      self->proceed();
    });
  }

  void read() {
    socket_.async_read_some(asio::buffer(buffer_), [self = shared_from_this(), generation = generation_](
                                                       error_code error, std::size_t bytes) {
      if (self->is_stale(generation)) return;
      if (error) {
        self->session_.closed(describe(error), self->now_());
        self->proceed();
        return;
      }
      self->session_.received(std::span(self->buffer_).first(bytes), self->now_());
      self->proceed();
      if (!self->is_stale(generation)) self->read();
    });
  }

  void write() {
    if (unsent_.empty() || !sending_.empty()) return;
    sending_.swap(unsent_);
    asio::async_write(socket_, asio::buffer(sending_),
                      [self = shared_from_this(), generation = generation_](error_code error, std::size_t) {
                        if (self->is_stale(generation)) return;
                        self->sending_.clear();
                        if (error) self->session_.closed(describe(error), self->now_());
                        self->proceed();
                      });
  }

  void close() {
    ++generation_;
    error_code ignored;
    socket_.close(ignored);
    unsent_.clear();
    sending_.clear();
  }

  void on_timer(error_code error) {
    if (abandoned_ || error == asio::error::operation_aborted) return;
    armed_for_ = kNever;
    const auto now = now_();
    if (now >= session_.next_expiry()) session_.handle_expiry(now);
    if (now >= listener_.next_deadline()) listener_.tick(now);
    proceed();
  }

  bool is_stale(std::uint64_t generation) const { return abandoned_ || generation != generation_; }

  const std::string path_;
  RouteSourceListener& listener_;
  const std::function<TimePoint()> now_;
  Session session_;
  Protocol::socket socket_;
  asio::steady_timer timer_;
  TimePoint armed_for_ = kNever;
  std::vector<std::uint8_t> buffer_;
  Bytes unsent_;
  Bytes sending_;
  std::uint64_t generation_ = 0;
  bool abandoned_ = false;
};

Client::Client(asio::io_context& io, std::string socket_path, RouteSourceListener& listener,
               std::function<TimePoint()> now, const SessionTiming& timing)
    : connection_(
          std::make_shared<Connection>(io, std::move(socket_path), listener, std::move(now), timing)) {}

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
