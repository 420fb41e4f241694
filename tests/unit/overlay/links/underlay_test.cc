#include "overlay/links/underlay.h"

#include <gtest/gtest.h>


namespace greywire::links {
namespace {

Route route(const char* destination, std::vector<NextHop> hops, std::uint32_t metric = 0) {
  Route r;
  r.destination = Prefix::parse(destination).value();
  r.metric = metric;
  r.protocol = 3;
  r.next_hops = std::move(hops);
  return r;
}

TEST(ChooseUnderlay, IsTheSameAtEveryStartAndApartForEachDevice) {
  const ActualLinks empty;
  const auto a = choose_underlay("gw0", empty);
  EXPECT_EQ(a, choose_underlay("gw0", empty));
  EXPECT_NE(a, choose_underlay("gw1", empty));
  EXPECT_EQ(a.mark, a.table);
  EXPECT_TRUE(a.mirror_main);
}

TEST(ChooseUnderlay, AdoptsItsOwnAndAvoidsForeignNumbers) {
  const auto first = choose_underlay("gw0", {});
  struct Case {
    const char* name;
    Rule rule;
    bool same;
  };
  const std::vector<Case> cases = {
      {"ours of an earlier run", {Family::kV4, 2600, first.mark, 0xffffffff, first.table, kProtocol}, true},
      {"a foreign rule with the mark", {Family::kV4, 100, first.mark, 0xffffffff, 7U, 3}, false},
      {"a foreign rule with the table", {Family::kV6, 100, 0, 0, first.table, 3}, false},
      {"a foreign mask that matches", {Family::kV4, 100, first.mark & 0xff, 0xff, 7U, 3}, false},
      {"another mark", {Family::kV4, 100, 0x51820, 0xffffffff, 51820U, 3}, true},
      {"no mark at all", {Family::kV4, 32766, 0, 0, 254U, 2}, true},
  };
  for (const auto& c : cases) {
    ActualLinks actual;
    actual.rules.push_back(c.rule);
    EXPECT_EQ(choose_underlay("gw0", actual) == first, c.same) << c.name;
  }
  ActualLinks used;
  auto foreign = route("0.0.0.0/0", {{1, std::nullopt, 1, false}});
  foreign.table = first.table;
  used.routes.push_back(foreign);
  EXPECT_NE(choose_underlay("gw0", used), first) << "a foreign route in the table";
}

TEST(MirroredRoutes, LeavesOutOurLinksAndOrdersForTheKernel) {
  const Underlay underlay{7, 7, true};
  const auto gateway = IpAddress::parse("192.0.2.254").value();
  const auto remote = IpAddress::parse("10.255.0.2").value();
  auto of_other_table = route("10.1.0.0/16", {{1, std::nullopt, 1, false}});
  of_other_table.table = 100;
  auto ours = route("10.2.0.0/16", {{1, std::nullopt, 1, false}});
  ours.protocol = kProtocol;
  auto blackhole = route("10.3.0.0/16", {});
  blackhole.kind = RouteKind::kBlackhole;
  const std::vector<Route> main = {
      route("0.0.0.0/0", {{1, gateway, 1, false}}, 100),
      route("0.0.0.0/0", {{9, remote, 1, false}}, 20),
      route("10.4.0.0/16", {{1, gateway, 2, false}, {9, remote, 1, false}}),
      route("192.0.2.0/24", {{1, std::nullopt, 1, false}}),
      of_other_table,
      ours,
      blackhole,
      route("fe80::/64", {{1, std::nullopt, 1, false}}, 256),
      route("fe80::/64", {{2, std::nullopt, 1, false}}, 256),
      route("fe80::/64", {{9, std::nullopt, 1, false}}, 256),
  };
  std::vector<std::string> texts;
  for (const auto& r : mirrored_routes(underlay, {9}, main)) {
    EXPECT_EQ(r.protocol, kProtocol);
    texts.push_back(r.to_string());
  }
  EXPECT_EQ(texts, (std::vector<std::string>{
                       "blackhole 10.3.0.0/16 table 7",
                       "192.0.2.0/24 interface 1 table 7",
                       "fe80::/64 interface 1 table 7 metric 256",
                       "fe80::/64 interface 2 table 7 metric 257",
                       "default via 192.0.2.254 interface 1 table 7 metric 100",
                       "10.4.0.0/16 via 192.0.2.254 interface 1 table 7",
                   }));
}

}  // namespace
}  // namespace greywire::links
