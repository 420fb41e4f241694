#include "routing/kernel_routes/session.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace greywire::routing::kernel {
namespace {

constexpr int kRestFactor = 4;  // of the time that reading everything took

SourceState to_source_state(Session::State state) {
  switch (state) {
    case Session::State::kStopped:
    case Session::State::kWaiting:
      return SourceState::kDown;
    case Session::State::kOpening:
      return SourceState::kConnecting;
    case Session::State::kSyncing:
      return SourceState::kSyncing;
    case Session::State::kSynced:
      return SourceState::kSynced;
  }
  return SourceState::kDown;
}

// With it the kernel takes the IPv4 routes that prefer this address.
bool is_own_address_gone(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_DELROUTE || message->nlmsg_len < NLMSG_HDRLEN + sizeof(rtmsg)) return false;
  return static_cast<const rtmsg*>(NLMSG_DATA(message))->rtm_type == RTN_LOCAL;
}

}  // namespace

Session::Session(Filter filter, RouteSourceListener& listener, const SessionTiming& timing)
    : listener_(listener),
      timing_(timing),
      table_number_(filter.table),
      table_(std::move(filter), listener),
      backoff_(timing.backoff_min) {}

void Session::enter(State state, std::string_view detail, TimePoint now) {
  state_ = state;
  listener_.on_source_state(to_source_state(state), is_open() ? "the kernel's table" : "", detail, now);
}

std::optional<Session::Action> Session::next_action() {
  if (actions_.empty()) return std::nullopt;
  auto action = std::move(actions_.front());
  actions_.pop_front();
  return action;
}

void Session::start(TimePoint now) {
  if (state_ != State::kStopped) return;
  actions_.push_back({Action::Kind::kOpen, {}});
  deadline_ = kNever;
  enter(State::kOpening, {}, now);
}

void Session::stop(TimePoint now) {
  if (state_ == State::kStopped) return;
  actions_.clear();
  if (is_open()) actions_.push_back({Action::Kind::kClose, {}});
  deadline_ = again_at_ = kNever;
  stage_ = Stage::kIdle;
  enter(State::kStopped, "stopped", now);
}

void Session::fail(std::string_view why, TimePoint now) {
  actions_.clear();
  if (is_open()) actions_.push_back({Action::Kind::kClose, {}});
  if (stage_ != Stage::kIdle) table_.end_dump(false, now);
  stage_ = Stage::kIdle;
  again_at_ = kNever;
  deadline_ = now + backoff_;
  backoff_ = std::min(backoff_ * 2, timing_.backoff_max);
  if (why != last_trouble_) {
    last_trouble_ = why;
    listener_.on_source_notice(fmt::format("the kernel's routes: {}; trying again", why));
  }
  enter(State::kWaiting, last_trouble_, now);
}

void Session::opened(TimePoint now) {
  if (state_ != State::kOpening) return;
  ++counters_.connections;
  congested_ = false;
  enter(State::kSyncing, {}, now);
  begin_dump(now);
}

void Session::open_failed(std::string_view why, TimePoint now) {
  if (state_ == State::kOpening) fail(why, now);
}

void Session::closed(std::string_view why, TimePoint now) {
  if (is_open()) fail(why, now);
}

void Session::overrun() {
  if (!is_open()) return;
  ++counters_.overruns;
  congested_ = true;
  disturbed_ = true;
}

void Session::drained(TimePoint now) {
  if (!std::exchange(congested_, false) || !is_open()) return;
  if (stage_ == Stage::kIdle) read_again_soon(now);
}

void Session::resync(TimePoint now) {
  if (state_ != State::kSynced) return;
  again_at_ = now;
  enter(State::kSyncing, {}, now);
}

TimePoint Session::next_expiry() const {
  return stage_ == Stage::kIdle && !congested_ ? std::min(deadline_, again_at_) : deadline_;
}

void Session::handle_expiry(TimePoint now) {
  if (now < next_expiry()) return;
  switch (state_) {
    case State::kStopped:
    case State::kOpening:
      return;
    case State::kWaiting:
      state_ = State::kStopped;
      return start(now);
    case State::kSyncing:
    case State::kSynced:
      if (stage_ == Stage::kIdle) return begin_dump(now);
      ++counters_.timeouts;
      return fail("the kernel fell silent in the middle of its tables", now);
  }
}

void Session::begin_dump(TimePoint now) {
  again_at_ = kNever;
  disturbed_ = congested_;
  dump_began_ = now;
  table_.begin_dump();
  ask(Stage::kLinks, now);
}

void Session::ask(Stage stage, TimePoint now) {
  constexpr Dump kDumps[] = {Dump::kLinks, Dump::kLinks, Dump::kNextHops, Dump::kRoutesV4, Dump::kRoutesV6};
  stage_ = stage;
  deadline_ = now + timing_.dump_timeout;
  actions_.push_back({Action::Kind::kSend, encode_dump(kDumps[static_cast<std::size_t>(stage)], table_number_, ++sequence_)});
}

void Session::stage_done(TimePoint now) {
  if (stage_ != Stage::kRoutesV6) return ask(static_cast<Stage>(static_cast<std::uint8_t>(stage_) + 1), now);
  end_dump(now);
}

void Session::end_dump(TimePoint now) {
  stage_ = Stage::kIdle;
  deadline_ = kNever;
  table_.end_dump(!disturbed_, now);
  rest_until_ = now + kRestFactor * (now - dump_began_);
  if (disturbed_ || again_at_ != kNever) {
    again_at_ = kNever;
    read_again_soon(now);
  }
  if (disturbed_) return;
  ++counters_.dumps;
  backoff_ = timing_.backoff_min;
  last_trouble_.clear();
  if (state_ != State::kSynced) enter(State::kSynced, {}, now);
}

void Session::read_again_soon(TimePoint now) {
  if (again_at_ == kNever) again_at_ = std::max(now + timing_.settle, rest_until_);
}

void Session::received(std::span<const std::uint8_t> bytes, TimePoint now) {
  if (!is_open()) return;
  if (stage_ != Stage::kIdle) deadline_ = now + timing_.dump_timeout;
  MessageReader reader(bytes);
  while (is_open()) {
    const auto message = reader.next();
    if (!message) {
      ++counters_.bad_framing;
      return fail(message.error().text, now);
    }
    if (*message == nullptr) break;
    ++counters_.messages;
    if (const auto handled = handle(*message, now); !handled) {
      ++counters_.bad_messages;
      return fail(handled.error().text, now);
    }
  }
  if (is_open() && table_.take_doubt()) read_again_soon(now);
}

Result<void> Session::handle(const nlmsghdr* message, TimePoint now) {
  // Others' changes carry the sequence numbers of their requests, but are never parts of several.
  const bool dumped = (message->nlmsg_flags & NLM_F_MULTI) != 0;
  if (dumped && (message->nlmsg_seq != sequence_ || stage_ == Stage::kIdle)) return {};  // of a dump that was given up
  // Of links and next hop objects nothing is missed: their changes come besides.
  if (dumped && (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0 && stage_ >= Stage::kRoutesV4) disturbed_ = true;
  switch (message->nlmsg_type) {
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return handle_route(message, dumped, now);
    case RTM_NEWNEXTHOP:
    case RTM_DELNEXTHOP:
      return handle_next_hop(message, now);
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return handle_link(message, now);
    case NLMSG_DONE:
    case NLMSG_ERROR:
      return handle_end(message, now);
    default:
      ++counters_.skipped;
      return {};
  }
}

Result<void> Session::handle_route(const nlmsghdr* message, bool dumped, TimePoint now) {
  if (is_own_address_gone(message)) {
    read_again_soon(now);
    return {};
  }
  auto route = decode_route(message);
  if (!route) return route.error();
  if (!*route) {
    ++counters_.skipped;
    return {};
  }
  if (message->nlmsg_type == RTM_DELROUTE) {
    ++counters_.withdrawals;
    table_.removed(std::move(**route), now);
  } else {
    ++counters_.routes;
    if (dumped) {
      table_.dumped(std::move(**route), now);
    } else {
      table_.changed(std::move(**route), message->nlmsg_flags, now);
    }
  }
  return {};
}

Result<void> Session::handle_next_hop(const nlmsghdr* message, TimePoint now) {
  auto object = decode_next_hop(message);
  if (!object) return object.error();
  if (!*object) return {};
  if (message->nlmsg_type == RTM_DELNEXTHOP) {
    table_.next_hop_removed((*object)->id);
  } else {
    table_.next_hop_changed(std::move(**object), now);
  }
  return {};
}

Result<void> Session::handle_link(const nlmsghdr* message, TimePoint now) {
  const auto link = decode_link(message);
  if (!link) return link.error();
  if (!*link) return {};
  const auto known = links_up_.find((*link)->ifindex);
  const bool is_known = known != links_up_.end();
  const bool was_up = is_known && known->second;
  if (message->nlmsg_type == RTM_DELLINK) {
    if (is_known) links_up_.erase(known);
    if (was_up) read_again_soon(now);
    return {};
  }
  links_up_[(*link)->ifindex] = (*link)->up;
  // A link that is new had no routes, and those of a dump come before the routes.
  if (is_known && was_up != (*link)->up && (message->nlmsg_flags & NLM_F_MULTI) == 0) read_again_soon(now);
  return {};
}

Result<void> Session::handle_end(const nlmsghdr* message, TimePoint now) {
  if (stage_ == Stage::kIdle || message->nlmsg_seq != sequence_) return {};
  const auto code = decode_error(message);
  if (!code) return code.error();
  switch (*code) {
    case 0:
    case ENOENT:         // no such table
    case EOPNOTSUPP:     // no next hop objects, or no IPv6
    case EAFNOSUPPORT:
      stage_done(now);
      return {};
    default:
      return Error{fmt::format("cannot read them: {}", std::strerror(*code))};
  }
}

}  // namespace greywire::routing::kernel
