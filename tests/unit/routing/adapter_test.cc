#include "routing/adapter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace greywire::routing {
namespace {

using namespace std::chrono_literals;
using Action = LearnedChange::Action;

constexpr std::uint32_t kOverlay = 7;

IpAddress address(const std::string& text) {
  return IpAddress::parse(text).value();
}
Prefix prefix(const std::string& text) {
  return Prefix::parse(text).value();
}

PeerRouting peer(std::uint32_t id, const std::string& name, const std::string& overlay,
                 std::initializer_list<const char*> accept, std::size_t max_prefixes = 1000) {
  std::vector<CeilingRule> rules;
  for (const char* rule : accept) rules.push_back(CeilingRule::parse(rule).value());
  return {PeerId{id}, name, {address(overlay)}, {}, Ceiling(std::move(rules)), max_prefixes};
}

struct Sink final : AllowedIpsSink {
  void define_group(NextHopGroupId group, std::span<const WeightedPeer> members) override {
    std::string text;
    for (const auto& m : members) {
      text += (text.empty() ? "" : "+") + std::to_string(m.peer.value);
      if (m.weight != 1) text += "*" + std::to_string(m.weight);
    }
    EXPECT_TRUE(groups.emplace(group, text).second) << "a number was used again";
    ++live;
  }
  void drop_group(NextHopGroupId group) override {
    for (const auto& [p, to] : entries) EXPECT_NE(to, groups.at(group)) << p.to_string() << " leads to a dropped group";
    --live;
  }
  void for_each_learned(const std::function<void(const LearnedChange&)>& visit) override {
    for (const auto& [p, change] : changed_to) visit(change);
  }
  void apply(std::span<const LearnedChange> changes) override {
    for (const auto& change : changes) {
      ++changed;
      if (change.action == Action::kRemove) {
        entries.erase(change.prefix);
        changed_to.erase(change.prefix);
      } else {
        changed_to[change.prefix] = change;
        entries[change.prefix] = change.action == Action::kDiscard ? "discard"
                                 : change.action == Action::kGroup ? groups.at(change.group)
                                                                   : std::to_string(change.peer.value);
      }
    }
  }
  std::string at(const std::string& text) const {
    const auto it = entries.find(prefix(text));
    return it == entries.end() ? "" : it->second;
  }
  std::map<Prefix, std::string> entries;
  std::map<Prefix, LearnedChange> changed_to;
  std::map<NextHopGroupId, std::string> groups;
  int live = 0;  // groups
  int changed = 0;
};

struct Events final : RoutingEvents {
  void notice(std::string_view line) override { notices.emplace_back(line); }
  void alert(std::string_view line) override { alerts.emplace_back(line); }
  bool alerted(std::string_view part) const {
    return std::any_of(alerts.begin(), alerts.end(),
                       [&](const auto& a) { return a.find(part) != std::string::npos; });
  }
  std::vector<std::string> notices;
  std::vector<std::string> alerts;
};

class AdapterTest : public testing::Test {
 protected:
  void SetUp() override {
    adapter.set_overlay_ifindex(kOverlay, now);
    adapter.set_peers({fra(), nyc()}, now);
    adapter.set_own({prefix("10.1.0.0/16"), prefix("10.255.0.1/32")}, now);
  }
  static PeerRouting fra(std::size_t max = 1000) {
    return peer(1, "fra", "10.255.0.2", {"10.2.0.0/16 le 24", "10.50.0.0/16 le 24"}, max);
  }
  static PeerRouting nyc() {
    return peer(2, "nyc", "10.255.0.3", {"10.3.0.0/16 le 24", "10.50.0.0/16 le 24", "0.0.0.0/0"});
  }

  void learn(const std::string& p, const std::vector<std::string>& gateways,
             std::uint32_t ifindex = kOverlay) {
    Route route{prefix(p), {}};
    for (const auto& g : gateways)
      route.next_hops.push_back({NextHop::Kind::kGateway, 0, ifindex, address(g), 1});
    adapter.on_route(route, now);
  }
  void withdraw(const std::string& p) { adapter.on_withdraw(prefix(p), now); }
  void settle(Duration wait = 10ms) {
    now += wait;
    adapter.tick(now);
  }
  void source(SourceState state) { adapter.on_source_state(state, "FRR 8.4", "", now); }
  void dump_begins() {
    source(SourceState::kConnecting);
    source(SourceState::kIdentifying);
    source(SourceState::kSyncing);
  }
  void learn_ten() {  // 10.2.0.0/24 to 10.2.9.0/24, in one table
    dump_begins();
    for (int i = 0; i < 10; ++i) learn("10.2." + std::to_string(i) + ".0/24", {"10.255.0.2"});
    source(SourceState::kSynced);
    settle();
  }
  RouteStatus status_of(const std::string& p) {
    for (const auto& route : adapter.routes()) {
      if (route.prefix == prefix(p)) return route;
    }
    ADD_FAILURE() << p << " is not known";
    return {};
  }

  TimePoint now{1h};
  Sink sink;
  Events events;
  RoutingAdapter adapter{sink, events};
};

TEST_F(AdapterTest, ALearnedPrefixGoesToThePeerOfItsNextHopWithinTenMilliseconds) {
  learn("10.2.1.0/24", {"10.255.0.2"});
  learn("10.3.1.0/24", {"10.255.0.3"});
  EXPECT_TRUE(sink.entries.empty());
  EXPECT_EQ(adapter.next_deadline(), now);
  settle(0ms);
  EXPECT_EQ(sink.at("10.2.1.0/24"), "1");
  EXPECT_EQ(sink.at("10.3.1.0/24"), "2");
  withdraw("10.2.1.0/24");
  EXPECT_EQ(adapter.next_deadline(), now + 10ms);
  withdraw("10.99.0.0/16");
  settle();
  EXPECT_EQ(sink.at("10.2.1.0/24"), "");
  EXPECT_EQ(sink.entries.size(), 1U);
  EXPECT_EQ(adapter.next_deadline(), kNever);
}

TEST_F(AdapterTest, ARefusedPrefixIsADiscardAndDoesNotFallThrough) {
  learn("0.0.0.0/0", {"10.255.0.3"});
  learn("10.3.1.0/24", {"10.255.0.2"});    // nyc's ceiling, announced by fra
  learn("10.1.5.0/24", {"10.255.0.3"});    // our own LAN
  learn("10.2.1.128/25", {"10.255.0.2"});  // too long
  settle();
  EXPECT_EQ(sink.at("0.0.0.0/0"), "2");
  EXPECT_EQ(sink.at("10.3.1.0/24"), "discard");
  EXPECT_EQ(sink.at("10.1.5.0/24"), "discard");
  EXPECT_EQ(sink.at("10.2.1.128/25"), "discard");
  EXPECT_TRUE(events.alerted(
      "routed but refused: 10.3.1.0/24, 10.2.1.128/25 from peer fra: outside the peer's accept list"));
  EXPECT_TRUE(events.alerted("10.1.5.0/24 from peer nyc: belongs to this site"));
  EXPECT_EQ(status_of("10.3.1.0/24").decision,
            (Decision{RouteState::kRefused, Reason::kOutsideAccept, PeerId{1}, {}, {}}));
  EXPECT_EQ(status_of("10.3.1.0/24").peer_name, "fra");

  learn("10.3.1.0/24", {"10.255.0.3"});
  settle();
  EXPECT_EQ(sink.at("10.3.1.0/24"), "2");
  withdraw("10.1.5.0/24");
  settle();
  EXPECT_EQ(sink.at("10.1.5.0/24"), "");
}

TEST_F(AdapterTest, OverlayAddressesCannotBeTouched) {
  auto greedy = nyc();
  greedy.accept = Ceiling({CeilingRule::parse("0.0.0.0/0 le 32").value()});
  adapter.set_peers({fra(), greedy}, now);
  learn("10.255.0.2/32", {"10.255.0.3"});
  learn("10.255.0.3/32", {"10.255.0.3"});
  settle();
  EXPECT_TRUE(sink.entries.empty()) << "neither taken nor discarded: the configured entries stand";
  EXPECT_TRUE(events.alerted("10.255.0.2/32 from peer nyc: belongs to another peer by configuration"));
  EXPECT_EQ(status_of("10.255.0.3/32").decision.reason, Reason::kStatic);
}

TEST_F(AdapterTest, OtherInterfacesAreNoneOfOurBusiness) {
  learn("10.2.1.0/24", {"172.31.12.2"}, 12);
  learn("10.2.2.0/24", {});
  settle();
  EXPECT_TRUE(sink.entries.empty());
  EXPECT_TRUE(events.alerts.empty());
  EXPECT_EQ(status_of("10.2.1.0/24").decision.reason, Reason::kOtherInterface);
  EXPECT_EQ(status_of("10.2.2.0/24").decision.reason, Reason::kNoNextHop);

  learn("10.2.1.0/24", {"10.255.0.2"});  // the GRE link is down: BGP falls back to gw0
  settle();
  EXPECT_EQ(sink.at("10.2.1.0/24"), "1");
  learn("10.2.1.0/24", {"172.31.12.2"}, 12);
  settle();
  EXPECT_EQ(sink.at("10.2.1.0/24"), "");
}

TEST_F(AdapterTest, AnUnknownNextHopOnTheOverlayIsKeptUntilItsPeerComes) {
  learn("10.4.1.0/24", {"10.255.0.4"});
  settle();
  EXPECT_EQ(sink.at("10.4.1.0/24"), "discard");
  EXPECT_TRUE(events.alerted("10.4.1.0/24 from the overlay: the next hop is no peer's overlay address"));
  EXPECT_EQ(adapter.status().unresolved, 1U);
  const auto changed = sink.changed;
  adapter.set_peers({fra(), nyc(), peer(4, "lon", "10.255.0.4", {"10.4.0.0/16 le 24"})}, now);
  EXPECT_EQ(sink.at("10.4.1.0/24"), "4") << "applied before set_peers returns";
  EXPECT_EQ(sink.changed, changed + 1);
  adapter.set_peers({fra(), nyc()}, now);
  EXPECT_EQ(sink.at("10.4.1.0/24"), "discard");
}

TEST_F(AdapterTest, SeveralNextHopsAreSpreadOverTheirPeers) {
  learn("10.50.1.0/24", {"10.255.0.2", "10.255.0.3"});
  settle();
  EXPECT_EQ(sink.at("10.50.1.0/24"), "1+2");
  EXPECT_EQ(status_of("10.50.1.0/24").peer_name, "fra, nyc");
  learn("10.50.2.0/24", {"10.255.0.3", "10.255.0.2"});
  settle();
  EXPECT_EQ(sink.at("10.50.2.0/24"), "1+2");
  EXPECT_EQ(sink.groups.size(), 1U) << "the same set is one group";
  learn("10.50.1.0/24", {"10.255.0.2"});
  settle();
  EXPECT_EQ(sink.at("10.50.1.0/24"), "1") << "a dead peer's next hop goes";
  learn("10.3.9.0/24", {"10.255.0.2", "10.255.0.3"});
  settle();
  EXPECT_EQ(sink.at("10.3.9.0/24"), "2") << "the one that may have it";
  EXPECT_EQ(status_of("10.3.9.0/24").refused_peer, "fra");
  EXPECT_TRUE(events.alerted("10.3.9.0/24 from peer fra: outside the peer's accept list"));
  withdraw("10.50.2.0/24");
  settle();
  EXPECT_EQ(sink.live, 0) << "the group goes with its last prefix";
  EXPECT_EQ(adapter.status().peers.at(0).accepted, 1U);
}

TEST_F(AdapterTest, WeightsAreThoseOfTheNextHops) {
  Route route{prefix("10.50.1.0/24"), {}};
  route.next_hops.push_back({NextHop::Kind::kGateway, 0, kOverlay, address("10.255.0.2"), 25});
  route.next_hops.push_back({NextHop::Kind::kGateway, 0, kOverlay, address("10.255.0.3"), 75});
  adapter.on_route(route, now);
  settle();
  EXPECT_EQ(sink.at("10.50.1.0/24"), "1*25+2*75");
}

TEST_F(AdapterTest, ARecursiveNextHopFollowsTheRouteThatLeadsThere) {
  auto wide = nyc();
  wide.accept = Ceiling({CeilingRule::parse("10.0.0.0/8 le 24").value()});
  adapter.set_peers({fra(), wide}, now);
  learn("10.3.77.0/24", {"10.3.1.1"}, 0);
  settle();
  EXPECT_EQ(sink.at("10.3.77.0/24"), "discard") << "inside an accept: it may well resolve over gw0";
  learn("10.3.1.0/24", {"10.255.0.3"});
  settle();
  settle(100ms);
  settle();
  EXPECT_EQ(sink.at("10.3.77.0/24"), "2") << "kept and tried again";
  learn("10.3.1.0/24", {"172.31.12.2"}, 12);
  settle();
  settle(100ms);
  settle();
  EXPECT_EQ(sink.at("10.3.77.0/24"), "") << "over a GRE link now";
  EXPECT_EQ(status_of("10.3.77.0/24").decision.reason, Reason::kOtherInterface);
  withdraw("10.3.77.0/24");
  withdraw("10.3.1.0/24");
  settle();
  settle(100ms);
  EXPECT_EQ(adapter.next_deadline(), kNever);
}

TEST_F(AdapterTest, AnIpv4PrefixOverAnIpv6NextHop) {
  auto six = fra();
  six.overlay_addresses.push_back(address("fe80::2"));
  six.overlay_addresses.push_back(address("fd00:255::2"));
  adapter.set_peers({six, nyc()}, now);
  learn("10.2.1.0/24", {"fd00:255::2"});
  learn("10.2.2.0/24", {"fe80::2"});
  learn("10.2.3.0/24", {"fe80::2"}, 9);
  settle();
  EXPECT_EQ(sink.at("10.2.1.0/24"), "1");
  EXPECT_EQ(sink.at("10.2.2.0/24"), "1");
  EXPECT_EQ(sink.at("10.2.3.0/24"), "") << "that link-local on another link is somebody else";
}

TEST_F(AdapterTest, ALeakTakesABoundedAmountAndOneLine) {
  RoutingAdapter bounded{sink, events, {240s, 1'000, {}}};
  bounded.set_overlay_ifindex(kOverlay, now);
  auto leaky = nyc();
  leaky.accept = Ceiling({CeilingRule::parse("0.0.0.0/0 le 32").value()});
  leaky.max_prefixes = 100;
  bounded.set_peers({fra(), leaky}, now);
  const auto alerts = events.alerts.size();
  Route good{prefix("10.2.1.0/24"), {{NextHop::Kind::kGateway, 0, kOverlay, address("10.255.0.2"), 1}}};
  bounded.on_route(good, now);
  for (std::uint32_t i = 0; i < 900; ++i) {
    Route route{Prefix(IpAddress::v4(0x0b000000U + (i << 8)), 24),
                {{NextHop::Kind::kGateway, 0, kOverlay, address("10.255.0.3"), 1}}};
    bounded.on_route(route, now);
    if (i % 100 == 0) bounded.tick(now += 2s);
  }
  bounded.tick(now += 1min);
  EXPECT_EQ(bounded.status().accepted, 101U);
  EXPECT_EQ(bounded.status().refused, 800U);
  EXPECT_EQ(events.alerts.size(), alerts + 1) << events.alerts.back();
  EXPECT_EQ(sink.at("10.2.1.0/24"), "1") << "the others are unharmed";
  for (std::uint32_t i = 900; i < 5'000; ++i) {
    Route route{Prefix(IpAddress::v4(0x0b000000U + (i << 8)), 24),
                {{NextHop::Kind::kGateway, 0, kOverlay, address("10.255.0.3"), 1}}};
    bounded.on_route(route, now);
  }
  bounded.tick(now += 1min);
  EXPECT_EQ(bounded.status().routes, 1'000U);
  EXPECT_EQ(bounded.status().not_taken, 4'001U);
  EXPECT_EQ(events.alerts.size(), alerts + 2) << "and that the rest is not taken";
}

TEST_F(AdapterTest, TooManyPrefixesFreezeThePeer) {
  adapter.set_peers({fra(5), nyc()}, now);
  for (int i = 0; i < 4; ++i) learn("10.2." + std::to_string(i) + ".0/24", {"10.255.0.2"});
  settle();
  EXPECT_TRUE(events.alerted("peer fra announces 4 of at most 5 prefixes"));
  events.alerts.clear();
  for (int i = 4; i < 7; ++i) learn("10.2." + std::to_string(i) + ".0/24", {"10.255.0.2"});
  settle();
  EXPECT_FALSE(events.alerted("at most 5 prefixes")) << "the line that follows says more";
  EXPECT_TRUE(
      events.alerted("10.2.5.0/24, 10.2.6.0/24 from peer fra: more prefixes than the peer's max_prefixes"));
  EXPECT_EQ(sink.at("10.2.4.0/24"), "1");
  EXPECT_EQ(sink.at("10.2.5.0/24"), "discard");
  withdraw("10.2.0.0/24");
  settle();
  EXPECT_EQ(sink.at("10.2.5.0/24"), "discard") << "frozen";
  learn("10.2.1.0/24", {"10.255.0.2", "10.255.0.3"});
  settle();
  EXPECT_EQ(sink.at("10.2.1.0/24"), "1") << "what it has stays";
  EXPECT_EQ(adapter.status().peers.at(0).over_maximum, 2U);
  withdraw("10.2.1.0/24");
  settle();
  EXPECT_EQ(sink.at("10.2.5.0/24"), "1") << "everything fits again";
  EXPECT_EQ(sink.at("10.2.6.0/24"), "1");
  EXPECT_EQ(adapter.status().peers.at(0).accepted, 5U);

  adapter.set_peers({fra(2), nyc()}, now);
  EXPECT_EQ(
      std::count_if(sink.entries.begin(), sink.entries.end(), [](const auto& e) { return e.second == "1"; }),
      2);
  adapter.set_peers({fra(10), nyc()}, now);
  EXPECT_EQ(
      std::count_if(sink.entries.begin(), sink.entries.end(), [](const auto& e) { return e.second == "1"; }),
      5);
}

TEST_F(AdapterTest, AlertsAreGatheredAndAtMostOnceASecond) {
  for (int i = 0; i < 200; ++i) learn("10.77." + std::to_string(i) + ".0/24", {"10.255.0.2"});
  settle();
  ASSERT_EQ(events.alerts.size(), 1U);
  EXPECT_NE(events.alerts[0].find("and 197 more from peer fra"), std::string::npos) << events.alerts[0];
  learn("10.78.0.0/24", {"10.255.0.2"});
  settle();
  EXPECT_EQ(events.alerts.size(), 1U);
  EXPECT_GT(adapter.next_deadline(), now);
  settle(adapter.next_deadline() - now);
  EXPECT_EQ(events.alerts.size(), 2U);
  learn("10.78.0.0/24", {"10.255.0.2"});
  settle(5s);
  EXPECT_EQ(events.alerts.size(), 2U) << "a repetition is no news";
  EXPECT_EQ(adapter.next_deadline(), kNever);
}

TEST_F(AdapterTest, AZebraThatComesBackFullSweepsWhatIsGone) {
  learn_ten();
  const auto changed = sink.changed;
  source(SourceState::kDown);
  EXPECT_TRUE(events.alerted("10 learned prefixes are held for 240 s"));
  settle(5s);
  dump_begins();
  for (int i = 1; i < 10; ++i) learn("10.2." + std::to_string(i) + ".0/24", {"10.255.0.2"});
  EXPECT_TRUE(status_of("10.2.0.0/24").held);
  source(SourceState::kSynced);
  settle(29s);
  EXPECT_EQ(sink.at("10.2.0.0/24"), "1") << "bgpd may not have said all";
  settle(1s);
  settle();
  EXPECT_EQ(sink.at("10.2.0.0/24"), "");
  EXPECT_EQ(sink.changed, changed + 1) << "no good route was touched";
  EXPECT_EQ(adapter.next_deadline(), kNever);
}

TEST_F(AdapterTest, AZebraThatComesBackWithPartOfItIsGivenTimeForTheRest) {
  learn_ten();
  const auto changed = sink.changed;
  source(SourceState::kDown);
  settle(5s);
  dump_begins();
  for (int i = 2; i < 10; ++i) learn("10.2." + std::to_string(i) + ".0/24", {"10.255.0.2"});
  source(SourceState::kSynced);
  settle(10s);
  learn("10.2.0.0/24", {"10.255.0.2"});
  settle(20s);
  settle();
  EXPECT_EQ(sink.at("10.2.0.0/24"), "1");
  EXPECT_EQ(sink.at("10.2.1.0/24"), "");
  EXPECT_EQ(sink.changed, changed + 1);
}

TEST_F(AdapterTest, ASourceThatIsAskedForEverythingAgainSweepsAtOnce) {
  dump_begins();
  for (int i = 0; i < 3; ++i) learn("10.2." + std::to_string(i) + ".0/24", {"10.255.0.2"});
  source(SourceState::kSynced);
  source(SourceState::kSyncing);
  for (int i = 1; i < 3; ++i) learn("10.2." + std::to_string(i) + ".0/24", {"10.255.0.2"});
  source(SourceState::kSynced);
  settle();
  EXPECT_EQ(sink.at("10.2.0.0/24"), "");
  EXPECT_EQ(sink.at("10.2.1.0/24"), "1");
  EXPECT_EQ(adapter.next_deadline(), kNever);
}

TEST_F(AdapterTest, AZebraThatComesBackEmptyHoldsUntilTheTimeIsOver) {
  learn_ten();
  const auto lost_at = now;
  source(SourceState::kDown);
  settle(1s);
  dump_begins();
  source(SourceState::kSynced);
  EXPECT_TRUE(events.alerted("came back with 0 of 10 BGP routes"));
  settle(60s);
  EXPECT_EQ(sink.entries.size(), 10U);
  EXPECT_EQ(adapter.status().held, 10U);
  EXPECT_EQ(adapter.next_deadline(), lost_at + 240s);

  learn("10.2.3.0/24", {"10.255.0.2"});  // bgpd came back
  learn("10.2.4.0/24", {"10.255.0.2"});
  withdraw("10.2.5.0/24");
  settle();
  EXPECT_EQ(sink.entries.size(), 9U);
  source(SourceState::kDown);  // a second loss gives nothing a longer life than one hold time
  now = lost_at + 240s - 1ns;
  adapter.tick(now);
  EXPECT_EQ(sink.entries.size(), 9U);
  settle(1ns);
  settle();
  EXPECT_EQ(sink.entries.size(), 2U);
  EXPECT_EQ(sink.at("10.2.3.0/24"), "1");
  EXPECT_EQ(adapter.status().held, 2U);
}

TEST_F(AdapterTest, AZebraThatNeverComesBackIsForgottenAfterTheHoldTime) {
  dump_begins();
  learn("10.2.0.0/24", {"10.255.0.2"});
  source(SourceState::kSynced);
  settle();
  source(SourceState::kDown);
  for (int i = 0; i < 23; ++i) {
    source(SourceState::kConnecting);
    source(SourceState::kDown);
    settle(10s);
  }
  EXPECT_EQ(sink.entries.size(), 1U);
  EXPECT_EQ(std::count_if(events.alerts.begin(), events.alerts.end(),
                          [](const auto& a) { return a.find("source lost") != std::string::npos; }),
            1);
  settle(10s);
  settle(10s);
  EXPECT_TRUE(sink.entries.empty());
}

TEST_F(AdapterTest, AuditRepairsTheSink) {
  learn("10.2.1.0/24", {"10.255.0.2"});
  settle();
  learn("10.3.1.0/24", {"10.255.0.3"});
  learn("10.50.1.0/24", {"10.255.0.2", "10.255.0.3"});
  learn("10.77.1.0/24", {"10.255.0.3"});
  settle();
  EXPECT_EQ(adapter.audit(now), 0U);
  const auto good = sink.entries;
  sink.entries.erase(prefix("10.2.1.0/24"));
  sink.changed_to.erase(prefix("10.2.1.0/24"));
  sink.changed_to[prefix("10.3.1.0/24")] = {prefix("10.3.1.0/24"), Action::kDiscard, {}};
  sink.changed_to[prefix("10.9.0.0/16")] = {prefix("10.9.0.0/16"), Action::kPeer, PeerId{3}};
  sink.entries[prefix("10.9.0.0/16")] = "3";
  sink.changed_to[prefix("10.50.1.0/24")] = {prefix("10.50.1.0/24"), Action::kPeer, PeerId{1}};
  EXPECT_EQ(adapter.audit(now), 4U);
  EXPECT_EQ(sink.entries, good);
  EXPECT_EQ(adapter.audit(now), 0U);
  EXPECT_EQ(adapter.status().audits, 3U);
  EXPECT_EQ(adapter.status().repaired, 4U);
  EXPECT_TRUE(events.alerted("4 learned allowed-IPs were not as decided"));
}

TEST_F(AdapterTest, AResyncThatWasAskedForFindsWhatTheSourceHasOtherwise) {
  dump_begins();
  for (int i = 0; i < 6; ++i) learn("10.2." + std::to_string(i) + ".0/24", {"10.255.0.2"});
  source(SourceState::kSynced);
  settle();
  const auto changed = sink.changed;
  const auto resync = [&](int from) {
    source(SourceState::kSyncing);
    for (int i = from; i < 6; ++i) learn("10.2." + std::to_string(i) + ".0/24", {"10.255.0.2"});
    source(SourceState::kSynced);
    settle();
  };
  resync(0);
  EXPECT_EQ(sink.changed, changed) << "nothing is taken away to be put back";
  EXPECT_EQ(adapter.status().repaired, 0U);
  EXPECT_EQ(events.notices.size(), 1U) << "and nothing is said";
  resync(1);
  EXPECT_EQ(sink.at("10.2.0.0/24"), "");
  EXPECT_EQ(adapter.status().repaired, 1U);
  EXPECT_EQ(adapter.status().held, 0U);
}

// Whatever came in which order: in the end the sink has what the last state of each route asks for, and the
// counts agree.
TEST_F(AdapterTest, TheOutcomeDependsOnTheLastStateOnly) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto roll = [&](std::uint32_t sides) { return static_cast<std::uint32_t>(random() % sides); };
  std::map<std::string, std::string> model;
  for (int step = 0; step < 20'000; ++step) {
    const auto site = 2 + roll(3);
    const auto p = "10." + std::to_string(site) + "." + std::to_string(roll(8)) + ".0/24";
    const auto kind = roll(5);
    if (kind == 0) {
      withdraw(p);
      model.erase(p);
    } else if (kind == 1) {
      learn(p, {"172.31.12.2"}, 12);
      model.erase(p);
    } else if (kind == 2) {
      learn(p, {"10.255.0.77"});
      model[p] = "discard";
    } else {
      const auto by = 1 + roll(2);
      learn(p, {by == 1 ? "10.255.0.2" : "10.255.0.3"});
      model[p] = site == by + 1 ? std::to_string(by) : "discard";
    }
    if (roll(50) == 0) settle();
  }
  settle();
  std::map<std::string, std::string> got;
  for (const auto& [p, what] : sink.entries) got[p.to_string()] = what;
  EXPECT_EQ(got, model);
  const auto status = adapter.status();
  const auto accepted =
      std::count_if(model.begin(), model.end(), [](const auto& e) { return e.second != "discard"; });
  EXPECT_EQ(status.accepted, static_cast<std::size_t>(accepted));
  EXPECT_EQ(status.peers.at(0).accepted + status.peers.at(1).accepted, status.accepted);
}

}  // namespace
}  // namespace greywire::routing
