#include "routing/kernel_routes/session.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/unit/routing/kernel_routes/netlink_messages.h"

namespace greywire::routing::kernel {
namespace {

using namespace std::chrono_literals;
using State = Session::State;
using test::Hop;
using test::RouteSpec;
using test::operator+;

class Recorder final : public RouteSourceListener {
 public:
  void on_route(const Route& route, TimePoint) override {
    std::string text;
    for (const auto& hop : route.next_hops) {
      text += (text.empty() ? "" : " ") + (hop.kind == NextHop::Kind::kBlackhole ? "blackhole" : hop.gateway.to_string());
      if (hop.weight != 1) text += "*" + std::to_string(hop.weight);
    }
    routes[route.prefix.to_string()] = text;
    log.push_back("+" + route.prefix.to_string());
  }
  void on_withdraw(const Prefix& prefix, TimePoint) override {
    routes.erase(prefix.to_string());
    log.push_back("-" + prefix.to_string());
  }
  void on_source_state(SourceState state, std::string_view, std::string_view, TimePoint) override {
    log.emplace_back(source_state_name(state));
  }
  void on_source_notice(std::string_view line) override { notices.emplace_back(line); }
  TimePoint next_deadline() const override { return kNever; }
  void tick(TimePoint) override {}

  std::map<std::string, std::string> routes;
  std::vector<std::string> log;
  std::vector<std::string> notices;
};

// A session over a kernel that answers each dump with what it holds at that moment.
struct Bench {
  static Filter filter() {
    Filter f;
    f.never = {200};
    return f;
  }
  void run() {
    while (const auto action = session.next_action()) {
      if (action->kind == Session::Action::Kind::kOpen) session.opened(now);
      if (action->kind == Session::Action::Kind::kClose) ++closes;
      if (action->kind == Session::Action::Kind::kSend) answer(action->bytes);
    }
  }
  void answer(const Bytes& request) {
    const auto* header = reinterpret_cast<const nlmsghdr*>(request.data());
    const auto sequence = header->nlmsg_seq;
    ++requests;
    if (silent) return;
    if (header->nlmsg_type == RTM_GETLINK) {
      for (const auto& [ifindex, up] : links) send(test::link(ifindex, up, false, NLM_F_MULTI, sequence));
    } else if (header->nlmsg_type == RTM_GETNEXTHOP) {
      if (no_objects) return send(test::error(sequence, EOPNOTSUPP));
      for (const auto& object : objects) send(test::part_of(object, sequence));
    } else {
      const bool v4 = reinterpret_cast<const rtmsg*>(request.data() + NLMSG_HDRLEN)->rtm_family == AF_INET;
      for (const auto& spec : kernel) {
        if ((Prefix::parse(spec.prefix).value().family() == Family::kV4) == v4) send(test::part_of(test::route(spec), sequence));
      }
      if (v4 && during_dump) std::exchange(during_dump, nullptr)();
    }
    send(test::done(sequence));
  }
  void send(const Bytes& bytes) { session.received(bytes, now); }
  void event(RouteSpec spec, unsigned flags = NLM_F_CREATE) {
    spec.flags = flags;
    send(test::route(spec));
    run();
  }
  void gone(RouteSpec spec) {
    spec.deleted = true;
    event(std::move(spec), 0);
  }
  void start() {
    session.start(now);
    run();
  }
  // Lets time pass to the next deadline.
  void expire() {
    ASSERT_NE(session.next_expiry(), kNever);
    now = session.next_expiry();
    session.handle_expiry(now);
    run();
  }

  std::map<std::uint32_t, bool> links{{7, true}};
  std::vector<Bytes> objects;
  std::vector<RouteSpec> kernel;
  bool no_objects = false;
  bool silent = false;
  std::function<void()> during_dump;
  Recorder seen;
  Session session{filter(), seen};
  TimePoint now = TimePoint(1h);
  int closes = 0;
  int requests = 0;
};

TEST(KernelSession, ReadsEverythingAndFollows) {
  Bench bench;
  bench.kernel = {{"10.2.1.0/24", {{"10.255.0.2"}}}, {"fd00:2::/48", {{"fe80::2"}}}};
  bench.start();
  EXPECT_EQ(bench.session.state(), State::kSynced);
  EXPECT_EQ(bench.seen.log, (std::vector<std::string>{"connecting", "syncing", "+10.2.1.0/24", "+fd00:2::/48", "synced"}));
  EXPECT_EQ(bench.session.next_expiry(), kNever);
  bench.event({"10.2.2.0/24", {{"10.255.0.2"}}});
  bench.event({"10.2.1.0/24", {{"10.255.0.3"}}}, NLM_F_REPLACE);
  bench.gone({"fd00:2::/48", {{"fe80::2"}}});
  EXPECT_EQ(bench.seen.routes, (std::map<std::string, std::string>{{"10.2.1.0/24", "10.255.0.3"}, {"10.2.2.0/24", "10.255.0.2"}}));
  EXPECT_EQ(bench.session.next_expiry(), kNever) << "nothing is in doubt";
}

TEST(KernelSession, TakesOnlyTheRoutesOfTheFilter) {
  Bench bench;
  bench.kernel = {{"10.0.0.0/24", {{""}}, 0, RTPROT_KERNEL},
                  {"10.1.0.0/24", {{"10.255.0.2"}}, 0, 200},
                  {"10.2.0.0/24", {{"10.255.0.2"}}, 0, RTPROT_STATIC},
                  {"10.3.0.0/24", {{"10.255.0.2"}}, 0, RTPROT_BIRD, 100},
                  {"fd00:4::/48", {{"fe80::9"}}, 1024, RTPROT_RA}};
  bench.start();
  EXPECT_EQ(bench.seen.routes.size(), 1U);
  EXPECT_EQ(bench.seen.routes.count("10.2.0.0/24"), 1U);
  bench.event({"10.2.0.0/24", {{"10.255.0.9"}}, 0, RTPROT_DHCP}, NLM_F_REPLACE);
  EXPECT_TRUE(bench.seen.routes.empty()) << "replaced by one that does not count";

  Filter named;
  named.protocols = {RTPROT_BIRD};
  named.never = {200};
  KernelRoute route;
  route.table = kMainTable;
  route.protocol = RTPROT_STATIC;
  EXPECT_FALSE(named.takes(route));
  route.protocol = RTPROT_BIRD;
  EXPECT_TRUE(named.takes(route));
  named.protocols = {200};
  route.protocol = 200;
  EXPECT_FALSE(named.takes(route)) << "our own never count";
}

TEST(KernelSession, TheLowestMetricLeads) {
  Bench bench;
  bench.start();
  const RouteSpec good{"10.2.0.0/24", {{"10.255.0.2"}}, 32};
  const RouteSpec spare{"10.2.0.0/24", {{"10.255.0.3"}}, 100};
  const RouteSpec last{"10.2.0.0/24", {{"10.255.0.4"}}, 200};
  bench.event(last);
  bench.event(spare);
  EXPECT_EQ(bench.seen.routes["10.2.0.0/24"], "10.255.0.3");
  bench.event(good);
  EXPECT_EQ(bench.seen.routes["10.2.0.0/24"], "10.255.0.2");
  bench.gone(spare);
  EXPECT_EQ(bench.seen.routes["10.2.0.0/24"], "10.255.0.2");
  bench.gone(good);
  EXPECT_EQ(bench.seen.routes["10.2.0.0/24"], "10.255.0.4");
  bench.gone(last);
  EXPECT_TRUE(bench.seen.routes.empty());
}

TEST(KernelSession, ALinkThatGoesDownIsAnOccasionToLook) {
  Bench bench;
  bench.kernel = {{"10.2.1.0/24", {{"10.255.0.2"}}}, {"10.9.0.0/24", {{"192.0.2.1", 2}}}};
  bench.start();
  bench.kernel.erase(bench.kernel.begin());  // without a word
  bench.links[7] = false;
  bench.send(test::link(7, false));
  EXPECT_EQ(bench.seen.routes.size(), 2U);
  EXPECT_EQ(bench.session.next_expiry(), bench.now + 50ms);
  bench.expire();
  EXPECT_EQ(bench.seen.routes.size(), 1U);
  EXPECT_EQ(bench.seen.log.back(), "-10.2.1.0/24");
  EXPECT_EQ(bench.session.state(), State::kSynced);
  bench.send(test::link(7, false));
  EXPECT_EQ(bench.session.next_expiry(), kNever) << "known: another property of the link changed";
  bench.send(test::link(7, false, true));
  EXPECT_EQ(bench.session.next_expiry(), kNever) << "it was down already";
  bench.send(test::link(9, true));
  EXPECT_EQ(bench.session.next_expiry(), kNever) << "a new link has no routes";
  bench.send(test::link(9, true, true));
  EXPECT_NE(bench.session.next_expiry(), kNever);
}

TEST(KernelSession, AnOwnAddressThatGoesTakesRoutesWithIt) {
  Bench bench;
  bench.kernel = {{"10.2.1.0/24", {{"10.255.0.2"}}}};
  bench.start();
  bench.kernel.clear();
  RouteSpec local{"10.255.0.1/32", {{""}}, 0, RTPROT_KERNEL, 255};
  local.type = RTN_LOCAL;
  bench.gone(local);
  bench.expire();
  EXPECT_TRUE(bench.seen.routes.empty());
}

TEST(KernelSession, LostChangesMeanReadingAgainAndNothingIsTakenAwayBefore) {
  Bench bench;
  bench.kernel = {{"10.2.1.0/24", {{"10.255.0.2"}}}, {"10.2.2.0/24", {{"10.255.0.2"}}}};
  bench.start();
  bench.kernel.pop_back();
  bench.kernel.push_back({"10.2.3.0/24", {{"10.255.0.2"}}});
  bench.session.overrun();
  EXPECT_EQ(bench.session.next_expiry(), kNever) << "what waits to be read is older than what was lost";
  bench.event({"10.2.4.0/24", {{"10.255.0.2"}}});
  bench.session.drained(bench.now);
  EXPECT_EQ(bench.seen.routes.size(), 3U);
  bench.during_dump = [&] {
    bench.session.overrun();
    bench.session.drained(bench.now);
  };
  bench.expire();
  EXPECT_EQ(bench.seen.routes.size(), 4U) << "lost again meanwhile: what is missing may only have been overlooked";
  EXPECT_EQ(bench.session.counters().dumps, 1U);
  bench.expire();
  EXPECT_EQ(bench.seen.routes.size(), 2U);
  EXPECT_EQ(bench.seen.routes.count("10.2.2.0/24"), 0U);
  EXPECT_EQ(bench.session.counters().dumps, 2U);
  EXPECT_EQ(bench.session.counters().overruns, 2U);
}

TEST(KernelSession, AChangeDuringADumpIsNewerThanTheRecord) {
  Bench bench;
  const RouteSpec stale{"10.2.1.0/24", {{"10.255.0.2"}}};
  const RouteSpec fresh{"10.2.9.0/24", {{"10.255.0.2"}}};
  bench.kernel = {stale};
  bench.start();
  bench.silent = true;
  bench.session.resync(bench.now);
  bench.session.handle_expiry(bench.now);
  std::uint32_t sequence = 0;
  for (int stage = 0; stage < 4; ++stage) {
    const auto action = bench.session.next_action();
    ASSERT_TRUE(action.has_value());
    sequence = reinterpret_cast<const nlmsghdr*>(action->bytes.data())->nlmsg_seq;
    if (stage == 2) {
      RouteSpec gone = stale;
      gone.deleted = true;
      bench.send(test::route(gone) + test::route(fresh));
      bench.send(test::part_of(test::route(stale), sequence));
    }
    bench.send(test::done(sequence));
  }
  EXPECT_EQ(bench.seen.routes, (std::map<std::string, std::string>{{"10.2.9.0/24", "10.255.0.2"}}));
}

TEST(KernelSession, OneOfSeveralNextHopsLeaves) {
  Bench bench;
  bench.start();
  bench.event({"fd00:2::/48", {{"fe80::2"}}, 1024});
  bench.event({"fd00:2::/48", {{"fe80::2"}, {"fe80::3"}}, 1024}, NLM_F_APPEND);
  EXPECT_EQ(bench.seen.routes["fd00:2::/48"], "fe80::2 fe80::3");
  bench.gone({"fd00:2::/48", {{"fe80::2"}}, 1024});
  EXPECT_EQ(bench.seen.routes["fd00:2::/48"], "fe80::3");
  bench.gone({"fd00:2::/48", {{"fe80::3"}}, 1024});
  EXPECT_TRUE(bench.seen.routes.empty());
}

TEST(KernelSession, SeveralRoutesOfOneMetricAreLookedUp) {
  Bench bench;
  const RouteSpec first{"10.2.0.0/24", {{"10.255.0.2"}}};
  const RouteSpec second{"10.2.0.0/24", {{"10.255.0.3"}}};
  bench.start();
  bench.event(first);
  bench.event(second, NLM_F_CREATE | NLM_F_APPEND);
  EXPECT_EQ(bench.seen.routes["10.2.0.0/24"], "10.255.0.2") << "what is appended does not lead";
  bench.kernel = {second};
  bench.gone(first);
  bench.expire();
  EXPECT_EQ(bench.seen.routes["10.2.0.0/24"], "10.255.0.3");
}

TEST(KernelSession, NextHopObjectsAreSpelledOutAndFollowed) {
  Bench bench;
  bench.objects = {test::next_hop(1, "10.255.0.2"), test::next_hop(2, "10.255.0.3"), test::next_hop_group(9, {{1, 1}, {2, 4}})};
  RouteSpec single{"10.2.1.0/24", {}};
  single.object = 1;
  RouteSpec spread{"10.2.2.0/24", {}};
  spread.object = 9;
  RouteSpec unknown{"10.2.3.0/24", {{"10.255.0.9"}}};
  unknown.object = 77;
  bench.kernel = {single, spread, unknown};
  bench.start();
  EXPECT_EQ(bench.seen.routes["10.2.1.0/24"], "10.255.0.2");
  EXPECT_EQ(bench.seen.routes["10.2.2.0/24"], "10.255.0.2 10.255.0.3*4");
  EXPECT_EQ(bench.seen.routes["10.2.3.0/24"], "10.255.0.9") << "as the kernel spelled it out";
  bench.send(test::next_hop(1, "10.255.0.5", 7, NLM_F_REPLACE));
  EXPECT_EQ(bench.seen.routes["10.2.1.0/24"], "10.255.0.5");
  EXPECT_EQ(bench.seen.routes["10.2.2.0/24"], "10.255.0.5 10.255.0.3*4");
  bench.send(test::next_hop(3, "10.255.0.6") + test::next_hop_gone(3));
  EXPECT_EQ(bench.session.next_expiry(), kNever) << "nobody used it";
  bench.kernel = {spread};
  bench.objects.erase(bench.objects.begin());
  bench.send(test::next_hop_gone(1));
  bench.expire();
  EXPECT_EQ(bench.seen.routes, (std::map<std::string, std::string>{{"10.2.2.0/24", "10.255.0.3*4"}}));
}

TEST(KernelSession, OldKernelsHaveNoNextHopObjects) {
  Bench bench;
  bench.no_objects = true;
  bench.kernel = {{"10.2.1.0/24", {{"10.255.0.2"}}}};
  bench.start();
  EXPECT_EQ(bench.session.state(), State::kSynced);
}

TEST(KernelSession, TroubleEndsItAndItComesBack) {
  Bench bench;
  bench.kernel = {{"10.2.1.0/24", {{"10.255.0.2"}}}, {"10.2.2.0/24", {{"10.255.0.2"}}}};
  bench.start();
  bench.send(Bytes(7));
  bench.run();
  EXPECT_EQ(bench.closes, 1);
  EXPECT_EQ(bench.session.state(), State::kWaiting);
  EXPECT_EQ(bench.session.counters().bad_framing, 1U);
  EXPECT_EQ(bench.seen.routes.size(), 2U) << "the listener decides how long to hold them";
  bench.kernel.pop_back();
  bench.expire();
  EXPECT_EQ(bench.session.state(), State::kSynced);
  EXPECT_EQ(bench.seen.routes.size(), 1U);

  bench.silent = true;
  bench.send(test::link(7, false));
  bench.expire();
  bench.expire();
  EXPECT_EQ(bench.session.state(), State::kWaiting);
  EXPECT_EQ(bench.session.counters().timeouts, 1U);
  const auto first = bench.session.next_expiry() - bench.now;
  bench.expire();
  bench.expire();
  EXPECT_EQ(bench.session.next_expiry() - bench.now, 2 * first) << "backoff";
  bench.silent = false;
  bench.expire();
  EXPECT_EQ(bench.session.state(), State::kSynced);
  bench.session.stop(bench.now);
  bench.run();
  EXPECT_EQ(bench.session.state(), State::kStopped);
  EXPECT_EQ(bench.session.next_expiry(), kNever);
}

// Whatever happens in which order: after a resync it is what the kernel has.
TEST(KernelSession, EndsWithWhatTheKernelHas) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 50; ++round) {
    Bench bench;
    std::map<std::pair<std::string, std::uint32_t>, RouteSpec> kernel;
    const auto publish = [&] {
      bench.kernel.clear();
      for (const auto& [key, spec] : kernel) bench.kernel.push_back(spec);
    };
    bench.start();
    for (int i = 0; i < 200; ++i) {
      const auto prefix = (random() % 2 != 0 ? "10.2." + std::to_string(random() % 4) + ".0/24"
                                             : "fd00:" + std::to_string(1 + random() % 4) + "::/48");
      const auto metric = static_cast<std::uint32_t>(10 * (1 + random() % 3));
      const auto key = std::pair(prefix, metric);
      const std::string gateway = (prefix.front() == 'f' ? "fe80::" : "10.255.0.") + std::to_string(2 + random() % 3);
      RouteSpec spec{prefix, {{gateway}}, metric};
      const bool lost = random() % 16 == 0;
      if (random() % 3 == 0) {
        const auto known = kernel.find(key);
        if (known == kernel.end()) continue;
        spec = known->second;
        kernel.erase(known);
        publish();
        if (!lost) bench.gone(spec);
      } else {
        kernel[key] = spec;
        if (!lost) bench.event(spec, NLM_F_REPLACE);
      }
      publish();
      if (lost) {
        bench.session.overrun();
        bench.session.drained(bench.now);
        bench.expire();
      }
    }
    std::map<std::string, std::string> wanted;
    for (const auto& [key, spec] : kernel) wanted.try_emplace(key.first, spec.hops.front().gateway);
    EXPECT_EQ(bench.seen.routes, wanted);
  }
}

}  // namespace
}  // namespace greywire::routing::kernel
