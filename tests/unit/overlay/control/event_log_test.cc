#include "overlay/control/event_log.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace greywire::control {
namespace {

std::uint64_t number(const boost::json::object& answer, const char* name) { return answer.at(name).to_number<std::uint64_t>(); }

TEST(EventLog, WhoAsksAgainGetsWhatIsNew) {
  EventLog log;
  EXPECT_EQ(number(log.since(0), "last"), 0U);
  log.add("peer", {}, {{"peer", "a"}});
  log.add("alert", {}, {{"text", "b"}});
  const auto first = log.since(0);
  ASSERT_EQ(first.at("events").as_array().size(), 2U);
  EXPECT_EQ(first.at("events").as_array()[1].at("text").as_string(), "b");
  EXPECT_EQ(number(first, "last"), 2U);
  EXPECT_EQ(log.since(2).at("events").as_array().size(), 0U);
  log.add("peer", {}, {});
  const auto next = log.since(2);
  EXPECT_EQ(next.at("events").as_array().size(), 1U);
  EXPECT_EQ(number(next, "last"), 3U);
  EXPECT_EQ(number(next, "lost"), 0U);
}

TEST(EventLog, KeepsTheLastAndTellsWhatIsLost) {
  EventLog log;
  for (std::size_t i = 0; i < EventLog::kMaxEvents + 7; ++i) log.add("peer", {}, {});
  std::uint64_t after = 3;
  std::size_t seen = 0, lost = 0;
  for (;;) {
    const auto part = log.since(after);
    const auto& events = part.at("events").as_array();
    EXPECT_LE(events.size(), EventLog::kMaxAtOnce);
    if (events.empty()) break;
    if (seen == 0) {
      EXPECT_EQ(number(events[0].as_object(), "sequence"), 8U);
    }
    seen += events.size();
    lost += number(part, "lost");
    after = number(part, "last");
  }
  EXPECT_EQ(seen, EventLog::kMaxEvents);
  EXPECT_EQ(lost, 4U);
  EXPECT_EQ(after, log.last());
}

TEST(EventLog, ANumberOfAnEarlierRunStartsOver) {
  EventLog log;
  log.add("peer", {}, {});
  EXPECT_EQ(log.since(900).at("events").as_array().size(), 1U);
}

}  // namespace
}  // namespace greywire::control
