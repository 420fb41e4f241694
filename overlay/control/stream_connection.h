// One client of a stream server, over any stream socket of Asio's: it carries bytes between the socket and a StreamSession.
// A client that stops in the middle of a request, or does not read its reply, is cut off after `stall_timeout`. What came in
// and went out is wiped: it may hold keys. The pending operations keep the object alive; close() makes them all end.
// The io_context's one thread.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "overlay/control/stream_session.h"

namespace greywire::control {

class StreamConnection : public std::enable_shared_from_this<StreamConnection> {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;

  // `on_closed` is called once, with this object, when the connection has ended for whatever reason.
  StreamConnection(Socket socket, std::unique_ptr<StreamSession> session, std::chrono::milliseconds stall_timeout,
                   std::function<void(StreamConnection*)> on_closed);
  ~StreamConnection();

  void start() { read(); }
  bool idle() const { return session_->idle() && reply_.empty() && input_begin_ == input_end_; }
  // The session learns of the end, so that what a client said before it went away counts.
  void close();

 private:
  void wipe_reply();
  void arm_deadline();
  void read();
  void end_of_input();
  void work();
  void write();

  Socket socket_;
  boost::asio::steady_timer deadline_;
  std::unique_ptr<StreamSession> session_;
  std::chrono::milliseconds stall_timeout_;
  std::function<void(StreamConnection*)> on_closed_;
  std::vector<char> input_;
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;
  std::string reply_;
  std::size_t written_ = 0;
  bool closed_ = false;
};

}  // namespace greywire::control
