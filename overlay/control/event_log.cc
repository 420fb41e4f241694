#include "overlay/control/event_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>

namespace greywire::control {
namespace {

std::string time_text(WallTime at) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(at.seconds)), at.nanoseconds / 1'000'000);
}

}  // namespace

void EventLog::add(std::string_view event, WallTime at, boost::json::object detail) {
  boost::json::object entry;
  entry["sequence"] = ++last_;
  entry["time"] = time_text(at);
  entry["event"] = event;
  for (auto& member : detail) entry[member.key()] = std::move(member.value());
  events_.push_back(std::move(entry));
  if (events_.size() > kMaxEvents) events_.pop_front();
}

boost::json::object EventLog::since(std::uint64_t after) const {
  if (after > last_) after = 0;
  const std::uint64_t oldest = last_ - events_.size();  // the number before the first that is kept
  const std::uint64_t from = std::max(after, oldest);
  boost::json::array events;
  for (auto i = from - oldest; i < events_.size() && events.size() < kMaxAtOnce; ++i) events.push_back(events_[i]);
  boost::json::object out;
  out["last"] = from + events.size();
  out["lost"] = from - after;
  out["events"] = std::move(events);
  return out;
}

}  // namespace greywire::control
