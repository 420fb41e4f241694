// What the connections of all route sources do alike: carry out what the session asks for, and run its deadlines and the
// listener's by one timer. A source derives from it and adds its handle (a socket) with what reads and writes it.
//
// Shared, so that handlers that are still queued when the client goes find something to look at; they ask is_stale() with the
// generation() of their time, which close() ends. One io_context thread.
#pragma once

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "router/base/time.h"
#include "routing/route.h"

namespace greywire::routing {

template <class Session>
class SourceConnection : public std::enable_shared_from_this<SourceConnection<Session>> {
 public:
  virtual ~SourceConnection() = default;

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
  void rearm() {
    const auto deadline = std::min(session_.next_expiry(), listener_.next_deadline());
    if (deadline == armed_for_) return;
    armed_for_ = deadline;
    if (deadline == kNever) {
      timer_.cancel();
      return;
    }
    timer_.expires_after(std::max(deadline - now_(), Duration::zero()));
    timer_.async_wait([self = this->shared_from_this()](boost::system::error_code error) { self->on_timer(error); });
  }
  const Session& session() const { return session_; }

 protected:
  // `arguments` are the session's.
  template <class... Arguments>
  SourceConnection(boost::asio::io_context& io, RouteSourceListener& listener, std::function<TimePoint()> now,
                   Arguments&&... arguments)
      : session_(std::forward<Arguments>(arguments)...), listener_(listener), now_(std::move(now)), timer_(io) {}

  virtual void perform(const typename Session::Action& action) = 0;
  virtual void performed() {}  // all actions that there were
  virtual void close_handle() = 0;

  // To be called after whatever told the session something.
  void proceed() {
    while (const auto action = session_.next_action()) perform(*action);
    performed();
    rearm();
  }
  void close() {
    ++generation_;
    close_handle();
  }
  std::uint64_t generation() const { return generation_; }
  bool is_stale(std::uint64_t generation) const { return abandoned_ || generation != generation_; }
  TimePoint now() const { return now_(); }

  Session session_;

 private:
  void on_timer(boost::system::error_code error) {
    if (abandoned_ || error == boost::asio::error::operation_aborted) return;
    armed_for_ = kNever;
    const auto now = now_();
    if (now >= session_.next_expiry()) session_.handle_expiry(now);
    if (now >= listener_.next_deadline()) listener_.tick(now);
    proceed();
  }

  RouteSourceListener& listener_;
  const std::function<TimePoint()> now_;
  boost::asio::steady_timer timer_;
  TimePoint armed_for_ = kNever;
  std::uint64_t generation_ = 0;
  bool abandoned_ = false;
};

}  // namespace greywire::routing
