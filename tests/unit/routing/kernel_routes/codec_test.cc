#include "routing/kernel_routes/codec.h"

#include <gtest/gtest.h>

#include "tests/unit/routing/kernel_routes/netlink_messages.h"

namespace greywire::routing::kernel {
namespace {

using test::RouteSpec;

const nlmsghdr* header(const Bytes& bytes) { return reinterpret_cast<const nlmsghdr*>(bytes.data()); }

std::string text(const KernelRoute& route) {
  std::string out = route.prefix.to_string();
  for (const auto& hop : route.next_hops) {
    out += hop.kind == NextHop::Kind::kGateway ? " via " + hop.gateway.to_string()
           : hop.kind == NextHop::Kind::kBlackhole ? " blackhole" : " direct";
    if (hop.ifindex != 0) out += "%" + std::to_string(hop.ifindex);
    if (hop.weight != 1) out += "*" + std::to_string(hop.weight);
  }
  return out;
}

std::string decoded(const RouteSpec& spec) {
  const auto bytes = test::route(spec);
  const auto route = decode_route(header(bytes));
  if (!route) return "error: " + route.error().text;
  return *route ? text(**route) : "none of our business";
}

TEST(KernelCodec, ReadsRoutesOfEveryForm) {
  EXPECT_EQ(decoded({"10.2.1.0/24", {{"10.255.0.2"}}}), "10.2.1.0/24 via 10.255.0.2%7");
  EXPECT_EQ(decoded({"0.0.0.0/0", {{"10.255.0.2"}}}), "0.0.0.0/0 via 10.255.0.2%7");
  EXPECT_EQ(decoded({"fd00:2::/48", {{"fe80::2"}}}), "fd00:2::/48 via fe80::2%7");
  EXPECT_EQ(decoded({"10.2.1.0/24", {{"fe80::2"}}}), "10.2.1.0/24 via fe80::2%7") << "RTA_VIA, RFC 8950";
  EXPECT_EQ(decoded({"10.2.1.0/24", {{"10.255.0.2", 7, 3}, {"fe80::3", 8}}}),
            "10.2.1.0/24 via 10.255.0.2%7*3 via fe80::3%8");
  EXPECT_EQ(decoded({"10.2.1.0/24", {{"10.255.0.2"}, {"10.255.0.3", 7, 1, RTNH_F_DEAD}}}), "10.2.1.0/24 via 10.255.0.2%7");
  EXPECT_EQ(decoded({"10.2.1.0/24", {{"10.255.0.2", 7, 1, RTNH_F_DEAD}}}), "10.2.1.0/24");
  EXPECT_EQ(decoded({"10.2.1.0/24", {{""}}}), "10.2.1.0/24 direct%7");
  RouteSpec unreachable{"10.2.1.0/24", {}};
  unreachable.type = RTN_UNREACHABLE;
  EXPECT_EQ(decoded(unreachable), "10.2.1.0/24 blackhole");
  RouteSpec local{"10.255.0.1/32", {{""}}};
  local.type = RTN_LOCAL;
  EXPECT_EQ(decoded(local), "none of our business");
}

TEST(KernelCodec, ReadsWhatTellsRoutesApart) {
  RouteSpec spec{"10.2.1.0/24", {{"10.255.0.2"}}, 32, RTPROT_STATIC, 1000, 12};
  const auto bytes = test::route(spec);
  const auto route = decode_route(header(bytes)).value().value();
  EXPECT_EQ(route.metric, 32U);
  EXPECT_EQ(route.protocol, RTPROT_STATIC);
  EXPECT_EQ(route.table, 1000U);
  EXPECT_EQ(route.next_hop_id, 12U);
}

TEST(KernelCodec, ReadsNextHopObjectsAndLinks) {
  auto bytes = test::next_hop(3, "10.255.0.2");
  const auto single = decode_next_hop(header(bytes)).value().value();
  EXPECT_EQ(single.id, 3U);
  EXPECT_EQ(single.next_hop.gateway.to_string(), "10.255.0.2");
  EXPECT_EQ(single.next_hop.ifindex, 7U);
  bytes = test::next_hop_group(9, {{3, 1}, {4, 5}});
  const auto group = decode_next_hop(header(bytes)).value().value();
  EXPECT_EQ(group.group, (std::vector<NextHopObject::Member>{{3, 1}, {4, 5}}));
  bytes = test::link(7, true);
  EXPECT_TRUE(decode_link(header(bytes)).value()->up);
}

TEST(KernelCodec, RefusesWhatCannotBe) {
  auto bytes = test::route({"10.2.1.0/24", {{"10.255.0.2"}}});
  reinterpret_cast<rtmsg*>(bytes.data() + NLMSG_HDRLEN)->rtm_dst_len = 33;
  EXPECT_FALSE(decode_route(header(bytes)).has_value());
  bytes = test::route({"10.2.1.0/24", {{"10.255.0.2"}, {"10.255.0.3"}}});
  const std::size_t at = bytes.size() - 2 * (sizeof(rtnexthop) + 8);  // the first path
  bytes[at] = 3;  // shorter than itself
  EXPECT_FALSE(decode_route(header(bytes)).has_value());

  bytes.resize(20);
  MessageReader cut(bytes);
  EXPECT_FALSE(cut.next().has_value());
}

TEST(KernelCodec, CutsAReadIntoMessages) {
  using test::operator+;
  const auto bytes = test::link(1, true) + test::link(2, false) + test::done(5);
  MessageReader reader(bytes);
  EXPECT_EQ(reader.next().value()->nlmsg_type, RTM_NEWLINK);
  EXPECT_EQ(reader.next().value()->nlmsg_type, RTM_NEWLINK);
  EXPECT_EQ(reader.next().value()->nlmsg_type, NLMSG_DONE);
  EXPECT_EQ(reader.next().value(), nullptr);
}

}  // namespace
}  // namespace greywire::routing::kernel
