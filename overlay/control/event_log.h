// What happened at a running site, for `greywire events`: the last kMaxEvents, numbered from 1, so that who asks again gets
// what is new and learns how many he missed. Control thread.
//
// One event is one JSON object: {"sequence":7,"time":"2026-01-02T03:04:05.678Z","event":"endpoint","peer":"fra",…}
//   handshake  peer, count                  endpoint  peer, from, to          peer      peer, state (up | down | held)
//   path_mtu   peer, path, from, to, why    route     prefix, state, peers    routes    changes: too many for one each
//   alert      text                         notice    text                    reload    done, changes, errors
//   confirm    confirmed (false: gone back), why
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <deque>
#include <string_view>

#include "router/base/time.h"

namespace greywire::control {

class EventLog {
 public:
  static constexpr std::size_t kMaxEvents = 2000;
  static constexpr std::size_t kMaxAtOnce = 500;

  void add(std::string_view event, WallTime at, boost::json::object detail);

  // {"last":N,"lost":M,"events":[…]} of the events after `after`, the oldest first, at most kMaxAtOnce. A number that was
  // never given out belongs to an earlier run of the daemon: then all of them.
  boost::json::object since(std::uint64_t after) const;
  std::uint64_t last() const { return last_; }

 private:
  std::deque<boost::json::object> events_;
  std::uint64_t last_ = 0;
};

}  // namespace greywire::control
