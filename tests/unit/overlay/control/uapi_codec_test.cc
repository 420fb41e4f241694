#include "overlay/control/uapi_codec.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "overlay/control/uapi_server.h"
#include "tests/net/lib/fake_device.h"

namespace greywire::control {
namespace {

using testing::FakeDevice;

constexpr char kPrivate[] = "e84b5a6d2717c1003a13b431570353dbaca9146cf150c5f8575680feba52027a";
constexpr char kPeerA[] = "b85996fecc9c7f1fc6d2572a76eda11d59bcd20be8e543b15ce4bd85a8e75a33";
constexpr char kPeerB[] = "58402e695ba1772b1cc9309755f043251ea77fdcf10fbe63989ceb7e19321376";
constexpr char kPsk[] = "188515093e952f5f22e865cef3012e72f8b5f0b598ac0309d5dacce3b70fcf52";
constexpr char kZero[] = "0000000000000000000000000000000000000000000000000000000000000000";

std::uint32_t resolve(const std::string& name) {
  return name == "eth7" ? 7 : 0;
}

// Feeds everything, as a server does: again after each reply.
std::string feed(StreamSession& session, std::string_view bytes) {
  std::string replies;
  while (!bytes.empty() && !session.finished()) {
    std::string reply;
    bytes.remove_prefix(session.consume(bytes, reply));
    replies += reply;
  }
  return replies;
}

std::string ask(FakeDevice& device, std::string_view request) {
  UapiSession session(device, resolve);
  return feed(session, request);
}

std::string a_peer(std::string_view lines) {
  return fmt::format("set=1\npublic_key={}\n{}\n", kPeerA, lines);
}
PublicKey key_of(const char* hex) {
  return *PublicKey::from_hex(hex);
}

TEST(UapiGet, EmptyDevice) {
  FakeDevice device;
  EXPECT_EQ(ask(device, "get=1\n\n"), "errno=0\n\n");
}

TEST(UapiGet, EverythingInTheOrderThatWgKnows) {
  FakeDevice device;
  ask(device, fmt::format("set=1\nprivate_key={}\nlisten_port=12912\nfwmark=51\n\n", kPrivate));
  ask(device, fmt::format("set=1\npublic_key={}\npreshared_key={}\nendpoint=[fe80::1%eth7]:51820\n"
                          "persistent_keepalive_interval=111\nallowed_ip=192.168.4.4/32\n"
                          "public_key={}\nendpoint=182.122.22.19:3233\nallowed_ip=2001:db8::/32\n\n",
                          kPeerA, kPsk, kPeerB));
  auto& peer = *device.find(key_of(kPeerA));
  peer.last_handshake = {1700000000, 42};
  peer.rx_bytes = 2224;
  peer.tx_bytes = 38333;
  peer.allowed_ips.push_back({*Prefix::parse("10.2.0.0/16"), Origin::kLearned});
  EXPECT_EQ(
      ask(device, "get=1\n\n"),
      fmt::format(
          "private_key={}\nlisten_port=12912\nfwmark=51\n"
          "public_key={}\npreshared_key={}\nprotocol_version=1\nendpoint=[fe80::1%7]:51820\n"
          "last_handshake_time_sec=1700000000\nlast_handshake_time_nsec=42\ntx_bytes=38333\nrx_bytes=2224\n"
          "persistent_keepalive_interval=111\nallowed_ip=192.168.4.4/32\nallowed_ip=10.2.0.0/16\n"
          "public_key={}\npreshared_key={}\nprotocol_version=1\nendpoint=182.122.22.19:3233\n"
          "last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\n"
          "persistent_keepalive_interval=0\nallowed_ip=2001:db8::/32\nerrno=0\n\n",
          kPrivate, kPeerA, kPsk, kPeerB, kZero));
}

TEST(UapiGet, LargeTableWithoutReallocation) {
  wireguard::DeviceStatus status;
  status.private_key = *PrivateKey::from_hex(kPrivate);
  auto& peer = status.peers.emplace_back();
  for (std::uint32_t i = 0; i < 100000; ++i) {
    peer.allowed_ips.push_back({Prefix(IpAddress::v4(0x0a000000U + (i << 2)), 30), Origin::kLearned});
  }
  const auto reply = uapi_get_reply(status);
  EXPECT_EQ(std::count(reply.begin(), reply.end(), '\n'), 100000 + 11);
  EXPECT_TRUE(reply.ends_with("allowed_ip=10.6.26.124/30\nerrno=0\n\n"));
  EXPECT_LE(reply.size(), std::size_t{256 + 512 + 64 * 100000});
}

TEST(UapiGet, AConfigurationHasNoLearnedPrefixes) {
  wireguard::DeviceStatus status;
  auto& peer = status.peers.emplace_back();
  peer.allowed_ips = {{*Prefix::parse("10.1.0.0/16"), Origin::kConfig},
                      {*Prefix::parse("10.2.0.0/16"), Origin::kLearned},
                      {*Prefix::parse("10.3.0.0/16"), Origin::kWg}};
  const auto everything = uapi_get_reply(status), configuration = uapi_get_reply(status, UapiView::kConfiguration);
  for (const char* line : {"allowed_ip=10.1.0.0/16\n", "allowed_ip=10.3.0.0/16\n"}) {
    EXPECT_NE(everything.find(line), std::string::npos) << line;
    EXPECT_NE(configuration.find(line), std::string::npos) << line;
  }
  EXPECT_NE(everything.find("allowed_ip=10.2.0.0/16\n"), std::string::npos);
  EXPECT_EQ(configuration.find("10.2.0.0"), std::string::npos);
}

TEST(UapiGet, WhoWritesAConfigurationIsToldByItsArguments) {
  const auto arguments = [](std::initializer_list<std::string_view> words) {
    std::string line;
    for (const auto word : words) line.append(word).push_back('\0');
    return line;
  };
  EXPECT_TRUE(writes_a_configuration(arguments({"wg", "showconf", "gw0"})));
  EXPECT_TRUE(writes_a_configuration(arguments({"/usr/bin/wg", "showconf", "gw0"})));
  EXPECT_FALSE(writes_a_configuration(arguments({"wg", "show", "gw0"})));
  EXPECT_FALSE(writes_a_configuration(arguments({"wg", "show", "showconf"})));
  EXPECT_FALSE(writes_a_configuration(arguments({"wg"})));
  EXPECT_FALSE(writes_a_configuration(arguments({"awg", "showconf"})));
  EXPECT_FALSE(writes_a_configuration("wg"));
  EXPECT_FALSE(writes_a_configuration(""));
}

struct ErrnoCase {
  const char* name;
  std::string request;
  int error;
};

std::vector<ErrnoCase> errno_cases() {
  const std::string priv = fmt::format("private_key={}", kPrivate);
  return {
      {"empty set", "set=1\n\n", 0},
      {"private key", "set=1\n" + priv + "\n\n", 0},
      {"private key upper case",
       "set=1\nprivate_key=E84B5A6D2717C1003A13B431570353DBACA9146CF150C5F8575680FEBA52027A\n\n", 0},
      {"private key zero", fmt::format("set=1\nprivate_key={}\n\n", kZero), 0},
      {"private key short", "set=1\nprivate_key=e84b\n\n", 22},
      {"private key long", "set=1\n" + priv + "00\n\n", 22},
      {"private key no hex", "set=1\nprivate_key=" + std::string(64, 'g') + "\n\n", 22},
      {"port 0", "set=1\nlisten_port=0\n\n", 0},
      {"port 65535", "set=1\nlisten_port=65535\n\n", 0},
      {"port 65536", "set=1\nlisten_port=65536\n\n", 22},
      {"port negative", "set=1\nlisten_port=-1\n\n", 22},
      {"port sign", "set=1\nlisten_port=+1\n\n", 22},
      {"port empty", "set=1\nlisten_port=\n\n", 22},
      {"port text", "set=1\nlisten_port=12x\n\n", 22},
      {"port space", "set=1\nlisten_port= 12\n\n", 22},
      {"port in use", "set=1\nlisten_port=666\n\n", 98},
      {"fwmark off", "set=1\nfwmark=0\n\n", 0},
      {"fwmark most", "set=1\nfwmark=4294967295\n\n", 0},
      {"fwmark too much", "set=1\nfwmark=4294967296\n\n", 22},
      {"fwmark hex", "set=1\nfwmark=0x10\n\n", 22},
      {"replace peers", "set=1\nreplace_peers=true\n\n", 0},
      {"replace peers false", "set=1\nreplace_peers=false\n\n", 22},
      {"unknown device key", "set=1\nfoo=1\n\n", 22},
      {"peer key before a peer", "set=1\nallowed_ip=10.0.0.0/8\n\n", 22},
      {"get only key", "set=1\nrx_bytes=1\n\n", 22},
      {"no equals", "set=1\nlisten_port\n\n", 71},
      {"no equals in a peer", a_peer("remove\n"), 71},
      {"value with equals", "set=1\nlisten_port=1=2\n\n", 22},
      {"public key", a_peer(""), 0},
      {"public key short", "set=1\npublic_key=12\n\n", 22},
      {"public key zero", fmt::format("set=1\npublic_key={}\n\n", kZero), 0},
      {"device key in a peer", a_peer("listen_port=1\n"), 22},
      {"unknown peer key", a_peer("foo=1\n"), 22},
      {"remove", a_peer("remove=true\n"), 0},
      {"remove false", a_peer("remove=false\n"), 22},
      {"remove 1", a_peer("remove=1\n"), 22},
      {"update only", a_peer("update_only=true\n"), 0},
      {"update only false", a_peer("update_only=false\n"), 22},
      {"replace allowed ips", a_peer("replace_allowed_ips=true\n"), 0},
      {"replace allowed ips false", a_peer("replace_allowed_ips=false\n"), 22},
      {"psk", a_peer(fmt::format("preshared_key={}\n", kPsk)), 0},
      {"psk zero", a_peer(fmt::format("preshared_key={}\n", kZero)), 0},
      {"psk bad", a_peer("preshared_key=00\n"), 22},
      {"endpoint v4", a_peer("endpoint=192.0.2.1:51820\n"), 0},
      {"endpoint v6", a_peer("endpoint=[2001:db8::1]:51820\n"), 0},
      {"endpoint scope index", a_peer("endpoint=[fe80::1%3]:51820\n"), 0},
      {"endpoint scope name", a_peer("endpoint=[fe80::1%eth7]:51820\n"), 0},
      {"endpoint unknown scope", a_peer("endpoint=[fe80::1%nope]:51820\n"), 22},
      {"endpoint empty scope", a_peer("endpoint=[fe80::1%]:51820\n"), 22},
      {"endpoint v4 scope", a_peer("endpoint=192.0.2.1%3:51820\n"), 22},
      {"endpoint name", a_peer("endpoint=example.net:51820\n"), 22},
      {"endpoint no port", a_peer("endpoint=192.0.2.1\n"), 22},
      {"endpoint port too large", a_peer("endpoint=192.0.2.1:65536\n"), 22},
      {"endpoint v6 bare", a_peer("endpoint=2001:db8::1:51820\n"), 22},
      {"endpoint empty", a_peer("endpoint=\n"), 22},
      {"keepalive off", a_peer("persistent_keepalive_interval=0\n"), 0},
      {"keepalive most", a_peer("persistent_keepalive_interval=65535\n"), 0},
      {"keepalive too much", a_peer("persistent_keepalive_interval=65536\n"), 22},
      {"keepalive off by name", a_peer("persistent_keepalive_interval=off\n"), 22},
      {"allowed v4", a_peer("allowed_ip=10.0.0.0/8\n"), 0},
      {"allowed all", a_peer("allowed_ip=0.0.0.0/0\nallowed_ip=::/0\n"), 0},
      {"allowed removal", a_peer("allowed_ip=-10.0.0.0/8\n"), 0},
      {"allowed without length", a_peer("allowed_ip=10.0.0.0\n"), 22},
      {"allowed length too large", a_peer("allowed_ip=10.0.0.0/33\n"), 22},
      {"allowed v6 length too large", a_peer("allowed_ip=::/129\n"), 22},
      {"allowed empty length", a_peer("allowed_ip=10.0.0.0/\n"), 22},
      {"allowed double minus", a_peer("allowed_ip=--10.0.0.0/8\n"), 22},
      {"allowed name", a_peer("allowed_ip=lan/8\n"), 22},
      {"protocol version", a_peer("protocol_version=1\n"), 0},
      {"protocol version 2", a_peer("protocol_version=2\n"), 22},
      {"bad value after remove", a_peer("remove=true\nallowed_ip=x\n"), 22},
      {"good value after remove", a_peer("remove=true\nallowed_ip=10.0.0.0/8\nupdate_only=true\n"), 0},
      {"unknown operation", "put=1\n", 22},
      {"operation of another version", "set=2\n", 22},
      {"operation without equals", "hello\n", 71},
      {"get with a line", "get=1\nfoo=1\n\n", 22},
      {"line too long", "set=1\nprivate_key=" + std::string(kUapiMaxLine, '0') + "\n\n", 5},
      {"endless line", std::string(100000, 'x'), 5},
  };
}

TEST(UapiSet, ErrnoOfEveryKey) {
  for (const auto& c : errno_cases()) {
    FakeDevice device;
    device.busy_port = 666;
    EXPECT_EQ(ask(device, c.request), fmt::format("errno={}\n\n", -c.error)) << c.name;
  }
}

// However the bytes are cut, replies and result are the same.
TEST(UapiSet, ByteByByteIsTheSame) {
  for (const auto& c : errno_cases()) {
    FakeDevice whole, cut;
    whole.busy_port = cut.busy_port = 666;
    const auto expected = ask(whole, c.request);
    UapiSession session(cut, resolve);
    std::string replies;
    for (const char byte : c.request) replies += feed(session, std::string_view(&byte, 1));
    EXPECT_EQ(replies, expected) << c.name;
    EXPECT_EQ(uapi_get_reply(cut.state), uapi_get_reply(whole.state)) << c.name;
  }
}

TEST(UapiSet, PrivateKeyIsClampedAndZerosClearIt) {
  FakeDevice device;
  ask(device, fmt::format("set=1\nprivate_key={}\n\n", std::string(64, 'f')));
  EXPECT_EQ(device.state.private_key.reveal_hex(), "f8" + std::string(60, 'f') + "7f");
  ask(device, fmt::format("set=1\nprivate_key={}\n\n", kZero));
  EXPECT_TRUE(device.state.private_key.is_zero());
}

TEST(UapiSet, PeerFieldsArriveInOneChange) {
  FakeDevice device;
  EXPECT_EQ(ask(device, a_peer(fmt::format(
                            "preshared_key={}\nendpoint=192.0.2.1:7\npersistent_keepalive_interval=25\n"
                            "replace_allowed_ips=true\nallowed_ip=10.1.2.3/8\nallowed_ip=fd00::1/64\n",
                            kPsk))),
            "errno=0\n\n");
  ASSERT_EQ(device.changes.size(), 1U);
  const auto& change = device.changes[0];
  EXPECT_EQ(change.origin, Origin::kWg);
  EXPECT_FALSE(change.update_only);
  EXPECT_TRUE(change.replace_allowed_ips);
  EXPECT_EQ(change.preshared_key->reveal_hex(), kPsk);
  EXPECT_EQ(change.endpoint->to_string(), "192.0.2.1:7");
  EXPECT_EQ(change.persistent_keepalive, 25);
  ASSERT_EQ(change.allowed_ips.size(), 2U);
  EXPECT_EQ(change.allowed_ips[0].prefix.to_string(), "10.0.0.0/8");
  EXPECT_EQ(change.allowed_ips[1].prefix.to_string(), "fd00::/64");
}

TEST(UapiSet, AbsentFieldsStay) {
  FakeDevice device;
  ask(device, a_peer("endpoint=192.0.2.1:7\npersistent_keepalive_interval=25\nallowed_ip=10.0.0.0/8\n"));
  ask(device, a_peer("allowed_ip=11.0.0.0/8\n"));
  const auto* peer = device.find(key_of(kPeerA));
  ASSERT_NE(peer, nullptr);
  EXPECT_EQ(peer->persistent_keepalive, 25);
  EXPECT_EQ(peer->endpoint->port, 7);
  EXPECT_EQ(peer->allowed_ips.size(), 2U);
}

TEST(UapiSet, RemoveAndUpdateOnlyOfAnUnknownPeerCreateNothing) {
  for (const char* line : {"remove=true\n", "update_only=true\n", "remove=true\nallowed_ip=10.0.0.0/8\n",
                           "update_only=true\npersistent_keepalive_interval=5\n"}) {
    FakeDevice device;
    EXPECT_EQ(ask(device, a_peer(line)), "errno=0\n\n") << line;
    EXPECT_TRUE(device.state.peers.empty()) << line;
  }
}

TEST(UapiSet, OwnKeyIsIgnored) {
  FakeDevice device;
  ask(device, fmt::format("set=1\nprivate_key={}\n\n", kPrivate));
  const auto own = device.state.public_key.to_hex();
  EXPECT_EQ(ask(device, fmt::format("set=1\npublic_key={}\nallowed_ip=10.0.0.0/8\n\n", own)), "errno=0\n\n");
  EXPECT_TRUE(device.state.peers.empty());
}

TEST(UapiSet, WhatStoodBeforeTheBadLineStays) {
  struct {
    const char* name;
    std::string request;
    int error;
  } const cases[] = {
      {"bad value",
       fmt::format("set=1\nlisten_port=7\npublic_key={}\nallowed_ip=10.0.0.0/8\nallowed_ip=x\n"
                   "allowed_ip=11.0.0.0/8\npublic_key={}\n\n",
                   kPeerA, kPeerB),
       22},
      {"no equals",
       fmt::format("set=1\nlisten_port=7\npublic_key={}\nallowed_ip=10.0.0.0/8\nrubbish\npublic_key={}\n\n",
                   kPeerA, kPeerB),
       71},
      {"bad next peer",
       fmt::format("set=1\nlisten_port=7\npublic_key={}\nallowed_ip=10.0.0.0/8\npublic_key=x\n\n", kPeerA),
       22},
      {"long line",
       fmt::format("set=1\nlisten_port=7\npublic_key={}\nallowed_ip=10.0.0.0/8\n{}\n\n", kPeerA,
                   std::string(kUapiMaxLine + 1, 'y')),
       5},
  };
  for (const auto& c : cases) {
    FakeDevice device;
    EXPECT_EQ(ask(device, c.request), fmt::format("errno={}\n\n", -c.error)) << c.name;
    EXPECT_EQ(device.state.listen_port, 7) << c.name;
    ASSERT_EQ(device.state.peers.size(), 1U) << c.name;
    ASSERT_EQ(device.state.peers[0].allowed_ips.size(), 1U) << c.name;
    EXPECT_EQ(device.state.peers[0].allowed_ips[0].prefix.to_string(), "10.0.0.0/8") << c.name;
  }
}

TEST(UapiSet, ErrorOfTheDeviceIsToldWithItsSign) {
  for (const int error : {ENOMEM, -ENOMEM}) {
    FakeDevice device;
    device.next_change_error = error;
    EXPECT_EQ(ask(device, a_peer("")), fmt::format("errno={}\n\n", -ENOMEM));
  }
}

TEST(UapiSet, ReplaceInTheMiddleTakesAwayWhatCameBeforeIt) {
  FakeDevice device;
  ask(device, fmt::format("set=1\npublic_key={}\nallowed_ip=10.0.0.0/8\n\n", kPeerB));
  EXPECT_EQ(ask(device, a_peer("allowed_ip=10.0.0.0/8\nreplace_allowed_ips=true\nallowed_ip=11.0.0.0/8\n")),
            "errno=0\n\n");
  EXPECT_TRUE(device.find(key_of(kPeerB))->allowed_ips.empty());
  ASSERT_EQ(device.find(key_of(kPeerA))->allowed_ips.size(), 1U);
  EXPECT_EQ(device.find(key_of(kPeerA))->allowed_ips[0].prefix.to_string(), "11.0.0.0/8");
}

TEST(UapiSet, ManyAllowedIpsGoInBoundedPieces) {
  FakeDevice device;
  std::string request =
      "set=1\nreplace_peers=true\npublic_key=" + std::string(kPeerA) + "\nreplace_allowed_ips=true\n";
  constexpr std::uint32_t kCount = 3 * kPeerFlushLines + 7;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    request += fmt::format("allowed_ip={}/32\n", IpAddress::v4(0x0a000000U + i).to_string());
  }
  EXPECT_EQ(ask(device, request + "update_only=true\n\n"), "errno=-22\n\n");
  ASSERT_EQ(device.changes.size(), 4U);
  EXPECT_TRUE(device.changes[0].replace_allowed_ips);
  for (std::size_t i = 1; i < 4; ++i) {
    EXPECT_FALSE(device.changes[i].replace_allowed_ips);
    EXPECT_TRUE(device.changes[i].update_only);
  }
  EXPECT_EQ(device.state.peers[0].allowed_ips.size(), kCount);
}

TEST(UapiSession, SeveralRequestsOnOneConnection) {
  FakeDevice device;
  UapiSession session(device, resolve);
  EXPECT_EQ(feed(session, "set=1\nlisten_port=1\n\nset=1\nfoo=1\nmore=2\n\nget=1\n\n"),
            "errno=0\n\nerrno=-22\n\nlisten_port=1\nerrno=0\n\n");
  EXPECT_TRUE(session.idle());
  EXPECT_FALSE(session.finished());
}

TEST(UapiSession, StopsAfterEachReplySoThatRepliesDoNotPileUp) {
  FakeDevice device;
  UapiSession session(device, resolve);
  std::string reply;
  EXPECT_EQ(session.consume("get=1\n\nget=1\n\n", reply), 7U);
  EXPECT_EQ(reply, "errno=0\n\n");
  EXPECT_EQ(device.status_calls, 1);
}

TEST(UapiSession, IdleOnlyBetweenRequests) {
  FakeDevice device;
  UapiSession session(device, resolve);
  EXPECT_TRUE(session.idle());
  for (const char* part : {"s", "et=1\n", "listen_port=1\n"}) {
    feed(session, part);
    EXPECT_FALSE(session.idle()) << part;
  }
  feed(session, "\n");
  EXPECT_TRUE(session.idle());
}

TEST(UapiSession, EndOfInput) {
  struct {
    const char* name;
    std::string input;
    std::string reply;
    std::size_t peers;
  } const cases[] = {
      {"nothing", "", "", 0},
      {"between requests", "set=1\n\n", "", 0},
      {"set without its empty line counts",
       fmt::format("set=1\npublic_key={}\nallowed_ip=10.0.0.0/8\n", kPeerA), "errno=0\n\n", 1},
      {"a cut line is no value", fmt::format("set=1\npublic_key={}\nallowed_ip=10.0.0.0/2", kPeerA),
       "errno=-5\n\n", 1},
      {"a cut operation", "get=1", "errno=-5\n\n", 0},
      {"get without its empty line", "get=1\n", "", 0},
      {"after a bad line", "set=1\nfoo=1\nbar", "", 0},
  };
  for (const auto& c : cases) {
    FakeDevice device;
    UapiSession session(device, resolve);
    feed(session, c.input);
    std::string reply;
    session.end_of_input(reply);
    EXPECT_EQ(reply, c.reply) << c.name;
    EXPECT_TRUE(session.finished()) << c.name;
    EXPECT_EQ(device.state.peers.size(), c.peers) << c.name;
    for (const auto& peer : device.state.peers) EXPECT_LE(peer.allowed_ips.size(), 1U) << c.name;
  }
}

TEST(UapiSession, GetAndSetRoundTrip) {
  const auto seed = static_cast<std::uint32_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  const auto hex = [&] {
    std::string text;
    for (int i = 0; i < 64; ++i) text += "0123456789abcdef"[random() % 16];
    return text;
  };
  for (int round = 0; round < 50; ++round) {
    std::string set =
        fmt::format("private_key={}\nlisten_port={}\nfwmark={}\n", hex(), 1 + random() % 65535, random());
    const auto peers = random() % 5;
    for (std::uint32_t p = 0; p < peers; ++p) {
      set += fmt::format("public_key={}\npreshared_key={}\n", hex(), hex());
      if (random() % 2 == 0)
        set += fmt::format("endpoint=[2001:db8::{:x}]:{}\n", random() % 65536, random() % 65536);
      set += fmt::format("persistent_keepalive_interval={}\n", random() % 65536);
      for (std::uint32_t a = random() % 4; a > 0; --a) {
        set += fmt::format("allowed_ip={}/{}\n",
                           IpAddress::v4(static_cast<std::uint32_t>(random())).to_string(), random() % 33);
      }
    }
    FakeDevice first, second;
    ASSERT_EQ(ask(first, "set=1\n" + set + "\n"), "errno=0\n\n");
    std::string again;
    const auto got = ask(first, "get=1\n\n");
    for (std::size_t at = 0, end; (end = got.find('\n', at)) != std::string::npos; at = end + 1) {
      const auto text = got.substr(at, end - at + 1);
      const bool only_get = text.starts_with("last_handshake") || text.starts_with("tx_") ||
                            text.starts_with("rx_") || text.starts_with("errno") || text == "\n";
      if (!only_get) again += text;
    }
    ASSERT_EQ(ask(second, "set=1\n" + again + "\n"), "errno=0\n\n");
    EXPECT_EQ(ask(second, "get=1\n\n"), got);
  }
}

}  // namespace
}  // namespace greywire::control
