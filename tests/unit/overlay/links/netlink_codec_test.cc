#include "overlay/links/netlink_codec.h"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include <random>

namespace greywire::links {
namespace {

IpAddress ip(const char* text) {
  return IpAddress::parse(text).value();
}

// What we send is laid out as what the kernel sends, so a round trip tests both sides of the codec.
TEST(NetlinkCodec, RoutesSurviveARoundTrip) {
  Route base;
  base.destination = Prefix::parse("10.9.0.0/16").value();
  base.next_hops = {{3, std::nullopt, 1, false}};
  std::vector<Route> routes(8, base);
  routes[1].next_hops = {{3, ip("10.255.0.2"), 1, true}};
  routes[2].next_hops = {{3, ip("fd00::2"), 1, false}};  // IPv4 by way of IPv6
  routes[3].next_hops = {
      {3, ip("10.255.0.2"), 7, false}, {4, ip("fd00::2"), 1, true}, {5, std::nullopt, 255, false}};
  routes[4].table = 0x067f8529;
  routes[4].metric = 4294967295U;
  routes[5].kind = RouteKind::kUnreachable;
  routes[5].next_hops.clear();
  routes[6].destination = Prefix::parse("::/0").value();
  routes[6].preferred_source = ip("fd00::1");
  routes[7].destination = Prefix::parse("0.0.0.0/0").value();
  routes[7].protocol = 186;
  for (const auto& route : routes) {
    const auto message = encode(SetRoute{route, true});
    const auto decoded = decode_route(nlmsg_hdr(message.get()));
    ASSERT_TRUE(decoded) << route.to_string();
    EXPECT_EQ(*decoded, route) << route.to_string() << " became " << decoded->to_string();
  }
}

TEST(NetlinkCodec, BridgesAndPortsSurviveARoundTrip) {
  for (const bool filtering : {false, true}) {
    const auto link = decode_link(nlmsg_hdr(encode(CreateBridge{{"br-lan", filtering, true}}).get()));
    ASSERT_TRUE(link);
    EXPECT_EQ(link->name, "br-lan");
    EXPECT_EQ(link->kind, "bridge");
    EXPECT_EQ(link->group, kBridgeGroup);
    EXPECT_EQ(link->vlan_filtering, filtering);
    EXPECT_TRUE(link->up);
  }
  for (const std::uint32_t isolated : {0U, 1U}) {
    const auto link = decode_link(nlmsg_hdr(encode(SetLink{5, "tap-fra", LinkField::kIsolated, isolated}).get()));
    ASSERT_TRUE(link);
    EXPECT_EQ(link->ifindex, 5U);
    EXPECT_EQ(link->isolated, isolated != 0);
  }
  for (const PortVlan vlan : {PortVlan{1, true, true}, PortVlan{4094, false, true}, PortVlan{20, false, false}}) {
    auto message = encode(SetVlan{7, "tap-fra", vlan});
    auto* header = nlmsg_hdr(message.get());
    header->nlmsg_type = RTM_NEWLINK;  // what the kernel announces has the same body
    const auto port = decode_port(header);
    ASSERT_TRUE(port);
    EXPECT_EQ(port->ifindex, 7U);
    EXPECT_EQ(port->vlans, std::vector{vlan});
  }
}

TEST(NetlinkCodec, AddressesAndRulesSurviveARoundTrip) {
  for (const auto& address :
       {LinkAddress::plain(ip("10.0.0.1"), 24), LinkAddress::point_to_point(ip("10.0.0.1"), ip("10.0.0.2")),
        LinkAddress::plain(ip("fe80::1"), 128), LinkAddress::point_to_point(ip("fd00::1"), ip("fd00::2"))}) {
    const auto decoded = decode_address(nlmsg_hdr(encode(SetAddress{5, "gw0", address}).get()));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->address, address);
    EXPECT_EQ(decoded->ifindex, 5U);
    EXPECT_EQ(decoded->protocol, kProtocol);
  }
  for (const auto& rule : {Rule{Family::kV4, 2600, 0x42, 0xffffffff, 51820U, kProtocol},
                           Rule{Family::kV6, 2601, 0x42, 0xffffffff, std::nullopt, kProtocol},
                           Rule{Family::kV6, 2600, 0x42, 0xff, 254U, 3}}) {
    const auto decoded = decode_rule(nlmsg_hdr(encode(AddRule{rule}).get()));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(*decoded, rule) << rule.to_string();
  }
}

TEST(NetlinkCodec, LinkFieldsStandWhereTheKernelLooks) {
  const auto mtu = encode(SetLink{5, "gw0", LinkField::kMtu, 1392});
  auto decoded = decode_link(nlmsg_hdr(mtu.get()));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->ifindex, 5U);
  EXPECT_EQ(decoded->mtu, Mtu{1392});
  const auto mode = encode(SetLink{5, "gw0", LinkField::kAutomaticLinkLocal, 0});
  EXPECT_FALSE(decode_link(nlmsg_hdr(mode.get()))->automatic_link_local);
  EXPECT_TRUE(decode_link(nlmsg_hdr(mtu.get()))->automatic_link_local);
  const auto up = encode(SetLink{5, "gw0", LinkField::kUp, 1});
  EXPECT_TRUE(decode_link(nlmsg_hdr(up.get()))->up);
  const auto carrier = encode(SetLink{5, "gw0", LinkField::kCarrier, 1});
  EXPECT_TRUE(decode_link(nlmsg_hdr(carrier.get()))->carrier);
  const auto gso = encode(SetLink{5, "gw0", LinkField::kGsoMaxSize, 60000});
  EXPECT_EQ(decode_link(nlmsg_hdr(gso.get()))->gso_max_size, 60000U);
}

TEST(NetlinkCodec, WhatDoesNotConcernUsIsLeftOut) {
  Route route;
  route.next_hops = {{3, std::nullopt, 1, false}};
  const auto edit = [&](auto change) {
    const auto message = encode(SetRoute{route, false});
    change(*static_cast<rtmsg*>(nlmsg_data(nlmsg_hdr(message.get()))));
    return decode_route(nlmsg_hdr(message.get())).has_value();
  };
  EXPECT_TRUE(edit([](rtmsg&) {}));
  EXPECT_FALSE(edit([](rtmsg& m) { m.rtm_flags = RTM_F_CLONED; }));
  EXPECT_FALSE(edit([](rtmsg& m) { m.rtm_type = RTN_LOCAL; }));
  EXPECT_FALSE(edit([](rtmsg& m) { m.rtm_tos = 16; }));
  EXPECT_FALSE(edit([](rtmsg& m) { m.rtm_src_len = 64; }));
  EXPECT_FALSE(edit([](rtmsg& m) { m.rtm_family = AF_BRIDGE; }));
}

// The kernel is trusted, the decoder is tested all the same: cut and altered messages never read outside.
TEST(NetlinkCodec, CutAndAlteredMessagesAreSafe) {
  Route route;
  route.destination = Prefix::parse("10.9.0.0/16").value();
  route.next_hops = {{3, ip("10.255.0.2"), 7, false}, {4, ip("fd00::2"), 1, true}};
  const auto message = encode(SetRoute{route, false});
  const auto* start = reinterpret_cast<const std::uint8_t*>(nlmsg_hdr(message.get()));
  const std::vector<std::uint8_t> whole(start, start + nlmsg_hdr(message.get())->nlmsg_len);
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::uint8_t> bytes(whole.begin(),
                                    whole.begin() + 16 + static_cast<long>(random() % (whole.size() - 15)));
    for (std::uint32_t i = random() % 4; i > 0 && bytes.size() > 16; --i) {
      bytes[16 + random() % (bytes.size() - 16)] = static_cast<std::uint8_t>(random());
    }
    auto* header = reinterpret_cast<nlmsghdr*>(bytes.data());
    header->nlmsg_len = static_cast<std::uint32_t>(bytes.size());
    for (const auto type : {RTM_NEWROUTE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWRULE}) {
      header->nlmsg_type = static_cast<std::uint16_t>(type);
      (void)decode_route(header);
      (void)decode_address(header);
      (void)decode_link(header);
      (void)decode_rule(header);
    }
  }
}

}  // namespace
}  // namespace greywire::links
