#include "routing/kernel_routes/client.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace greywire::routing::kernel {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr int kReceiveBufferBytes = 16 << 20;
constexpr int kReadsAtOnce = 64;  // of up to 32 kB; others get their turn then

struct SocketDeleter {
  void operator()(nl_sock* socket) const { nl_socket_free(socket); }
};

}  // namespace

// Shared, so that handlers that are still queued when the client goes find something to look at.
class Client::Connection : public std::enable_shared_from_this<Client::Connection> {
 public:
  Connection(asio::io_context& io, Filter filter, RouteSourceListener& listener, std::function<TimePoint()> now,
             const SessionTiming& timing)
      : listener_(listener), now_(std::move(now)), session_(std::move(filter), listener, timing), wait_(io), timer_(io) {}

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
  void abandon() {
    abandoned_ = true;
    close();
    timer_.cancel();
  }
  const Session& session() const { return session_; }

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

 private:
  void proceed() {
    while (const auto action = session_.next_action()) {
      switch (action->kind) {
        case Session::Action::Kind::kOpen:
          open();
          break;
        case Session::Action::Kind::kSend:
          send(action->bytes);
          break;
        case Session::Action::Kind::kClose:
          close();
          break;
      }
    }
    rearm();
  }

  void open() {
    socket_.reset(nl_socket_alloc());
    if (socket_ == nullptr) return session_.open_failed("no memory for a netlink socket", now_());
    nl_socket_disable_seq_check(socket_.get());
    int error = nl_connect(socket_.get(), NETLINK_ROUTE);
    constexpr std::array kGroups = {RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE};
    for (const auto group : kGroups) {
      if (error >= 0) error = nl_socket_add_membership(socket_.get(), group);
    }
    if (error >= 0) error = nl_socket_set_nonblocking(socket_.get());
    if (error < 0) {
      socket_.reset();
      return session_.open_failed(fmt::format("no netlink socket: {}", nl_geterror(error)), now_());
    }
    (void)nl_socket_add_membership(socket_.get(), RTNLGRP_NEXTHOP);  // since Linux 5.3
    const int fd = nl_socket_get_fd(socket_.get());
    const int on = 1;
    (void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);  // dumps of one table alone
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBufferBytes, sizeof kReceiveBufferBytes) != 0) {
      (void)nl_socket_set_buffer_size(socket_.get(), kReceiveBufferBytes, 0);
    }
    nl_socket_enable_msg_peek(socket_.get());
    wait_.assign(::dup(fd));
    session_.opened(now_());
    wait();
  }

  void close() {
    ++generation_;
    error_code ignored;
    wait_.close(ignored);
    socket_.reset();
  }

  // What does not go out is answered by nobody, so the session's time-out is the way out.
  void send(const Bytes& bytes) {
    if (socket_ == nullptr) return;
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    (void)::sendto(nl_socket_get_fd(socket_.get()), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&kernel),
                   sizeof kernel);
  }

  void wait() {
    wait_.async_wait(asio::posix::descriptor_base::wait_read,
                     [self = shared_from_this(), generation = generation_](error_code error) {
                       if (error || self->is_stale(generation)) return;
                       self->read();
                       self->proceed();
                       if (!self->is_stale(generation)) self->wait();
                     });
  }

  void read() {
    const auto generation = generation_;
    for (int i = 0; i < kReadsAtOnce && !is_stale(generation) && socket_ != nullptr; ++i) {
      sockaddr_nl from{};
      unsigned char* raw = nullptr;
      const int received = nl_recv(socket_.get(), &from, &raw, nullptr);
      const std::unique_ptr<unsigned char, decltype(&std::free)> buffer(raw, &std::free);
      if (received == -NLE_AGAIN || received == 0) return session_.drained(now_());
      if (received == -NLE_NOMEM) {  // ENOBUFS
        session_.overrun();
        continue;
      }
      if (received < 0) return session_.closed(nl_geterror(received), now_());
      if (from.nl_pid != 0) continue;  // not the kernel
      session_.received({buffer.get(), static_cast<std::size_t>(received)}, now_());
      // The next request of a dump goes out before the next read.
      while (session_.state() >= Session::State::kSyncing) {
        const auto action = session_.next_action();
        if (!action) break;
        if (action->kind == Session::Action::Kind::kSend) send(action->bytes);
      }
      if (session_.state() < Session::State::kSyncing) return;
    }
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

  RouteSourceListener& listener_;
  const std::function<TimePoint()> now_;
  Session session_;
  std::unique_ptr<nl_sock, SocketDeleter> socket_;
  asio::posix::stream_descriptor wait_;
  asio::steady_timer timer_;
  TimePoint armed_for_ = kNever;
  std::uint64_t generation_ = 0;
  bool abandoned_ = false;
};

Client::Client(asio::io_context& io, Filter filter, RouteSourceListener& listener, std::function<TimePoint()> now,
               const SessionTiming& timing)
    : connection_(std::make_shared<Connection>(io, std::move(filter), listener, std::move(now), timing)) {}

Client::~Client() { connection_->abandon(); }

void Client::start() { connection_->start(); }
void Client::stop() { connection_->stop(); }
void Client::resync() { connection_->resync(); }
void Client::rearm() { connection_->rearm(); }
const SourceCounters& Client::counters() const { return connection_->session().counters(); }

}  // namespace greywire::routing::kernel
