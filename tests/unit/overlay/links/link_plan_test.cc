#include "overlay/links/link_plan.h"

#include <gtest/gtest.h>

#include "overlay/links/underlay.h"
#include "tests/unit/overlay/links/fake_link_system.h"

namespace greywire::links {
namespace {

IpAddress ip(const char* text) {
  return IpAddress::parse(text).value();
}
Prefix prefix(const char* text) {
  return Prefix::parse(text).value();
}

std::vector<std::string> texts(const std::vector<Operation>& operations) {
  std::vector<std::string> result;
  for (const auto& operation : operations) result.push_back(describe(operation));
  return result;
}

using Texts = std::vector<std::string>;

// A host with an uplink, a bridge, and our gw0 and tap-fra, as the engine leaves them.
class LinkPlanTest : public testing::Test {
 protected:
  LinkPlanTest() {
    eth_ = kernel_.add_link("eth0", "");
    bridge_ = kernel_.add_link("br-lan", "bridge");
    gw_ = kernel_.add_link("gw0", "tun");
    tap_ = kernel_.add_link("tap-fra", "tun");
    LinkSpec gw;
    gw.name = "gw0";
    gw.mtu = Mtu{1420};
    gw.no_automatic_link_local = true;
    gw.addresses = {LinkAddress::plain(ip("10.255.0.1"), 32),
                    LinkAddress::point_to_point(ip("10.255.0.1"), ip("10.255.0.2")),
                    LinkAddress::point_to_point(ip("10.255.0.1"), ip("10.255.0.3")),
                    LinkAddress::plain(ip("fd00:255::1"), 128)};
    desired_.links.push_back(gw);
  }

  Texts planned() { return texts(plan(desired_, kernel_.state).operations); }
  Texts applied() { return texts(reconcile(kernel_, desired_).value().applied); }
  void add_main_route(const char* destination, Ifindex ifindex, const char* gateway, std::uint32_t metric,
                      std::uint8_t protocol) {
    Route route;
    route.destination = prefix(destination);
    route.metric = metric;
    route.protocol = protocol;
    route.next_hops = {{ifindex, gateway != nullptr ? std::optional(ip(gateway)) : std::nullopt, 1, false}};
    kernel_.state.routes.push_back(route);
  }

  FakeLinkSystem kernel_;
  DesiredLinks desired_;
  Ifindex eth_, bridge_, gw_, tap_;
};

TEST_F(LinkPlanTest, SetsAFreshDeviceUpAndThenHasNothingToDo) {
  EXPECT_EQ(
      applied(),
      (Texts{"switch the automatic link-local address of gw0 off", "set the MTU of gw0 to 1420", "set gw0 up",
             "add address 10.255.0.1/32 to gw0", "add address 10.255.0.1 peer 10.255.0.2/32 to gw0",
             "add address 10.255.0.1 peer 10.255.0.3/32 to gw0", "add address fd00:255::1/128 to gw0"}));
  EXPECT_EQ(applied(), Texts{});
}

TEST_F(LinkPlanTest, ChangesOneFieldAtATime) {
  applied();
  struct Case {
    const char* expected;
    std::function<void(LinkSpec&)> change;
  };
  const std::vector<Case> cases = {
      {"set the MTU of gw0 to 1392", [](LinkSpec& s) { s.mtu = Mtu{1392}; }},
      {"set gso_max_size of gw0 to 60000", [](LinkSpec& s) { s.gso_max_size = 60000; }},
      {"set the transmit queue of gw0 to 1000 packets", [](LinkSpec& s) { s.tx_queue_length = 1000; }},
      {"switch the carrier of gw0 off", [](LinkSpec& s) { s.carrier = false; }},
      {"switch the carrier of gw0 on", [](LinkSpec& s) { s.carrier = true; }},
      {"put gw0 into the bridge with index 2", [](LinkSpec& s) { s.bridge = "br-lan"; }},
      {"take gw0 out of its bridge", [](LinkSpec& s) { s.bridge = ""; }},
      {"set gw0 down", [](LinkSpec& s) { s.up = false; }},
  };
  for (const auto& c : cases) {
    c.change(desired_.links[0]);
    EXPECT_EQ(applied(), Texts{c.expected});
    EXPECT_EQ(applied(), Texts{}) << "after " << c.expected;
  }
}

// The bridge is made first; the TAP joins it once it is there, and again when somebody deletes it.
TEST_F(LinkPlanTest, MakesABridgeThatIsAskedForAndRemovesItWhenNobodyNeedsIt) {
  applied();
  LinkSpec tap;
  tap.name = "tap-fra";
  tap.bridge = "br-new";
  tap.isolated = true;
  desired_.links.push_back(tap);
  desired_.bridges = {{"br-new", false, false}};
  const Texts joins{"make the bridge br-new", "set tap-fra up", "put tap-fra into the bridge with index 5",
                    "switch the isolation of port tap-fra on"};
  EXPECT_EQ(applied(), joins);
  EXPECT_EQ(applied(), Texts{});
  kernel_.apply(DeleteBridge{5, "br-new"});
  EXPECT_EQ(applied(), (Texts{"make the bridge br-new", "put tap-fra into the bridge with index 6",
                              "switch the isolation of port tap-fra on"}));
  EXPECT_EQ(applied(), Texts{});

  desired_.links.back().bridge = "";
  desired_.bridges.clear();
  const auto other = kernel_.add_link("eth1", "");
  kernel_.state.links[other - 1].master = 6;
  EXPECT_EQ(applied(), Texts{"take tap-fra out of its bridge"}) << "somebody else's port is in it";
  kernel_.state.links[other - 1].master = 0;
  kernel_.state.addresses.push_back({6, LinkAddress::plain(ip("10.1.0.1"), 24), 0});
  EXPECT_EQ(applied(), Texts{}) << "somebody put an address on it";
  kernel_.state.addresses.back().address = LinkAddress::plain(ip("fe80::1"), 64);
  EXPECT_EQ(applied(), Texts{"delete the bridge br-new"});
  EXPECT_EQ(applied(), Texts{}) << "br-lan is not ours";
}

TEST_F(LinkPlanTest, APortHasTheVlansThatAreWantedAndNoOthers) {
  applied();
  LinkSpec tap;
  tap.name = "tap-fra";
  tap.bridge = "br-lan";
  tap.vlans = std::vector<PortVlan>{{10, true, true}, {20}, {21}};
  desired_.links.push_back(tap);
  const auto refused = plan(desired_, kernel_.state);
  ASSERT_EQ(refused.problems.size(), 1U);
  EXPECT_NE(refused.problems[0].text.find("`ip link set br-lan type bridge vlan_filtering 1`"), std::string::npos);
  kernel_.state.links[bridge_ - 1].vlan_filtering = true;
  EXPECT_EQ(applied(), (Texts{"put tap-fra into the bridge with index 2", "set tap-fra up", "put port tap-fra into VLAN 10 pvid untagged",
                              "put port tap-fra into VLAN 20", "put port tap-fra into VLAN 21", "take port tap-fra out of VLAN 1"}));
  EXPECT_EQ(applied(), Texts{});
  desired_.links.back().vlans = std::vector<PortVlan>{{20, true, true}, {21}};
  EXPECT_EQ(applied(), (Texts{"put port tap-fra into VLAN 20 pvid untagged", "take port tap-fra out of VLAN 10"}));
  kernel_.state.links[tap_ - 1].vlans.push_back({30});
  EXPECT_EQ(applied(), Texts{"take port tap-fra out of VLAN 30"}) << "put there by hand";
  desired_.links.back().vlans.reset();
  EXPECT_EQ(applied(), Texts{}) << "no VLANs in the config: whatever is there";
}

TEST_F(LinkPlanTest, GsoLimitOfIpv4AloneIsPutRightToo) {
  desired_.links[0].gso_max_size = 60000;
  applied();
  kernel_.state.links[gw_ - 1].gso_ipv4_max_size = 65536;
  EXPECT_EQ(applied(), Texts{"set gso_max_size of gw0 to 60000"});
  kernel_.state.links[gw_ - 1].gso_ipv4_max_size.reset();  // a kernel without it
  EXPECT_EQ(applied(), Texts{});
}

TEST_F(LinkPlanTest, APeersAddressGoesAloneAndComesBack) {
  applied();
  const auto peer = desired_.links[0].addresses[1];
  std::erase(desired_.links[0].addresses, peer);
  EXPECT_EQ(applied(), Texts{"delete address 10.255.0.1 peer 10.255.0.2/32 of gw0"});
  desired_.links[0].addresses.push_back(peer);
  EXPECT_EQ(applied(), Texts{"add address 10.255.0.1 peer 10.255.0.2/32 to gw0"});
}

TEST_F(LinkPlanTest, AnAddressRemovedByHandComesBack) {
  applied();
  std::erase_if(kernel_.state.addresses,
                [](const ActualAddress& a) { return a.address.peer == ip("10.255.0.3"); });
  EXPECT_EQ(applied(), Texts{"add address 10.255.0.1 peer 10.255.0.3/32 to gw0"});
}

TEST_F(LinkPlanTest, ForeignAddressesStayAndOurLocalAddressIsOursWhoeverMadeIt) {
  kernel_.state.addresses.push_back({gw_, LinkAddress::plain(ip("192.0.2.9"), 32), 0});
  kernel_.state.addresses.push_back({gw_, desired_.links[0].addresses[1], 0});
  kernel_.state.addresses.push_back({gw_, LinkAddress::plain(ip("10.255.0.1"), 24), 0});
  kernel_.state.addresses.push_back({gw_, LinkAddress::plain(ip("fe80::9"), 64), 3});
  kernel_.state.addresses.push_back({eth_, LinkAddress::plain(ip("10.255.0.1"), 32), kProtocol});
  auto first = applied();
  first.erase(first.begin(), first.end() - 5);
  EXPECT_EQ(first,
            (Texts{"add address 10.255.0.1/32 to gw0", "add address 10.255.0.1 peer 10.255.0.3/32 to gw0",
                   "add address fd00:255::1/128 to gw0", "delete address 10.255.0.1/24 of gw0",
                   "delete address fe80::9/64 of gw0"}));
  EXPECT_EQ(applied(), Texts{});
  std::erase(desired_.links[0].addresses, desired_.links[0].addresses[1]);
  EXPECT_EQ(applied(), Texts{"delete address 10.255.0.1 peer 10.255.0.2/32 of gw0"})
      << "made by hand, of a dead peer";
}

TEST_F(LinkPlanTest, AnIpv6AddressWithAnotherLengthMakesRoomFirst) {
  kernel_.state.addresses.push_back({gw_, LinkAddress::plain(ip("fd00:255::1"), 64), 0});
  const auto steps = applied();
  EXPECT_EQ(steps.front(), "delete address fd00:255::1/64 of gw0");
  EXPECT_EQ(steps.back(), "add address fd00:255::1/128 to gw0");
  EXPECT_EQ(applied(), Texts{});
}

TEST_F(LinkPlanTest, NamesWhatIsMissing) {
  desired_.links[0].bridge = "br-dmz";
  LinkSpec gre;
  gre.name = "gre-fra";
  desired_.links.push_back(gre);
  LinkSpec tap;
  tap.name = "tap-fra";
  tap.bridge = "eth0";
  desired_.links.push_back(tap);
  const auto outcome = reconcile(kernel_, desired_).value();
  ASSERT_EQ(outcome.problems.size(), 3U);
  EXPECT_EQ(
      outcome.problems[0].text,
      "cannot put gw0 into bridge br-dmz: no such link; create it with `ip link add br-dmz type bridge`, or let "
      "`bridge_create = true` do it");
  EXPECT_EQ(outcome.problems[1].text,
            "link gre-fra does not exist: it was removed, or its device could not be made");
  EXPECT_EQ(outcome.problems[2].text,
            "cannot put tap-fra into eth0: it is no bridge; name a bridge in the tunnel's `bridge`");
  EXPECT_EQ(kernel_.state.addresses.size(), 4U) << "the rest was done";
}

TEST_F(LinkPlanTest, AFailureDoesNotStopTheRest) {
  kernel_.fail_on = "peer 10.255.0.2";
  const auto outcome = reconcile(kernel_, desired_).value();
  ASSERT_EQ(outcome.problems.size(), 1U);
  EXPECT_EQ(outcome.problems[0].text, "cannot add address 10.255.0.1 peer 10.255.0.2/32 to gw0");
  EXPECT_EQ(kernel_.state.addresses.size(), 3U);
  EXPECT_FALSE(outcome.settled());
}

TEST_F(LinkPlanTest, DeviceRoutesAreAddedReplacedAndSwept) {
  applied();
  desired_.routes = {{prefix("fd00:255::2/128"), "gw0", 0, kMainTable, std::nullopt},
                     {prefix("10.9.0.0/16"), "gw0", 50, kMainTable, ip("10.255.0.1")}};
  EXPECT_EQ(applied(), (Texts{"add route fd00:255::2/128 interface 3 metric 1024",
                              "add route 10.9.0.0/16 interface 3 metric 50"}));
  desired_.routes[1].preferred_source.reset();
  EXPECT_EQ(applied(), Texts{"replace route 10.9.0.0/16 interface 3 metric 50"});
  add_main_route("10.8.0.0/16", gw_, nullptr, 20, 186);  // BGP's, through the same device
  desired_.routes.clear();
  EXPECT_EQ(applied(), (Texts{"delete route 10.9.0.0/16 interface 3 metric 50",
                              "delete route fd00:255::2/128 interface 3 metric 1024"}));
  EXPECT_EQ(kernel_.state.routes.size(), 1U) << "BGP's route stays";
}

TEST_F(LinkPlanTest, AForeignRouteWithOurKeyIsNotReplaced) {
  applied();
  add_main_route("10.9.0.0/16", eth_, nullptr, 50, 3);
  desired_.routes = {{prefix("10.9.0.0/16"), "gw0", 50, kMainTable, std::nullopt}};
  const auto todo = plan(desired_, kernel_.state);
  ASSERT_EQ(todo.operations.size(), 1U);
  EXPECT_FALSE(std::get<SetRoute>(todo.operations[0]).replace);
}

TEST_F(LinkPlanTest, TheUnderlayIsMirroredFollowedAndRemoved) {
  applied();
  add_main_route("0.0.0.0/0", eth_, "192.0.2.254", 100, 3);
  add_main_route("192.0.2.0/24", eth_, nullptr, 0, 2);
  add_main_route("0.0.0.0/0", gw_, "10.255.0.2", 20, 186);  // learned through the tunnel
  desired_.underlay = choose_underlay("gw0", kernel_.state);
  const auto table = std::to_string(desired_.underlay->table);
  auto steps = applied();
  ASSERT_EQ(steps.size(), 6U);
  EXPECT_EQ(steps[0], "add route 192.0.2.0/24 interface 1 table " + table);
  EXPECT_EQ(steps[1], "add route default via 192.0.2.254 interface 1 table " + table + " metric 100");
  EXPECT_EQ(applied(), Texts{});

  kernel_.state.routes[0].next_hops[0].gateway = ip("192.0.2.253");
  EXPECT_EQ(applied(),
            Texts{"replace route default via 192.0.2.253 interface 1 table " + table + " metric 100"});

  desired_.withdrawn = {*desired_.underlay};
  desired_.underlay.reset();
  EXPECT_EQ(applied().size(), 6U);
  EXPECT_TRUE(kernel_.state.rules.empty());
  EXPECT_EQ(kernel_.state.routes.size(), 3U) << "the main table is as it was";
}

TEST_F(LinkPlanTest, LeftoversOfAnotherSiteStay) {
  const auto other = choose_underlay("gw7", kernel_.state);
  for (const auto& rule : underlay_rules(other)) kernel_.state.rules.push_back(rule);
  Route route;
  route.table = other.table;
  route.destination = prefix("0.0.0.0/0");
  route.next_hops = {{eth_, ip("192.0.2.254"), 1, false}};
  kernel_.state.routes.push_back(route);
  desired_.underlay = choose_underlay("gw0", kernel_.state);
  applied();
  desired_.withdrawn = {*desired_.underlay};
  desired_.underlay.reset();
  applied();
  EXPECT_EQ(kernel_.state.rules, underlay_rules(other));
  EXPECT_EQ(kernel_.state.routes.size(), 1U);
}

TEST_F(LinkPlanTest, ATooLargeUnderlayIsCutAndSaid) {
  for (std::uint32_t i = 0; i <= kMaxMirroredRoutes; ++i) {
    Route route;
    route.destination = Prefix(IpAddress::v4(0x0b000000 + (i << 8)), 24);
    route.protocol = 186;
    route.next_hops = {{eth_, ip("192.0.2.254"), 1, false}};
    kernel_.state.routes.push_back(route);
  }
  add_main_route("0.0.0.0/0", eth_, "192.0.2.254", 100, 3);
  desired_.underlay = choose_underlay("gw0", kernel_.state);
  const auto outcome = reconcile(kernel_, desired_).value();
  ASSERT_EQ(outcome.problems.size(), 1U);
  EXPECT_NE(outcome.problems[0].text.find("give [underlay] a device or a table"), std::string::npos);
  const auto has_default = std::any_of(
      kernel_.state.routes.begin(), kernel_.state.routes.end(),
      [&](const Route& r) { return r.table == desired_.underlay->table && r.destination.length() == 0; });
  EXPECT_TRUE(has_default) << "short prefixes are kept";
}

}  // namespace
}  // namespace greywire::links
