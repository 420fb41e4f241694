#include "routing/zapi/session.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/unit/routing/zapi/wire.h"

namespace greywire::routing::zapi {
namespace {

using namespace std::chrono_literals;
using State = Session::State;
using test::FakeZebra;

const Dialect& dialect_of(std::string_view release) {
  for (const auto& d : dialects()) {
    if (d.first_release == release) return d;
  }
  throw std::runtime_error("no such release in the table");
}

class Recorder final : public RouteSourceListener {
 public:
  void on_route(const Route& route, TimePoint) override {
    std::string text = "+" + route.prefix.to_string();
    for (const auto& hop : route.next_hops)
      text += " " + hop.gateway.to_string() + "@" + std::to_string(hop.ifindex);
    events.push_back(text);
  }
  void on_withdraw(const Prefix& prefix, TimePoint) override { events.push_back("-" + prefix.to_string()); }
  void on_source_state(SourceState state, std::string_view release, std::string_view detail,
                       TimePoint) override {
    events.push_back(std::string(source_state_name(state)));
    last_release = release;
    last_detail = detail;
  }
  void on_source_notice(std::string_view line) override { notices.emplace_back(line); }
  TimePoint next_deadline() const override { return kNever; }
  void tick(TimePoint) override {}

  std::vector<std::string> events;
  std::vector<std::string> notices;
  std::string last_release;
  std::string last_detail;
};

// A session and a zebra in virtual time, joined by a pipe that cuts at will.
struct Bench {
  explicit Bench(const Dialect& dialect = dialect_of("8.4"))
      : release(dialect), zebra(std::make_unique<FakeZebra>(dialect)) {}

  // Performs actions until there are none; true if the session wanted to connect.
  bool run() {
    bool wants_connection = false;
    while (const auto action = session.next_action()) {
      if (action->kind == Session::Action::Kind::kConnect) wants_connection = true;
      if (action->kind == Session::Action::Kind::kClose) ++closes;
      if (action->kind == Session::Action::Kind::kSend && zebra) receive(zebra->answer(action->bytes));
    }
    return wants_connection;
  }
  void receive(const Bytes& bytes) {
    const std::size_t step = cut == 0 ? bytes.size() : cut;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      session.received(std::span(bytes).subspan(at, std::min(step, bytes.size() - at)), now);
    }
  }
  void come_up() {
    session.start(now);
    ASSERT_TRUE(run());
    session.connected(now);
    run();
  }
  // Lets time pass to the next deadline.
  void expire() {
    now = session.next_expiry();
    session.handle_expiry(now);
  }

  const Dialect release;
  std::unique_ptr<FakeZebra> zebra;
  Recorder recorder;
  Session session{"zebra", recorder};
  TimePoint now = TimePoint(1h);
  std::size_t cut = 0;
  int closes = 0;
};

TEST(Session, FindsOutEveryReleaseAndSubscribesInItsDialect) {
  struct Case {
    const char* release;
    const char* name;
  };
  const Case cases[] = {
      {"7.5", "FRR 7.5"},           {"8.0", "FRR 8.0"},           {"8.1", "FRR 8.1"},
      {"8.2", "FRR 8.2 to 9.0"},    {"8.4", "FRR 8.2 to 9.0"},    {"9.0", "FRR 8.2 to 9.0"},
      {"9.1", "FRR 9.1"},           {"10.0", "FRR 10.0 to 10.1"}, {"10.1", "FRR 10.1"},
      {"10.2", "FRR 10.2 to 10.5"}, {"10.4", "FRR 10.2 to 10.5"}, {"10.6", "FRR 10.6 to 10.7+"}};
  for (const auto& c : cases) {
    for (std::size_t cut : {0U, 1U}) {
      SCOPED_TRACE(c.release);
      Bench bench(dialect_of(c.release));
      bench.cut = cut;
      bench.zebra->dump = test::route_add(bench.release, "10.2.0.0/16", {{"10.255.0.2"}});
      bench.come_up();
      EXPECT_EQ(bench.session.state(), State::kSynced);
      EXPECT_EQ(bench.recorder.last_release, c.name);
      EXPECT_EQ(bench.session.next_expiry(), kNever);
      EXPECT_EQ(bench.recorder.events.back(), "synced");
      EXPECT_EQ(bench.recorder.events.at(bench.recorder.events.size() - 2), "+10.2.0.0/16 10.255.0.2@5");

      const auto& seen = bench.zebra->seen;
      const auto& bodies = bench.zebra->bodies;
      ASSERT_GE(seen.size(), 5U);
      const std::vector<std::uint16_t> end{bench.release.redistribute_add, bench.release.redistribute_add,
                                           0xffff};
      EXPECT_EQ(std::vector(seen.end() - 3, seen.end()), end);
      EXPECT_EQ(bodies.at(bodies.size() - 3), (Bytes{1, bench.release.bgp, 0, 0}));
      EXPECT_EQ(bodies.at(bodies.size() - 2), (Bytes{2, bench.release.bgp, 0, 0}));
      EXPECT_EQ(seen.front(), 0xffff);
      for (std::size_t i = 0; i < seen.size(); ++i) {
        EXPECT_TRUE(seen[i] != bench.release.hello || bodies[i][0] == 0) << "HELLO claims a protocol";
      }
    }
  }
}

TEST(Session, RefusesAnUnknownReleaseAndLeavesItAlone) {
  struct Case {
    const char* what;
    std::uint16_t error, hello, capabilities_length;
  };
  const Case cases[] = {{"ERROR 130", 130, 19, 9},
                        {"ERROR 120 with 15 bytes", 120, 19, 15},
                        {"ERROR 118 with 12", 118, 18, 12}};
  for (const auto& c : cases) {
    auto dialect = dialect_of("10.6");
    dialect.error = c.error;
    dialect.hello = c.hello;
    dialect.capabilities_length = c.capabilities_length;
    Bench bench(dialect);
    bench.come_up();
    EXPECT_EQ(bench.session.state(), State::kWaiting) << c.what;
    EXPECT_EQ(bench.session.counters().unknown_release, 1U) << c.what;
    EXPECT_EQ(bench.closes, 1) << c.what;
    EXPECT_EQ(bench.session.next_expiry() - bench.now, Duration(10s)) << c.what;
    ASSERT_EQ(bench.recorder.notices.size(), 1U);
    EXPECT_NE(bench.recorder.notices[0].find("release of FRR is not known"), std::string::npos);
    for (const auto command : bench.zebra->seen)
      EXPECT_TRUE(command >= 0xffff || command == 18 || command == 19);
  }
}

TEST(Session, EventsThatNobodyAskedForDoNotDisturbTheHandshake) {
  const auto interface_events = test::read_capture("12_if_events_8.4.4_rx.bin");
  Bench bench;
  bench.session.start(bench.now);
  bench.run();
  bench.session.connected(bench.now);
  bench.receive(interface_events);
  bench.run();
  EXPECT_EQ(bench.session.state(), State::kSynced);
  bench.receive(interface_events);
  EXPECT_EQ(bench.session.state(), State::kSynced);
  EXPECT_EQ(bench.session.counters().skipped, 22U + 0U);
}

TEST(Session, PlaysARealDumpAndItsChanges) {
  Bench bench;
  bench.come_up();
  bench.recorder.events.clear();
  bench.receive(test::read_capture("03_updates_8.4.4_rx.bin"));
  EXPECT_EQ(bench.session.state(), State::kSynced);
  ASSERT_EQ(bench.recorder.events.size(), 23U);
  EXPECT_EQ(bench.recorder.events[0], "+100.64.3.0/24 192.0.2.4@2");
  EXPECT_EQ(bench.recorder.events[3], "-100.64.3.0/24");
  EXPECT_EQ(bench.recorder.events[5], "+100.64.1.0/24 10.0.0.3@0");
  EXPECT_EQ(bench.recorder.events[20], "-2001:db8:500::/48");

  // Static, kernel and connected routes are not BGP's.
  bench.recorder.events.clear();
  bench.receive(test::read_capture("06_redist_injected_8.4.4_rx.bin"));
  EXPECT_EQ(bench.session.state(), State::kSynced);
  EXPECT_TRUE(bench.recorder.events.empty());

  bench.receive(test::read_capture("09_zebra_term_8.4.4_rx.bin"));
  EXPECT_EQ(bench.recorder.notices.back(), "zebra: bgpd left");
  bench.session.closed("zebra closed the connection", bench.now);
  EXPECT_EQ(bench.recorder.events.back(), "down");
}

TEST(Session, TakesOnlyUnicastBgpOfInstanceZeroInTheDefaultVrf) {
  Bench bench;
  bench.come_up();
  bench.recorder.events.clear();
  const auto body = test::route_body(bench.release, "10.2.0.0/16", {{"10.255.0.2"}});
  bench.receive(test::message(bench.release.route_add, body, 7));
  auto other = body;
  other[0] = 3;
  bench.receive(test::message(bench.release.route_add, other));
  other = body;
  other[2] = 1;
  bench.receive(test::message(bench.release.route_add, other));
  other = body;
  other[11] = 2;
  bench.receive(test::message(bench.release.route_add, other));
  EXPECT_TRUE(bench.recorder.events.empty());
  EXPECT_EQ(bench.session.counters().skipped, 4U);
  bench.receive(test::message(bench.release.route_add, body));
  EXPECT_EQ(bench.recorder.events.size(), 1U);
}

TEST(Session, AMessageThatIsNotConsumedExactlyEndsIt) {
  auto long_route = test::route_body(dialect_of("8.4"), "10.2.0.0/16", {{"10.255.0.2"}});
  long_route.push_back(0);
  const auto& d = dialect_of("8.4");
  struct Case {
    const char* what;
    Bytes bytes;
    std::uint64_t SourceCounters::*counter;
  };
  const Case cases[] = {
      {"route too long", test::message(d.route_add, long_route), &SourceCounters::bad_messages},
      {"route too short", test::message(d.route_del, {9, 0}), &SourceCounters::bad_messages},
      {"close notify", test::message(d.close_notify, {9}), &SourceCounters::bad_messages},
      {"error of 2 bytes", test::message(d.error, {0, 0}), &SourceCounters::bad_messages},
      {"no such VRF", test::message(d.error, {1, 0, 0, 0}), &SourceCounters::bad_messages},
      {"an answer to nothing", test::message(d.error, {2, 0, 0, 0}), &SourceCounters::bad_messages},
      {"no ZAPI", Bytes(10, 'x'), &SourceCounters::bad_framing},
  };
  for (const auto& c : cases) {
    Bench bench;
    bench.come_up();
    auto bytes = c.bytes;
    test::append(bytes, test::route_add(d, "10.9.0.0/16", {{"10.255.0.2"}}));
    bench.receive(bytes);
    EXPECT_EQ(bench.session.state(), State::kWaiting) << c.what;
    EXPECT_EQ(bench.session.counters().*c.counter, 1U) << c.what;
    EXPECT_EQ(bench.recorder.events.back(), "down") << c.what << ": nothing is read after the error";
    bench.run();
    EXPECT_EQ(bench.closes, 1) << c.what;
  }
}

TEST(Session, SilenceEndsItInEveryState) {
  Bench bench;
  bench.zebra = nullptr;
  bench.session.start(bench.now);
  EXPECT_EQ(bench.session.next_expiry() - bench.now, Duration(2s));
  bench.expire();  // connecting
  EXPECT_EQ(bench.session.state(), State::kWaiting);
  bench.expire();
  bench.run();
  bench.session.connected(bench.now);
  EXPECT_EQ(bench.session.state(), State::kProbing);
  bench.expire();
  EXPECT_EQ(bench.session.state(), State::kWaiting);
  bench.expire();
  bench.session.connected(bench.now);
  bench.receive(test::message(118, {2, 0, 0, 0}));
  EXPECT_EQ(bench.session.state(), State::kGreeting);
  bench.expire();
  EXPECT_EQ(bench.session.state(), State::kWaiting);
  bench.expire();
  bench.session.connected(bench.now);
  bench.receive(test::message(118, {2, 0, 0, 0}));
  bench.receive(test::message(19, Bytes(10)));
  EXPECT_EQ(bench.session.state(), State::kDumping);
  bench.now += 29s;
  bench.receive(test::route_add(bench.release, "10.2.0.0/16", {{"10.255.0.2"}}));
  EXPECT_EQ(bench.session.next_expiry() - bench.now, Duration(30s)) << "a dump that goes on is not silent";
  bench.expire();
  EXPECT_EQ(bench.session.state(), State::kWaiting);
  EXPECT_EQ(bench.session.counters().timeouts, 4U);
}

TEST(Session, BacksOffFromAFifthOfASecondToTenAndSaysSoOnce) {
  Bench bench;
  bench.session.start(bench.now);
  const Duration expected[] = {200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 10s, 10s, 10s};
  for (const auto wait : expected) {
    bench.run();
    bench.session.connect_failed("zebra is not running", bench.now);
    EXPECT_EQ(bench.session.next_expiry() - bench.now, wait);
    bench.expire();
  }
  EXPECT_EQ(bench.recorder.notices, std::vector<std::string>{"zebra: zebra is not running; trying again"});
  bench.run();
  bench.session.connect_failed("permission denied", bench.now);
  EXPECT_EQ(bench.recorder.notices.size(), 2U) << "another trouble is said";

  bench.expire();
  bench.run();
  bench.session.connected(bench.now);
  bench.run();
  ASSERT_EQ(bench.session.state(), State::kSynced);
  bench.session.closed("zebra closed the connection", bench.now);
  EXPECT_EQ(bench.session.next_expiry() - bench.now, Duration(200ms)) << "a good session resets the backoff";
  EXPECT_EQ(bench.recorder.notices.size(), 3U);
}

TEST(Session, StopClosesAndStartBeginsAgain) {
  Bench bench;
  bench.come_up();
  bench.session.stop(bench.now);
  bench.run();
  EXPECT_EQ(bench.closes, 1);
  EXPECT_EQ(bench.session.next_expiry(), kNever);
  bench.receive(test::route_add(bench.release, "10.2.0.0/16", {{"10.255.0.2"}}));
  EXPECT_EQ(bench.recorder.events.back(), "down");
  bench.zebra = std::make_unique<FakeZebra>(bench.release);
  bench.come_up();
  EXPECT_EQ(bench.session.state(), State::kSynced);
}

TEST(Session, AsksForEverythingAgain) {
  Bench bench;
  bench.zebra->dump = test::route_add(bench.release, "10.2.0.0/16", {{"10.255.0.2"}});
  bench.session.resync(bench.now);
  EXPECT_FALSE(bench.session.next_action().has_value()) << "nothing is there yet";
  bench.come_up();
  ASSERT_EQ(bench.session.state(), State::kSynced);
  const auto events = bench.recorder.events.size();
  bench.session.resync(bench.now);
  EXPECT_EQ(bench.session.state(), State::kDumping);
  bench.run();
  EXPECT_EQ(bench.session.state(), State::kSynced);
  const std::vector<std::string> again(bench.recorder.events.begin() + static_cast<std::ptrdiff_t>(events),
                                       bench.recorder.events.end());
  EXPECT_EQ(again.front(), "syncing");
  EXPECT_EQ(again.back(), "synced");
  const auto& seen = bench.zebra->seen;
  const auto add = bench.release.redistribute_add;
  const auto remove = static_cast<std::uint16_t>(add + 1);
  EXPECT_EQ(std::vector(seen.end() - 5, seen.end()), (std::vector<std::uint16_t>{remove, remove, add, add, 0xffff}));
  EXPECT_EQ(bench.session.counters().dumps, 2U);
}

TEST(Session, InjectsRoutesAndTakesThemBack) {
  for (const char* release : {"8.4", "10.2"}) {
    SCOPED_TRACE(release);
    const auto prefix = [](const char* text) { return Prefix::parse(text).value(); };
    Bench bench(dialect_of(release));
    bench.zebra->takes_routes = true;
    const auto add = static_cast<std::uint16_t>(bench.release.redistribute_add - 3);
    const auto remove = static_cast<std::uint16_t>(add + 1);
    bench.session.inject({prefix("10.30.0.0/16"), prefix("fd00:30::/48")}, 7);
    bench.come_up();
    const auto& seen = bench.zebra->seen;
    const auto& bodies = bench.zebra->bodies;
    const auto at = static_cast<std::size_t>(std::find(seen.begin(), seen.end(), add) - seen.begin());
    ASSERT_LT(at + 1, seen.size());
    const std::uint8_t type = bench.release.hello == 18 ? 12 : 13;
    EXPECT_EQ(bodies.at(at), (Bytes{type, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 16, 10, 30, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 7}));
    const auto decoded = decode_route(bench.release, bodies.at(at + 1));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->prefix, prefix("fd00:30::/48"));
    EXPECT_EQ(decoded->next_hops.at(0).ifindex, 7U);
    const auto hello = static_cast<std::size_t>(std::find(seen.begin(), seen.end(), bench.release.hello) - seen.begin());
    EXPECT_EQ(bodies.at(hello).at(0), type) << "so that zebra takes them away with us";

    bench.session.inject({prefix("10.30.0.0/16")}, 7);
    bench.run();
    EXPECT_EQ(seen.back(), remove);
    EXPECT_EQ(decode_route(bench.release, bodies.back())->prefix, prefix("fd00:30::/48"));
    const auto count = seen.size();
    bench.session.inject({prefix("10.30.0.0/16")}, 7);
    bench.run();
    EXPECT_EQ(seen.size(), count) << "nothing new";
    EXPECT_EQ(bench.session.state(), State::kSynced);

    bench.session.closed("gone", bench.now);  // the next session tells all of it again
    bench.run();
    bench.expire();
    bench.session.connected(bench.now);
    bench.run();
    EXPECT_EQ(std::count(seen.begin(), seen.end(), add), 3);
  }
}

}  // namespace
}  // namespace greywire::routing::zapi
