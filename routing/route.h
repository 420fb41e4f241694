// What a source of routes (zebra's ZAPI, the kernel's tables) says: routes, withdrawals, and how the source itself is doing.
//
// Control thread only. Sources call a RouteSourceListener; the routing adapter is one.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "router/base/ip_address.h"
#include "router/base/time.h"

namespace greywire::routing {

// One next hop as the routing protocol has it, one level, unresolved (a recursive one has ifindex 0).
struct NextHop {
  enum class Kind : std::uint8_t { kGateway, kInterface, kBlackhole };

  Kind kind = Kind::kGateway;
  std::uint32_t vrf = 0;      // 0 is the default VRF
  std::uint32_t ifindex = 0;  // 0: not said
  IpAddress gateway;          // kGateway only
  std::uint64_t weight = 1;   // relative, among the next hops of one route

  friend bool operator==(const NextHop&, const NextHop&) = default;
};

// A route of the default VRF with all its paths. Without next hops it is unreachable.
struct Route {
  Prefix prefix;
  std::vector<NextHop> next_hops;

  friend bool operator==(const Route&, const Route&) = default;
};

enum class SourceState : std::uint8_t {
  kDown,         // not connected; the detail says why; another attempt follows
  kConnecting,   // waiting for the socket
  kIdentifying,  // connected; finding out which release answers
  kSyncing,      // the dump of all routes is coming in
  kSynced,       // the dump is complete; changes follow as they happen
};
constexpr std::string_view source_state_name(SourceState state) {
  constexpr std::string_view kNames[] = {"down", "connecting", "identifying", "syncing", "synced"};
  return kNames[static_cast<std::uint8_t>(state)];
}

// Calls come in the order of the stream. `now` never goes back. Views are valid during the call.
class RouteSourceListener {
 public:
  virtual ~RouteSourceListener() = default;
  // An upsert: the complete new state of a prefix. Often repeated unchanged.
  virtual void on_route(const Route& route, TimePoint now) = 0;
  // The prefix may be unknown.
  virtual void on_withdraw(const Prefix& prefix, TimePoint now) = 0;
  // `release` is empty until known. kDown after kSyncing or kSynced means that the stream broke.
  virtual void on_source_state(SourceState state, std::string_view release, std::string_view detail,
                               TimePoint now) = 0;
  // One plain line for the log.
  virtual void on_source_notice(std::string_view line) = 0;
  // The listener's own deadline (kNever for none), and the call that serves it: a source has the timer
  // already.
  virtual TimePoint next_deadline() const = 0;
  virtual void tick(TimePoint now) = 0;
};

// What came in and what was wrong with it; since the start of the process.
struct SourceCounters {
  std::uint64_t connections = 0;
  std::uint64_t messages = 0;
  std::uint64_t routes = 0;
  std::uint64_t withdrawals = 0;
  std::uint64_t skipped = 0;      // messages that are not ours to read: interfaces, other VRFs, other types
  std::uint64_t bad_framing = 0;  // sessions ended by a header that cannot be
  std::uint64_t bad_messages =
      0;                       // sessions ended by a message that was not consumed exactly, or made no sense
  std::uint64_t timeouts = 0;  // sessions ended by silence
  std::uint64_t unknown_release = 0;  // sessions ended because no known release answers like that
  std::uint64_t dumps = 0;            // complete tables, the first and those of a resync
  std::uint64_t overruns = 0;         // the kernel lost changes for us, so that all was read again
};

}  // namespace greywire::routing
