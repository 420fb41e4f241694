#include "routing/policy.h"

#include <gtest/gtest.h>

#include "routing/next_hops.h"

namespace greywire::routing {
namespace {

constexpr std::uint32_t kOverlay = 7;

IpAddress address(const char* text) {
  return IpAddress::parse(text).value();
}
Prefix prefix(const char* text) {
  return Prefix::parse(text).value();
}
Ceiling ceiling(std::initializer_list<const char*> rules) {
  std::vector<CeilingRule> parsed;
  for (const char* rule : rules) parsed.push_back(CeilingRule::parse(rule).value());
  return Ceiling(std::move(parsed));
}

std::vector<PeerRouting> peers() {
  PeerRouting fra{PeerId{1},
                  "fra",
                  {address("10.255.0.2"), address("fd00:255::2"), address("fe80::2")},
                  {prefix("10.20.0.0/16")},
                  ceiling({"10.0.0.0/8 le 32", "fd00:2::/48 le 64"}),
                  100};
  PeerRouting nyc{PeerId{2},
                  "nyc",
                  {address("10.255.0.3"), address("fe80::3")},
                  {},
                  ceiling({"0.0.0.0/0 le 32", "::/0 le 128"}),
                  100};
  PeerRouting bare{PeerId{3}, "bare", {address("10.255.0.4")}, {}, {}, 100};
  return {fra, nyc, bare};
}

TEST(Policy, Table) {
  Policy policy;
  policy.set_peers(peers());
  policy.set_own({prefix("10.1.0.0/16"), prefix("10.255.0.1/32"), prefix("fd00:1::/48")});
  struct Case {
    const char* prefix;
    std::uint32_t peer;
    Reason reason;
  };
  const Case cases[] = {
      {"10.2.0.0/16", 1, Reason::kNone},
      {"10.2.3.4/32", 1, Reason::kNone},
      {"fd00:2:0:1::/64", 1, Reason::kNone},
      {"192.168.0.0/16", 1, Reason::kOutsideAccept},
      {"fd00:3::/64", 1, Reason::kOutsideAccept},
      {"0.0.0.0/0", 1, Reason::kOutsideAccept},
      {"0.0.0.0/0", 2, Reason::kNone},
      {"::/0", 2, Reason::kNone},
      {"10.2.0.0/16", 3, Reason::kNoAccept},
      {"10.2.0.0/16", 9, Reason::kNoAccept},
      // bogons stay out of the widest ceiling
      {"127.0.0.0/8", 2, Reason::kBogon},
      {"127.0.0.1/32", 2, Reason::kBogon},
      {"169.254.1.0/24", 2, Reason::kBogon},
      {"224.0.0.0/4", 2, Reason::kBogon},
      {"255.255.255.255/32", 2, Reason::kBogon},
      {"0.1.2.0/24", 2, Reason::kBogon},
      {"fe80::/64", 2, Reason::kBogon},
      {"ff02::1/128", 2, Reason::kBogon},
      {"::1/128", 2, Reason::kBogon},
      {"::ffff:10.0.0.0/104", 2, Reason::kBogon},
      {"0.0.0.0/1", 2, Reason::kNone},
      {"192.0.2.0/24", 2, Reason::kNone},
      // this site's own
      {"10.1.0.0/16", 2, Reason::kOwnPrefix},
      {"10.1.7.0/24", 2, Reason::kOwnPrefix},
      {"10.255.0.1/32", 2, Reason::kOwnPrefix},
      {"fd00:1:0:9::/64", 2, Reason::kOwnPrefix},
      {"10.0.0.0/8", 2, Reason::kNone},
      // others' overlay addresses and configured prefixes
      {"10.255.0.3/32", 1, Reason::kOtherPeersAddress},
      {"10.255.0.2/32", 2, Reason::kOtherPeersAddress},
      {"10.255.0.2/32", 1, Reason::kStatic},
      {"fd00:255::2/128", 2, Reason::kOtherPeersAddress},
      {"10.20.0.0/16", 1, Reason::kStatic},
      {"10.20.0.0/16", 2, Reason::kOtherPeersAddress},
      {"10.20.1.0/24", 2, Reason::kNone},
      {"10.255.0.0/24", 2, Reason::kNone},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(policy.check(prefix(c.prefix), PeerId{c.peer}), c.reason)
        << c.prefix << " from peer " << c.peer;
  }
  EXPECT_EQ(policy.name(PeerId{2}), "nyc");
  EXPECT_EQ(policy.find(PeerId{9}), nullptr);
}

TEST(PrefixLimit, FreezesUntilEverythingFitsAgain) {
  PrefixLimit limit(2);
  EXPECT_TRUE(limit.has_room());
  limit.add_accepted();
  limit.add_accepted();
  EXPECT_FALSE(limit.has_room());
  limit.add_refused();
  EXPECT_TRUE(limit.is_frozen());
  EXPECT_FALSE(limit.thaw());
  limit.add_refused();
  limit.remove_accepted();
  EXPECT_TRUE(limit.has_room());
  EXPECT_FALSE(limit.thaw()) << "one accepted and two refused do not fit into two";
  limit.remove_refused();
  EXPECT_TRUE(limit.thaw());
  EXPECT_FALSE(limit.is_frozen());
  EXPECT_FALSE(limit.thaw());
}

TEST(PrefixLimit, WarnsAtFourFifthsOnce) {
  PrefixLimit limit(10);
  for (int i = 0; i < 7; ++i) {
    limit.add_accepted();
    EXPECT_FALSE(limit.warn());
  }
  limit.add_accepted();
  EXPECT_TRUE(limit.warn());
  limit.add_accepted();
  EXPECT_FALSE(limit.warn());
  for (int i = 0; i < 2; ++i) limit.remove_accepted();
  EXPECT_FALSE(limit.warn()) << "at 7, not rearmed yet";
  for (int i = 0; i < 2; ++i) limit.remove_accepted();
  EXPECT_FALSE(limit.warn()) << "at 5, rearmed";
  for (int i = 0; i < 3; ++i) limit.add_accepted();
  EXPECT_TRUE(limit.warn());
}

TEST(NextHopResolver, Table) {
  NextHopResolver resolver;
  auto all = peers();
  all[1].accept = ceiling({"192.0.2.0/24"});
  all[0].static_prefixes.push_back(Prefix::parse("172.16.0.0/16").value());
  all[1].static_prefixes.push_back(Prefix::parse("172.16.7.0/24").value());
  resolver.set_peers(all);
  resolver.set_overlay_ifindex(kOverlay);
  using Kind = NextHopResolver::Kind;
  const auto somewhere = Prefix::parse("198.51.100.0/24").value();
  struct Case {
    const char* what;
    const char* gateway;
    std::uint32_t ifindex;
    Kind kind;
    std::uint32_t peer;
  };
  const Case cases[] = {
      {"IPv4 on gw0", "10.255.0.2", kOverlay, Kind::kPeer, 1},
      {"recursive", "10.255.0.2", 0, Kind::kPeer, 1},
      {"IPv6 global", "fd00:255::2", kOverlay, Kind::kPeer, 1},
      {"IPv6 link-local on gw0", "fe80::3", kOverlay, Kind::kPeer, 2},
      {"the same link-local elsewhere", "fe80::3", 4, Kind::kOtherInterface, 0},
      {"link-local without interface", "fe80::3", 0, Kind::kOtherInterface, 0},
      {"inside static allowed-IPs, on gw0", "172.16.5.1", kOverlay, Kind::kPeer, 1},
      {"inside static allowed-IPs, recursive", "172.16.5.1", 0, Kind::kPeer, 1},
      {"the longest static one leads", "172.16.7.1", kOverlay, Kind::kPeer, 2},
      {"inside static allowed-IPs, elsewhere", "172.16.5.1", 4, Kind::kOtherInterface, 0},
      {"no peer's, on gw0", "10.255.0.9", kOverlay, Kind::kUnknown, 0},
      {"no peer's link-local, on gw0", "fe80::9", kOverlay, Kind::kUnknown, 0},
      {"over a GRE link", "172.31.12.2", 12, Kind::kOtherInterface, 0},
      {"recursive inside an accept", "10.44.0.1", 0, Kind::kRecursive, 0},
      {"recursive inside another accept", "192.0.2.1", 0, Kind::kRecursive, 0},
      {"recursive elsewhere", "203.0.113.1", 0, Kind::kRecursive, 0},
  };
  for (const auto& c : cases) {
    const auto resolution = resolver.resolve(somewhere, {NextHop::Kind::kGateway, 0, c.ifindex, address(c.gateway), 1});
    EXPECT_EQ(resolution.kind, c.kind) << c.what;
    EXPECT_EQ(resolution.peer, PeerId{c.peer}) << c.what;
  }
  EXPECT_EQ(resolver.resolve(somewhere, {NextHop::Kind::kInterface, 0, kOverlay, {}, 1}).kind, Kind::kUnknown);
  EXPECT_EQ(resolver.resolve(somewhere, {NextHop::Kind::kInterface, 0, 3, {}, 1}).kind, Kind::kOtherInterface);
  EXPECT_EQ(resolver.resolve(somewhere, {NextHop::Kind::kBlackhole, 0, 0, {}, 1}).kind, Kind::kNone);
  EXPECT_EQ(resolver.resolve(somewhere, {NextHop::Kind::kGateway, 4, kOverlay, address("10.255.0.2"), 1}).kind,
            Kind::kOtherInterface);
  EXPECT_EQ(resolver.resolve(Prefix::parse("172.16.7.64/26").value(), {NextHop::Kind::kInterface, 0, kOverlay, {}, 1}).peer,
            PeerId{2})
      << "without a gateway, inside static allowed-IPs";
  EXPECT_EQ(resolver.without_route(address("192.0.2.1")), Kind::kUnknown);
  EXPECT_EQ(resolver.without_route(address("203.0.113.1")), Kind::kOtherInterface);
  resolver.set_overlay_ifindex(0);
  EXPECT_EQ(resolver.resolve(somewhere, {NextHop::Kind::kGateway, 0, 0, address("fe80::3"), 1}).kind,
            Kind::kOtherInterface)
      << "no overlay device yet";
}

}  // namespace
}  // namespace greywire::routing
