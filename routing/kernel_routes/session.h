// The session with the kernel's routing tables as a pure state machine: open a socket that hears of changes, read links, next
// hop objects and the routes of both families, then follow the changes.
//
//   kWaiting ─► kOpening ─► kSyncing ─► kSynced ─┐ read everything again: after a lost message (ENOBUFS), a link that went up
//      ▲            │           │           │ ▲──┘ or down, an address or next hop object that went away, or when asked
//      └────────────┴── an error, silence or a message that cannot be
//
// The kernel takes IPv4 routes away without a word when their link goes down, their preferred source or their next hop
// object goes away, and marks single next hops dead. So such events are an occasion to read everything again, at most a
// fifth of the time; what stands stays until then, and only what a whole and undisturbed reading does not show is withdrawn.
//
// The caller performs the actions in order (next_action() until it is empty, after every call), tells what came of them, and
// calls handle_expiry() at next_expiry(). Control thread only.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "router/base/time.h"
#include "routing/kernel_routes/codec.h"
#include "routing/kernel_routes/kernel_table.h"
#include "routing/route.h"

namespace greywire::routing::kernel {

struct SessionTiming {
  Duration dump_timeout = std::chrono::seconds(30);  // without a byte
  Duration settle = std::chrono::milliseconds(50);   // from an event to reading everything again
  Duration backoff_min = std::chrono::milliseconds(200);
  Duration backoff_max = std::chrono::seconds(10);
};

class Session {
 public:
  enum class State : std::uint8_t { kStopped, kWaiting, kOpening, kSyncing, kSynced };
  struct Action {
    enum class Kind : std::uint8_t { kOpen, kSend, kClose } kind;
    Bytes bytes;  // kSend
  };

  // The listener outlives the session.
  Session(Filter filter, RouteSourceListener& listener, const SessionTiming& timing = {});

  void start(TimePoint now);
  void stop(TimePoint now);
  void resync(TimePoint now);

  void opened(TimePoint now);
  void open_failed(std::string_view why, TimePoint now);
  // What one read gave: whole messages, aligned for nlmsghdr.
  void received(std::span<const std::uint8_t> bytes, TimePoint now);
  // ENOBUFS: changes were lost, and more are, without another word, until everything that waits has been read. What waits is
  // older than what was lost, so everything is read again after drained() only.
  void overrun();
  void drained(TimePoint now);
  void closed(std::string_view why, TimePoint now);

  std::optional<Action> next_action();
  TimePoint next_expiry() const;
  void handle_expiry(TimePoint now);

  State state() const { return state_; }
  const SourceCounters& counters() const { return counters_; }
  const KernelTable& table() const { return table_; }

 private:
  enum class Stage : std::uint8_t { kIdle, kLinks, kNextHops, kRoutesV4, kRoutesV6 };

  bool is_open() const { return state_ >= State::kSyncing; }
  void enter(State state, std::string_view detail, TimePoint now);
  void fail(std::string_view why, TimePoint now);
  void begin_dump(TimePoint now);
  void ask(Stage stage, TimePoint now);
  void stage_done(TimePoint now);
  void end_dump(TimePoint now);
  void read_again_soon(TimePoint now);
  Result<void> handle(const nlmsghdr* message, TimePoint now);
  Result<void> handle_route(const nlmsghdr* message, bool dumped, TimePoint now);
  Result<void> handle_next_hop(const nlmsghdr* message, TimePoint now);
  Result<void> handle_link(const nlmsghdr* message, TimePoint now);
  Result<void> handle_end(const nlmsghdr* message, TimePoint now);

  RouteSourceListener& listener_;
  const SessionTiming timing_;
  const std::uint32_t table_number_;
  KernelTable table_;
  State state_ = State::kStopped;
  TimePoint deadline_ = kNever;  // of waiting, or of silence in a dump
  TimePoint again_at_ = kNever;  // read everything again
  Duration backoff_;
  std::string last_trouble_;  // said once, until it changes or everything was read
  std::deque<Action> actions_;

  Stage stage_ = Stage::kIdle;
  std::uint32_t sequence_ = 0;
  bool congested_ = false;  // changes are being lost
  bool disturbed_ = false;  // this dump does not show everything
  TimePoint dump_began_{};
  TimePoint rest_until_{};
  std::unordered_map<std::uint32_t, bool> links_up_;
  SourceCounters counters_;
};

}  // namespace greywire::routing::kernel
