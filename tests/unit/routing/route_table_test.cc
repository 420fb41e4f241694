#include "routing/route_table.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace greywire::routing {
namespace {

using namespace std::chrono_literals;

NextHop hop(const char* gateway, std::uint32_t ifindex = 5) {
  return {NextHop::Kind::kGateway, 0, ifindex, IpAddress::parse(gateway).value(), 1};
}
Route route(const char* prefix, std::vector<NextHop> hops) {
  return {Prefix::parse(prefix).value(), std::move(hops)};
}

TEST(RouteTable, KeepsAllPathsAndTellsChangesFromRepetitions) {
  RouteTable table;
  const auto a = hop("10.255.0.2");
  const auto b = hop("10.255.0.3");
  EXPECT_EQ(table.upsert(route("10.2.0.0/16", {a, b})).what, RouteTable::Upsert::kAdded);
  EXPECT_EQ(table.upsert(route("10.2.0.0/16", {b, a})).what, RouteTable::Upsert::kUnchanged);
  EXPECT_EQ(table.upsert(route("10.2.0.0/16", {a})).what, RouteTable::Upsert::kChanged);
  EXPECT_EQ(table.upsert(route("10.2.0.0/16", {hop("10.255.0.2", 6)})).what, RouteTable::Upsert::kChanged);
  EXPECT_EQ(table.upsert(route("10.2.0.0/17", {a})).what, RouteTable::Upsert::kAdded);
  EXPECT_EQ(table.size(), 2U);
  table.erase(Prefix::parse("10.2.0.0/16").value());
  table.erase(Prefix::parse("10.2.0.0/16").value());
  EXPECT_EQ(table.size(), 1U);
}

TEST(RouteTable, MarksAndSweeps) {
  RouteTable table;
  const TimePoint start(1h);
  table.upsert(route("10.1.0.0/16", {hop("10.255.0.2")}));
  table.upsert(route("10.2.0.0/16", {hop("10.255.0.2")}));
  EXPECT_EQ(table.next_sweep(), kNever);
  table.mark_stale(start + 10s);
  table.upsert(route("10.3.0.0/16", {hop("10.255.0.2")}));
  table.mark_stale(start + 20s);  // the first two keep their time
  EXPECT_EQ(table.stale(), 3U);
  EXPECT_EQ(table.next_sweep(), start + 10s);
  EXPECT_EQ(table.upsert(route("10.1.0.0/16", {hop("10.255.0.2")})).what, RouteTable::Upsert::kUnchanged);
  EXPECT_TRUE(table.sweep_due(start + 9s).empty());
  auto swept = table.sweep_due(start + 10s);
  ASSERT_EQ(swept.size(), 1U);
  EXPECT_EQ(swept[0].prefix.to_string(), "10.2.0.0/16");
  EXPECT_EQ(table.next_sweep(), start + 20s);
  swept = table.sweep_stale();
  ASSERT_EQ(swept.size(), 1U);
  EXPECT_EQ(swept[0].prefix.to_string(), "10.3.0.0/16");
  EXPECT_EQ(table.next_sweep(), kNever);
  EXPECT_EQ(table.stale(), 0U);
  EXPECT_EQ(table.size(), 1U);
}

TEST(RouteTable, ErasingTheLastStaleRouteEndsTheWait) {
  RouteTable table;
  table.upsert(route("10.1.0.0/16", {}));
  table.mark_stale(TimePoint(1h));
  table.erase(Prefix::parse("10.1.0.0/16").value());
  EXPECT_EQ(table.next_sweep(), kNever);
  EXPECT_EQ(table.stale(), 0U);
}

}  // namespace
}  // namespace greywire::routing
