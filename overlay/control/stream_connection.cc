#include "overlay/control/stream_connection.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "router/crypto/wipe.h"

namespace greywire::control {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t kReadSize = 64 * 1024;
constexpr std::size_t kWriteSize = 256 * 1024;

}  // namespace

StreamConnection::StreamConnection(Socket socket, std::unique_ptr<StreamSession> session,
                                   std::chrono::milliseconds stall_timeout,
                                   std::function<void(StreamConnection*)> on_closed)
    : socket_(std::move(socket)),
      deadline_(socket_.get_executor()),
      session_(std::move(session)),
      stall_timeout_(stall_timeout),
      on_closed_(std::move(on_closed)),
      input_(kReadSize) {}

StreamConnection::~StreamConnection() {
  wipe(input_.data(), input_.size());
  wipe_reply();
}

void StreamConnection::close() {
  if (closed_) return;
  closed_ = true;
  std::string unread;
  session_->end_of_input(unread);
  wipe(unread.data(), unread.size());
  deadline_.cancel();
  error_code ignored;
  socket_.close(ignored);
  if (on_closed_) std::exchange(on_closed_, {})(this);
}

void StreamConnection::wipe_reply() {
  wipe(reply_.data(), reply_.size());
  reply_.clear();
  reply_.shrink_to_fit();
  written_ = 0;
}

void StreamConnection::arm_deadline() {
  deadline_.expires_after(stall_timeout_);
  deadline_.async_wait([self = shared_from_this()](error_code ec) {
    // A handler that was queued before the deadline moved on must not end the connection.
    if (!ec && asio::steady_timer::clock_type::now() >= self->deadline_.expiry()) self->close();
  });
}

void StreamConnection::read() {
  if (idle()) {
    deadline_.cancel();
    deadline_.expires_at(asio::steady_timer::time_point::max());
  } else {
    arm_deadline();
  }
  socket_.async_read_some(asio::buffer(input_), [self = shared_from_this()](error_code ec, std::size_t size) {
    if (self->closed_) return;
    if (ec == asio::error::eof) return self->end_of_input();
    if (ec) return self->close();
    self->input_begin_ = 0;
    self->input_end_ = size;
    self->work();
  });
}

void StreamConnection::end_of_input() {
  session_->end_of_input(reply_);
  if (reply_.empty()) return close();
  write();
}

void StreamConnection::work() {
  while (input_begin_ < input_end_ && reply_.empty()) {
    const std::string_view rest(input_.data() + input_begin_, input_end_ - input_begin_);
    input_begin_ += session_->consume(rest, reply_);
  }
  if (input_begin_ == input_end_) wipe(input_.data(), input_end_);
  if (!reply_.empty()) return write();
  if (session_->finished()) return close();
  read();
}

void StreamConnection::write() {
  arm_deadline();
  const auto part = asio::buffer(reply_.data() + written_, std::min(kWriteSize, reply_.size() - written_));
  socket_.async_write_some(part, [self = shared_from_this()](error_code ec, std::size_t size) {
    if (self->closed_) return;
    if (ec) return self->close();
    self->written_ += size;
    if (self->written_ < self->reply_.size()) return self->write();
    self->wipe_reply();
    if (self->session_->finished()) return self->close();
    self->work();
  });
}

}  // namespace greywire::control
