#include "routing/zapi/session.h"

#include <fmt/format.h>

#include <algorithm>

namespace greywire::routing::zapi {
namespace {

constexpr std::uint8_t kUnicast = 1;
constexpr std::uint16_t kLowestErrorCommand = 100;
constexpr std::uint16_t kOldHello = 18;
constexpr std::uint16_t kNewHello = 19;

// Before the release is known, an ERROR is told by its shape alone: interface events may come in between.
bool answers_invalid_command(const Frame& frame) {
  if (frame.command < kLowestErrorCommand) return false;
  const auto code = decode_error(frame.body);
  return code && *code == kErrorInvalidCommand;
}

SourceState to_source_state(Session::State state) {
  switch (state) {
    case Session::State::kStopped:
    case Session::State::kWaiting:
      return SourceState::kDown;
    case Session::State::kConnecting:
      return SourceState::kConnecting;
    case Session::State::kProbing:
    case Session::State::kGreeting:
      return SourceState::kIdentifying;
    case Session::State::kDumping:
      return SourceState::kSyncing;
    case Session::State::kSynced:
      return SourceState::kSynced;
  }
  return SourceState::kDown;
}

}  // namespace

Session::Session(std::string name, RouteSourceListener& listener, const SessionTiming& timing)
    : name_(std::move(name)), listener_(listener), timing_(timing), backoff_(timing.backoff_min) {}

void Session::enter(State state, std::string_view detail, TimePoint now) {
  state_ = state;
  listener_.on_source_state(to_source_state(state), release(), detail, now);
}

void Session::send(Bytes bytes) {
  actions_.push_back({Action::Kind::kSend, std::move(bytes)});
}

std::optional<Session::Action> Session::next_action() {
  if (actions_.empty()) return std::nullopt;
  auto action = std::move(actions_.front());
  actions_.pop_front();
  return action;
}

void Session::start(TimePoint now) {
  if (state_ != State::kStopped) return;
  actions_.push_back({Action::Kind::kConnect, {}});
  deadline_ = now + timing_.reply_timeout;
  enter(State::kConnecting, {}, now);
}

void Session::stop(TimePoint now) {
  if (state_ == State::kStopped) return;
  actions_.clear();
  if (state_ != State::kWaiting) actions_.push_back({Action::Kind::kClose, {}});
  deadline_ = kNever;
  frames_.reset();
  decoder_ = {};
  enter(State::kStopped, "stopped", now);
}

void Session::fail(std::string_view why, TimePoint now) {
  actions_.clear();
  actions_.push_back({Action::Kind::kClose, {}});
  frames_.reset();
  decoder_ = {};
  deadline_ = now + backoff_;
  backoff_ = std::min(backoff_ * 2, timing_.backoff_max);
  if (why != last_trouble_) {
    last_trouble_ = why;
    listener_.on_source_notice(fmt::format("{}: {}; trying again", name_, why));
  }
  enter(State::kWaiting, last_trouble_, now);
}

void Session::connected(TimePoint now) {
  if (state_ != State::kConnecting) return;
  ++counters_.connections;
  frames_.reset();
  send(encode_probe());
  deadline_ = now + timing_.reply_timeout;
  enter(State::kProbing, {}, now);
}

void Session::connect_failed(std::string_view why, TimePoint now) {
  if (state_ == State::kConnecting) fail(why, now);
}

void Session::closed(std::string_view why, TimePoint now) {
  if (is_connected()) fail(why, now);
}

void Session::handle_expiry(TimePoint now) {
  if (now < deadline_) return;
  switch (state_) {
    case State::kStopped:
    case State::kSynced:
      deadline_ = kNever;
      return;
    case State::kWaiting:
      state_ = State::kStopped;
      start(now);
      return;
    case State::kConnecting:
    case State::kProbing:
    case State::kGreeting:
    case State::kDumping:
      ++counters_.timeouts;
      fail(
          state_ == State::kDumping ? "zebra fell silent in the middle of its dump" : "zebra does not answer",
          now);
  }
}

void Session::received(std::span<const std::uint8_t> bytes, TimePoint now) {
  if (!is_connected()) return;
  if (state_ == State::kDumping) deadline_ = now + timing_.dump_timeout;
  frames_.feed(bytes);
  while (is_connected()) {
    const auto frame = frames_.next();
    if (!frame) {
      ++counters_.bad_framing;
      fail(frame.error().text, now);
      return;
    }
    if (!*frame) return;
    ++counters_.messages;
    handle(**frame, now);
  }
}

void Session::handle(const Frame& frame, TimePoint now) {
  switch (state_) {
    case State::kProbing:
      return handle_probe_answer(frame, now);
    case State::kGreeting:
      return handle_greeting_answer(frame, now);
    case State::kDumping:
    case State::kSynced:
      return handle_stream(frame, now);
    default:
      return;
  }
}

void Session::refuse_release(std::string_view detail, TimePoint now) {
  ++counters_.unknown_release;
  backoff_ = timing_.backoff_max;
  fail(fmt::format("this release of FRR is not known ({}); FRR 7.5 to 10.7 are", detail), now);
}

void Session::handle_probe_answer(const Frame& frame, TimePoint now) {
  if (!answers_invalid_command(frame)) {
    ++counters_.skipped;
    return;
  }
  error_command_ = frame.command;
  if (has_hello(error_command_, kOldHello)) return greet(kOldHello, now);
  if (has_hello(error_command_, kNewHello)) return greet(kNewHello, now);
  refuse_release(fmt::format("ERROR is command {}", error_command_), now);
}

void Session::greet(std::uint16_t hello_command, TimePoint now) {
  hello_command_ = hello_command;
  send(encode_hello(hello_command, injects_ ? injected_type(hello_command) : std::uint8_t{0}));
  deadline_ = now + timing_.reply_timeout;
  enter(State::kGreeting, {}, now);
}

void Session::handle_greeting_answer(const Frame& frame, TimePoint now) {
  if (frame.command == error_command_ && answers_invalid_command(frame)) {
    if (hello_command_ == kOldHello && has_hello(error_command_, kNewHello)) return greet(kNewHello, now);
    return refuse_release(
        fmt::format("ERROR is command {}, and HELLO is not {}", error_command_, hello_command_), now);
  }
  if (frame.command != hello_command_ + 1) {
    ++counters_.skipped;
    return;
  }
  const auto length = static_cast<std::uint16_t>(frame.body.size());
  const auto found = find_dialects(error_command_, hello_command_, length);
  if (!found.empty()) return subscribe(found, now);
  refuse_release(fmt::format("ERROR is command {}, HELLO {}, CAPABILITIES has {} bytes", error_command_,
                             hello_command_, length),
                 now);
}

void Session::subscribe(std::span<const Dialect> dialects, TimePoint now) {
  dialect_ = &dialects.front();
  decoder_ = RouteDecoder(dialects);
  injected_.clear();
  send_injected();
  ask_for_all(now);
}

void Session::resync(TimePoint now) {
  if (state_ != State::kSynced) return;
  // A second subscription gives no second dump; the end of the first gives no withdrawals.
  send(encode_redistribute_delete(*dialect_, Afi::kIpv4, dialect_->bgp));
  send(encode_redistribute_delete(*dialect_, Afi::kIpv6, dialect_->bgp));
  ask_for_all(now);
}

void Session::inject(std::set<Prefix> prefixes, std::uint32_t ifindex) {
  injects_ = true;
  if (ifindex != inject_ifindex_) injected_.clear();  // an ADD replaces
  to_inject_ = std::move(prefixes);
  inject_ifindex_ = ifindex;
  if (state_ >= State::kDumping) send_injected();
}

void Session::send_injected() {
  for (const Prefix& prefix : injected_) {
    if (to_inject_.count(prefix) == 0) send(encode_route_delete(*dialect_, prefix));
  }
  for (const Prefix& prefix : to_inject_) {
    if (injected_.count(prefix) == 0) send(encode_route_add(*dialect_, prefix, inject_ifindex_));
  }
  injected_ = to_inject_;
}

void Session::ask_for_all(TimePoint now) {
  send(encode_redistribute_add(*dialect_, Afi::kIpv4, dialect_->bgp));
  send(encode_redistribute_add(*dialect_, Afi::kIpv6, dialect_->bgp));
  send(encode_probe());
  deadline_ = now + timing_.dump_timeout;
  enter(State::kDumping, {}, now);
}

void Session::handle_stream(const Frame& frame, TimePoint now) {
  if (frame.command == dialect_->route_add || frame.command == dialect_->route_del)
    return handle_route(frame, now);
  if (frame.command == dialect_->error) return handle_error(frame, now);
  if (dialect_->close_notify != 0 && frame.command == dialect_->close_notify) {
    const auto protocol = decode_close_notify(frame.body);
    if (!protocol) {
      ++counters_.bad_messages;
      return fail(protocol.error().text, now);
    }
    // Withdrawals follow by themselves, except under graceful restart, where the routes are to stay.
    if (*protocol == dialect_->bgp) listener_.on_source_notice(fmt::format("{}: bgpd left", name_));
    return;
  }
  ++counters_.skipped;
}

void Session::handle_route(const Frame& frame, TimePoint now) {
  auto decoded = decoder_.decode(frame.body);
  if (!decoded) {
    ++counters_.bad_messages;
    return fail(decoded.error().text, now);
  }
  if (frame.vrf != 0 || decoded->type != dialect_->bgp || decoded->instance != 0 ||
      decoded->safi != kUnicast || decoded->source || decoded->table) {
    ++counters_.skipped;
    return;
  }
  if (frame.command == dialect_->route_del) {
    ++counters_.withdrawals;
    return listener_.on_withdraw(decoded->prefix, now);
  }
  ++counters_.routes;
  route_.prefix = decoded->prefix;
  route_.next_hops = std::move(decoded->next_hops);
  listener_.on_route(route_, now);
}

void Session::handle_error(const Frame& frame, TimePoint now) {
  const auto code = decode_error(frame.body);
  if (code && *code == kErrorInvalidCommand && state_ == State::kDumping) {
    // Answers are in order, so this one to the second probe stands behind the last route of the dump.
    deadline_ = kNever;
    backoff_ = timing_.backoff_min;
    last_trouble_.clear();
    ++counters_.dumps;
    return enter(State::kSynced, {}, now);
  }
  ++counters_.bad_messages;
  fail(code ? fmt::format("zebra refused a request (error {})", *code) : code.error().text, now);
}

}  // namespace greywire::routing::zapi
