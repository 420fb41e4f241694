// The session with zebra as a pure state machine: connect, find out the release, HELLO, subscribe to BGP's
// routes of both families, read the dump up to the barrier, then follow the changes. Any trouble ends the
// session; another follows after a backoff. HELLO claims no protocol unless routes are to be injected; then it is
// NHRP's, and zebra takes our routes away when the session ends.
//
//   kWaiting ─► kConnecting ─► kProbing ─► kGreeting ─► kDumping ─► kSynced
//      ▲             │             │            │           │          │
//      └─────────────┴─────────────┴── closed, silence, or a message that cannot be ───┘
//
// The caller performs the actions in order (next_action() until it is empty, after every call), tells what
// came of them, and calls handle_expiry() at next_expiry(). Routes and states go to the listener as they
// come. Control thread only.
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "router/base/time.h"
#include "routing/route.h"
#include "routing/zapi/codec.h"

namespace greywire::routing::zapi {

struct SessionTiming {
  Duration reply_timeout =
      std::chrono::seconds(2);  // a HELLO of the wrong length is silently ignored by zebra
  Duration dump_timeout = std::chrono::seconds(30);  // without a byte, while the barrier is outstanding
  Duration backoff_min = std::chrono::milliseconds(200);
  Duration backoff_max = std::chrono::seconds(10);
};

class Session {
 public:
  enum class State : std::uint8_t { kStopped, kWaiting, kConnecting, kProbing, kGreeting, kDumping, kSynced };
  struct Action {
    enum class Kind : std::uint8_t { kConnect, kSend, kClose } kind;
    Bytes bytes;  // kSend
  };

  // `name` is how notices call the source, e.g. "zebra (/run/frr/zserv.api)". The listener outlives the
  // session.
  Session(std::string name, RouteSourceListener& listener, const SessionTiming& timing = {});

  void start(TimePoint now);
  void stop(TimePoint now);  // closes; start() may follow
  void resync(TimePoint now);  // when synced: subscribes anew, which makes zebra send all of it

  // Routes of ours in zebra: these and no others, over this interface. The first call must come before start(), since it is
  // HELLO that claims the route type.
  void inject(std::set<Prefix> prefixes, std::uint32_t ifindex);
  std::size_t injected() const { return injected_.size(); }  // as told to zebra

  void connected(TimePoint now);
  void connect_failed(std::string_view why, TimePoint now);
  void received(std::span<const std::uint8_t> bytes, TimePoint now);  // any cut of the stream
  void closed(std::string_view why, TimePoint now);                   // EOF or an error of the socket

  std::optional<Action> next_action();
  TimePoint next_expiry() const { return deadline_; }
  void handle_expiry(TimePoint now);

  State state() const { return state_; }
  std::string release() const { return decoder_.release(); }
  const SourceCounters& counters() const { return counters_; }

 private:
  bool is_connected() const { return state_ >= State::kProbing; }
  void enter(State state, std::string_view detail, TimePoint now);
  void send(Bytes bytes);
  void fail(std::string_view why, TimePoint now);
  void handle(const Frame& frame, TimePoint now);
  void handle_probe_answer(const Frame& frame, TimePoint now);
  void handle_greeting_answer(const Frame& frame, TimePoint now);
  void handle_stream(const Frame& frame, TimePoint now);
  void handle_route(const Frame& frame, TimePoint now);
  void handle_error(const Frame& frame, TimePoint now);
  void greet(std::uint16_t hello_command, TimePoint now);
  void subscribe(std::span<const Dialect> dialects, TimePoint now);
  void ask_for_all(TimePoint now);
  void send_injected();
  void refuse_release(std::string_view detail, TimePoint now);

  const std::string name_;
  RouteSourceListener& listener_;
  const SessionTiming timing_;

  State state_ = State::kStopped;
  TimePoint deadline_ = kNever;
  Duration backoff_;
  std::string last_trouble_;  // said once, until it changes or a dump is complete
  FrameReader frames_;
  std::deque<Action> actions_;

  std::uint16_t error_command_ = 0;
  std::uint16_t hello_command_ = 0;
  const Dialect* dialect_ = nullptr;  // command numbers: the same in all candidates of the decoder
  RouteDecoder decoder_;
  Route route_;  // reused, so that a dump allocates little
  bool injects_ = false;
  std::set<Prefix> to_inject_;
  std::set<Prefix> injected_;  // in this session
  std::uint32_t inject_ifindex_ = 0;
  SourceCounters counters_;
};

}  // namespace greywire::routing::zapi
