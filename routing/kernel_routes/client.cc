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
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "routing/source_connection.h"

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

class Client::Connection final : public SourceConnection<Session> {
 public:
  Connection(asio::io_context& io, Filter filter, RouteSourceListener& listener, std::function<TimePoint()> now,
             const SessionTiming& timing)
      : SourceConnection(io, listener, std::move(now), std::move(filter), listener, timing), wait_(io) {}

 private:
  std::shared_ptr<Connection> self() { return std::static_pointer_cast<Connection>(shared_from_this()); }

  void perform(const Session::Action& action) override {
    switch (action.kind) {
      case Session::Action::Kind::kOpen:
        open();
        break;
      case Session::Action::Kind::kSend:
        send(action.bytes);
        break;
      case Session::Action::Kind::kClose:
        close();
        break;
    }
  }

  void open() {
    socket_.reset(nl_socket_alloc());
    if (socket_ == nullptr) return session_.open_failed("no memory for a netlink socket", now());
    nl_socket_disable_seq_check(socket_.get());
    int error = nl_connect(socket_.get(), NETLINK_ROUTE);
    constexpr std::array kGroups = {RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE};
    for (const auto group : kGroups) {
      if (error >= 0) error = nl_socket_add_membership(socket_.get(), group);
    }
    if (error >= 0) error = nl_socket_set_nonblocking(socket_.get());
    if (error < 0) {
      socket_.reset();
      return session_.open_failed(fmt::format("no netlink socket: {}", nl_geterror(error)), now());
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
    session_.opened(now());
    wait();
  }

  void close_handle() override {
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
                     [self = self(), generation = generation()](error_code error) {
                       if (error || self->is_stale(generation)) return;
                       self->read();
                       self->proceed();
                       if (!self->is_stale(generation)) self->wait();
                     });
  }

  void read() {
    const auto opened = generation();
    for (int i = 0; i < kReadsAtOnce && !is_stale(opened) && socket_ != nullptr; ++i) {
      sockaddr_nl from{};
      unsigned char* raw = nullptr;
      const int received = nl_recv(socket_.get(), &from, &raw, nullptr);
      const std::unique_ptr<unsigned char, decltype(&std::free)> buffer(raw, &std::free);
      if (received == -NLE_AGAIN || received == 0) return session_.drained(now());
      if (received == -NLE_NOMEM) {  // ENOBUFS
        session_.overrun();
        continue;
      }
      if (received < 0) return session_.closed(nl_geterror(received), now());
      if (from.nl_pid != 0) continue;  // not the kernel
      session_.received({buffer.get(), static_cast<std::size_t>(received)}, now());
      // The next request of a dump goes out before the next read.
      while (session_.state() >= Session::State::kSyncing) {
        const auto action = session_.next_action();
        if (!action) break;
        perform(*action);
      }
      if (session_.state() < Session::State::kSyncing) return;
    }
  }

  std::unique_ptr<nl_sock, SocketDeleter> socket_;
  asio::posix::stream_descriptor wait_;
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
