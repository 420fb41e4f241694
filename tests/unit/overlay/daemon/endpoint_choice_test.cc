// When names are asked, and what is tried in which order: in virtual time.
#include "overlay/daemon/endpoint_choice.h"

#include <gtest/gtest.h>

namespace greywire::daemon {
namespace {

using std::chrono::seconds;

const TimePoint kStart{seconds(1000)};

config::PeerEndpoint configured(const char* text) { return config::PeerEndpoint::parse(text).value(); }
Endpoint at(const char* text) { return Endpoint::parse(text).value(); }
ResolvedAddress found(const char* address, int ttl) { return {IpAddress::parse(address).value(), 0, seconds(ttl)}; }

TEST(EndpointChoice, AddressesNeedNoLookup) {
  EndpointChoice choice({configured("[2001:db8::1]:7"), configured("192.0.2.1:8")});
  EXPECT_TRUE(choice.due(kStart).empty());
  EXPECT_EQ(choice.next_deadline(), kNever);
  EXPECT_EQ(choice.candidates(), (std::vector{at("[2001:db8::1]:7"), at("192.0.2.1:8")}));
  choice.set_stale(true, kStart);
  EXPECT_TRUE(choice.due(kStart + seconds(100)).empty());
}

TEST(EndpointChoice, FamiliesInTurnWithinEachEndpointInTheOrderOfTheConfig) {
  EndpointChoice choice({configured("a.example:1"), configured("192.0.2.99:2"), configured("b.example:3")});
  const auto lookups = choice.due(kStart);
  ASSERT_EQ(lookups.size(), 2U);
  EXPECT_EQ(lookups[0].host, "a.example");
  EXPECT_EQ(lookups[1].host, "b.example");
  EXPECT_EQ(choice.candidates(), std::vector{at("192.0.2.99:2")});
  const ResolvedAddress of_a[] = {found("192.0.2.2", 60), found("192.0.2.1", 60), found("192.0.2.3", 60),
                                  found("2001:db8::1", 60)};
  EXPECT_TRUE(choice.answered(lookups[0].which, of_a, kStart));
  const ResolvedAddress of_b[] = {found("2001:db8::b", 60)};
  EXPECT_TRUE(choice.answered(lookups[1].which, of_b, kStart));
  EXPECT_EQ(choice.candidates(),
            (std::vector{at("[2001:db8::1]:1"), at("192.0.2.1:1"), at("192.0.2.2:1"), at("192.0.2.3:1"),
                         at("192.0.2.99:2"), at("[2001:db8::b]:3")}));
}

TEST(EndpointChoice, AsksAgainWhenTheShortestTtlIsOver) {
  struct Case {
    int ttl, other, after;
  };
  for (const auto& c : {Case{60, 300, 60}, Case{300, 60, 60}, Case{0, 60, 10}, Case{3, 3, 10},
                        Case{86400, 90000, 3600}}) {
    EndpointChoice choice({configured("a.example:1")});
    ASSERT_EQ(choice.due(kStart).size(), 1U);
    EXPECT_TRUE(choice.due(kStart).empty()) << "it is under way";
    EXPECT_EQ(choice.next_deadline(), kNever);
    const ResolvedAddress answer[] = {found("192.0.2.1", c.ttl), found("192.0.2.2", c.other)};
    EXPECT_TRUE(choice.answered(0, answer, kStart + seconds(1)));
    EXPECT_EQ(choice.next_deadline(), kStart + seconds(1 + c.after)) << c.ttl;
    EXPECT_TRUE(choice.due(kStart + seconds(c.after)).empty());
    EXPECT_EQ(choice.due(kStart + seconds(1 + c.after)).size(), 1U);
  }
}

TEST(EndpointChoice, TheSameAddressesInAnotherOrderAreNoChange) {
  EndpointChoice choice({configured("a.example:1")});
  (void)choice.due(kStart);
  const ResolvedAddress one[] = {found("192.0.2.1", 60), found("2001:db8::1", 60)};
  const ResolvedAddress other[] = {found("2001:db8::1", 30), found("192.0.2.1", 30)};
  const ResolvedAddress moved[] = {found("192.0.2.7", 30)};
  EXPECT_TRUE(choice.answered(0, one, kStart));
  EXPECT_FALSE(choice.answered(0, other, kStart));
  EXPECT_TRUE(choice.answered(0, moved, kStart));
  EXPECT_EQ(choice.candidates(), std::vector{at("192.0.2.7:1")});
}

TEST(EndpointChoice, AFailureOrAnEmptyAnswerKeepsWhatWasKnown) {
  EndpointChoice choice({configured("a.example:1")});
  (void)choice.due(kStart);
  const ResolvedAddress one[] = {found("192.0.2.1", 60)};
  choice.answered(0, one, kStart);
  (void)choice.due(kStart + seconds(60));
  choice.failed(0, kStart + seconds(61));
  EXPECT_EQ(choice.candidates(), std::vector{at("192.0.2.1:1")});
  EXPECT_EQ(choice.next_deadline(), kStart + seconds(71));
  (void)choice.due(kStart + seconds(71));
  EXPECT_FALSE(choice.answered(0, {}, kStart + seconds(72)));
  EXPECT_EQ(choice.candidates(), std::vector{at("192.0.2.1:1")});
  EXPECT_EQ(choice.next_deadline(), kStart + seconds(82));
}

TEST(EndpointChoice, WhileThePeerDoesNotAnswerItAsksLessAndLessOften) {
  EndpointChoice choice({configured("a.example:1")});
  const ResolvedAddress one[] = {found("192.0.2.1", 3600)};
  (void)choice.due(kStart);
  choice.answered(0, one, kStart);
  TimePoint now = kStart + seconds(100);
  choice.set_stale(true, now);
  std::vector<seconds> waits;
  for (int round = 0; round < 7; ++round) {
    const TimePoint asked = choice.next_deadline();
    choice.set_stale(true, asked);  // said again and again
    ASSERT_EQ(choice.due(asked).size(), 1U);
    choice.set_stale(true, asked);
    choice.answered(0, one, asked);
    waits.push_back(std::chrono::duration_cast<seconds>(asked - now));
    now = asked;
  }
  EXPECT_EQ(waits, (std::vector<seconds>{seconds(0), seconds(5), seconds(10), seconds(20), seconds(40), seconds(80),
                                         seconds(80)}));
  choice.set_stale(false, now);
  choice.set_stale(true, now + seconds(1));
  EXPECT_EQ(choice.next_deadline(), now + seconds(5)) << "not twice within the shortest wait";
}

TEST(EndpointChoice, StaleIsWhoIsNotReachedOrWaitsForAHandshakeTooLong) {
  struct Case {
    std::optional<bool> reachable;
    bool pending;
    std::optional<seconds> age;
    bool stale;
  };
  for (const auto& c : {Case{true, true, seconds(500), false}, Case{false, false, seconds(1), true},
                        Case{{}, false, {}, false}, Case{{}, true, {}, true}, Case{{}, true, seconds(135), false},
                        Case{{}, true, seconds(136), true}, Case{{}, false, seconds(1000), false}}) {
    EXPECT_EQ(is_stale(c.reachable, c.pending, c.age), c.stale);
  }
}

}  // namespace
}  // namespace greywire::daemon
