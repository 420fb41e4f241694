// Who gets an initiation, in which order and when: no device, no clock.
#include "router/wireguard/endpoint_race.h"

#include <gtest/gtest.h>

#include <string>

namespace greywire::wireguard {
namespace {

const TimePoint kStart{std::chrono::seconds(100)};

Endpoint at(const std::string& text) { return Endpoint::parse(text).value(); }

const Endpoint kA = at("192.0.2.1:51820"), kB = at("[2001:db8::2]:51820"), kC = at("192.0.2.3:51820"),
               kHere = at("203.0.113.9:4000");

// Everybody who gets a copy of this attempt; each a quarter of a second after the one before.
std::vector<Endpoint> attempt(EndpointRace& race, const Endpoint& current, bool working, unsigned number) {
  std::vector<Endpoint> got{race.begin(current, working, number, kStart)};
  TimePoint now = kStart;
  while (race.next_at() != kNever) {
    EXPECT_EQ(race.next_at() - now, std::chrono::milliseconds(250));
    now = race.next_at();
    got.push_back(race.take_next(now));
  }
  return got;
}

TEST(EndpointRace, OneEndpointGetsEveryAttempt) {
  EndpointRace race;
  for (const unsigned n : {1U, 2U, 19U}) EXPECT_EQ(attempt(race, kHere, false, n), std::vector{kHere});
  race.set_candidates({kHere}, kStart);
  for (const unsigned n : {1U, 2U, 19U}) EXPECT_EQ(attempt(race, kHere, true, n), std::vector{kHere});
}

TEST(EndpointRace, EachAttemptStartsWithAnother) {
  EndpointRace race;
  race.set_candidates({kA, kB, kC}, kStart);
  struct Case {
    Endpoint current;
    bool working;
    unsigned number;
    std::vector<Endpoint> order;
  };
  for (const auto& c : {Case{kA, false, 1, {kA, kB, kC}}, Case{kB, false, 1, {kB, kA, kC}},
                        Case{kA, false, 2, {kB, kC, kA}}, Case{kA, false, 3, {kC, kA, kB}},
                        Case{kA, false, 4, {kA, kB, kC}}, Case{kHere, false, 1, {kHere, kA, kB, kC}},
                        Case{kHere, false, 2, {kA, kB, kC, kHere}}, Case{{}, false, 1, {kA, kB, kC}},
                        Case{kA, true, 1, {kA}}, Case{kHere, true, 1, {kHere}},
                        Case{kHere, true, 2, {kA, kB, kC, kHere}}}) {
    EXPECT_EQ(attempt(race, c.current, c.working, c.number), c.order)
        << c.current.to_string() << " attempt " << c.number;
  }
}

TEST(EndpointRace, AnAnswerEndsIt) {
  EndpointRace race;
  race.set_candidates({kA, kB}, kStart);
  EXPECT_EQ(race.begin(kA, false, 1, kStart), kA);
  race.end();
  EXPECT_EQ(race.next_at(), kNever);
  race.set_candidates({kA, kB, kC}, kStart);
  EXPECT_EQ(race.next_at(), kNever) << "nothing is under way that a new candidate could join";
}

TEST(EndpointRace, NewCandidatesJoinTheAttemptThatIsUnderWay) {
  EndpointRace race;
  race.set_candidates({kA}, kStart);
  EXPECT_EQ(race.begin(kA, false, 1, kStart), kA);
  EXPECT_EQ(race.next_at(), kNever);
  const TimePoint later = kStart + std::chrono::seconds(2);
  race.set_candidates({kB, kC}, later);
  EXPECT_EQ(race.next_at(), later);
  EXPECT_EQ(race.take_next(later), kB);
  EXPECT_EQ(race.take_next(race.next_at()), kC);
  EXPECT_EQ(race.next_at(), kNever);
}

TEST(EndpointRace, AfterACookieTheNextAttemptStartsWhereItCameFrom) {
  EndpointRace race;
  race.set_candidates({kA, kB, kC}, kStart);
  EXPECT_EQ(race.begin(kA, false, 1, kStart), kA);
  race.prefer(kA);
  EXPECT_EQ(race.begin(kA, false, 2, kStart), kA);
  EXPECT_EQ(race.begin(kA, false, 3, kStart), kC) << "for one attempt";
}

TEST(EndpointRace, ManyCandidatesAndRepetitionsAreCut) {
  EndpointRace race;
  std::vector<Endpoint> many{kA, kA};
  for (std::uint16_t port = 1; port < 100; ++port) many.push_back({kC.address, port, 0});
  race.set_candidates(many, kStart);
  EXPECT_EQ(race.candidates().size(), EndpointRace::kMaxCandidates);
  EXPECT_EQ(attempt(race, kHere, false, 1).size(), EndpointRace::kMaxCandidates + 1);
}

}  // namespace
}  // namespace greywire::wireguard
