#include "overlay/control/site_status.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "overlay/control/site_status_json.h"
#include "tests/net/lib/sample_status.h"

namespace greywire::control {
namespace {

namespace json = boost::json;
using testing::sample_status;

json::value through_text(const json::value& value) {
  return json::parse(json::serialize(value));
}

TEST(SiteStatusJson, RoundTrip) {
  for (const auto& status : {sample_status(), SiteStatus{}}) {
    const auto back = site_status_from_json(through_text(to_json(status)));
    ASSERT_TRUE(back) << back.error().text;
    EXPECT_EQ(*back, status);
  }
}

TEST(SiteStatusJson, RoutesAndExplainRoundTrip) {
  const RoutesReport routes{
      {{*Prefix::parse("10.2.0.0/16"), {"10.255.0.2", "fe80::1%gw0"}, "fra", "accepted", ""},
       {*Prefix::parse("::/0"), {}, "", "refused", "outside accept"}}};
  EXPECT_EQ(*routes_from_json(through_text(to_json(routes))), routes);
  ExplainReport explain;
  explain.address = *IpAddress::parse("fd00:2::5");
  explain.delivered = true;
  explain.match = *Prefix::parse("fd00:2::/48");
  explain.peer = "fra";
  explain.origin = "learned";
  explain.steps = {"one", "two"};
  EXPECT_EQ(*explain_from_json(through_text(to_json(explain))), explain);
}

TEST(SiteStatusJson, NamesCarryUnitsAndAbsentIsNull) {
  const auto value = to_json(sample_status());
  const auto& peers = value.at("peers").as_array();
  EXPECT_EQ(peers[0].at("handshake_age_seconds").to_number<int>(), 72);
  EXPECT_EQ(peers[0].at("round_trip_microseconds").to_number<int>(), 1234);
  EXPECT_EQ(peers[0].at("static_allowed_ips").as_array().size(), 2U);
  EXPECT_EQ(peers[0].at("learned_allowed_ips").as_array()[0].as_string(), "10.2.0.0/16");
  EXPECT_TRUE(peers[1].at("endpoint").is_null());
  EXPECT_TRUE(peers[1].at("handshake_age_seconds").is_null());
}

TEST(SiteStatusJson, OtherVersionsAreRead) {
  const auto status =
      site_status_from_json(json::parse(R"({"site":"ams","news":{"a":1},"peers":[{"name":"fra"}]})"));
  ASSERT_TRUE(status) << status.error().text;
  EXPECT_EQ(status->site, "ams");
  ASSERT_EQ(status->peers.size(), 1U);
  EXPECT_EQ(status->peers[0].name, "fra");
}

TEST(SiteStatusJson, ErrorsNameTheMember) {
  const struct {
    const char* json;
    const char* error;
  } cases[] = {
      {R"([])", "reply: expected an object"},
      {R"({"site":1})", "site: expected a string"},
      {R"({"listen_port":70000})", "listen_port: expected a whole number from 0 to 65535"},
      {R"({"listen_port":-1})", "listen_port: expected a whole number from 0 to 65535"},
      {R"({"peers":{}})", "peers: expected an array"},
      {R"({"peers":[{},{"endpoint":"x"}]})",
       "peers[1].endpoint: 'x' is not an endpoint (expected ADDRESS:PORT or [ADDRESS]:PORT)"},
      {R"({"peers":[{"alive":1}]})", "peers[0].alive: expected true or false"},
      {R"({"peers":[7]})", "peers[0]: expected an object"},
      {R"({"routing":{"state":null}})", "routing.state: expected a string"},
  };
  for (const auto& c : cases) {
    const auto status = site_status_from_json(json::parse(c.json));
    ASSERT_FALSE(status) << c.json;
    EXPECT_EQ(status.error().text, c.error) << c.json;
  }
}

TEST(DropReports, SortsAndLeavesOutZerosUnlessAllAreAskedFor) {
  const auto count = [](DropReason reason) -> std::uint64_t {
    return reason == DropReason::kBadTag ? 5 : reason == DropReason::kNoPeer ? 9 : 0;
  };
  const auto reports = drop_reports(count);
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0].reason, "no_peer");
  EXPECT_EQ(reports[0].packets, 9U);
  EXPECT_EQ(reports[1].reason, "bad_tag");
  EXPECT_EQ(drop_reports(count, true).size(), kDropReasonCount);
}

TEST(DropReports, EachSaysWhatItMeansAndWhatToDo) {
  for (const auto& report : drop_reports([](DropReason) { return 0; }, true)) {
    EXPECT_GE(report.meaning.size(), 10U) << report.reason;
    EXPECT_GE(report.advice.size(), 10U) << report.reason;
  }
}

}  // namespace
}  // namespace greywire::control
