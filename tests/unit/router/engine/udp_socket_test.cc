#include "router/engine/udp_socket.h"

#include <fmt/format.h>
#include <poll.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <numeric>
#include <optional>
#include <vector>

#include "network_namespace.h"

namespace greywire::engine {
namespace {

IpAddress address(const char* text) {
  return IpAddress::parse(text).value();
}
IpAddress loopback(Family f) {
  return address(f == Family::kV4 ? "127.0.0.1" : "::1");
}

UdpSocket open_socket(Family f, const UdpSocketOptions& options = {}) {
  auto s = UdpSocket::open(f, 0, options);
  EXPECT_TRUE(s.has_value()) << s.error().text;
  return std::move(*s);
}

std::vector<std::uint8_t> pattern(std::size_t n) {
  std::vector<std::uint8_t> bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return bytes;
}

SendTrain train_to(const UdpSocket& to, const std::vector<std::uint8_t>& bytes, std::uint16_t segment) {
  SendTrain t;
  t.destination = {loopback(to.family()), to.port(), 0};
  t.bytes = bytes.data();
  t.size = static_cast<std::uint32_t>(bytes.size());
  t.segment_size = segment;
  return t;
}

// Loopback delivers before send() returns; the poll is a guard, not a pause.
int receive_some(UdpSocket& s, ReceiveBatch& batch) {
  pollfd p{s.fd(), POLLIN, 0};
  if (::poll(&p, 1, 2000) <= 0) return 0;
  return s.receive(batch);
}

// All that waits at `s`, and how many datagrams it was.
struct Received {
  std::vector<std::uint8_t> bytes;
  std::size_t messages = 0;
  std::size_t datagrams = 0;
};
Received receive_all(UdpSocket& s, std::size_t bytes) {
  Received all;
  ReceiveBatch batch(4);
  while (all.bytes.size() < bytes) {
    if (receive_some(s, batch) <= 0) break;
    for (const auto& m : batch) {
      all.bytes.insert(all.bytes.end(), m.bytes, m.bytes + m.size);
      all.messages += 1;
      all.datagrams += m.segment_size == 0 ? 1 : (m.size + m.segment_size - 1U) / m.segment_size;
    }
  }
  return all;
}

class UdpSocketTest : public NetworkNamespace, public ::testing::WithParamInterface<Family> {
 protected:
  void SetUp() override { NetworkNamespace::SetUp(); }
};
class UdpSocketV4Test : public NetworkNamespace {};

INSTANTIATE_TEST_SUITE_P(Families, UdpSocketTest, ::testing::Values(Family::kV4, Family::kV6),
                         [](const auto& p) { return p.param == Family::kV4 ? "v4" : "v6"; });

TEST_P(UdpSocketTest, ChoosesAPortWhenAskedForZero) {
  const auto a = open_socket(GetParam());
  const auto b = open_socket(GetParam());
  EXPECT_NE(a.port(), 0);
  EXPECT_NE(b.port(), 0);
  EXPECT_NE(a.port(), b.port());
}

TEST_P(UdpSocketTest, ASingleDatagramArrivesWithItsAddressesAndTrafficClass) {
  auto a = open_socket(GetParam());
  auto b = open_socket(GetParam());
  const auto bytes = pattern(148);
  auto t = train_to(b, bytes, 0);
  t.ds_field = 0x88;
  const auto result = a.send({&t, 1});
  EXPECT_EQ(result.sent, 1U);
  EXPECT_EQ(result.error, 0);
  ASSERT_EQ(result.outcomes.size(), 1U);
  EXPECT_EQ(result.outcomes[0].sent_bytes, 148U);
  ReceiveBatch batch;
  ASSERT_EQ(receive_some(b, batch), 1);
  ASSERT_EQ(batch.size(), 1U);
  const auto& m = batch[0];
  EXPECT_EQ(std::vector<std::uint8_t>(m.bytes, m.bytes + m.size), bytes);
  EXPECT_EQ(m.segment_size, 0);
  EXPECT_EQ(m.source, (Endpoint{loopback(GetParam()), a.port(), 0}));
  EXPECT_TRUE(m.has_local);
  EXPECT_EQ(m.local, loopback(GetParam()));
  EXPECT_EQ(m.local_ifindex, ::if_nametoindex("lo"));
  EXPECT_EQ(m.ds_field, 0x88);
  EXPECT_EQ(b.receive(batch), 0);
  EXPECT_EQ(batch.size(), 0U);
}

TEST_P(UdpSocketTest, ATrainArrivesAsOneMessage) {
  auto a = open_socket(GetParam());
  auto b = open_socket(GetParam());
  const auto bytes = pattern(40 * 1452 + 500);
  const auto t = train_to(b, bytes, 1452);
  EXPECT_EQ(a.send({&t, 1}).sent, 1U);
  ReceiveBatch batch;
  ASSERT_EQ(receive_some(b, batch), 1);
  EXPECT_EQ(batch[0].segment_size, 1452);
  EXPECT_EQ(std::vector<std::uint8_t>(batch[0].bytes, batch[0].bytes + batch[0].size), bytes);
  EXPECT_TRUE(a.gso());
}

// Every length and segment size arrives whole and cut as asked, beyond the limits of one system call too.
TEST_P(UdpSocketTest, TrainsOfAnySizeAreSpreadOverSystemCalls) {
  auto a = open_socket(GetParam());
  auto b = open_socket(GetParam());
  struct Case {
    std::size_t size;
    std::uint16_t segment;
    std::size_t datagrams;
  };
  for (const auto& c : std::vector<Case>{{1, 0, 1},
                                         {1452, 1452, 1},
                                         {1452, 9000, 1},
                                         {1453, 1452, 2},
                                         {64 * 100, 100, 64},
                                         {65 * 100, 100, 65},
                                         {128 * 100, 100, 128},
                                         {129 * 100, 100, 129},
                                         {300 * 32 + 1, 32, 301},
                                         {65487, 1452, 46},
                                         {200000, 1452, 138},
                                         {3 * 40000, 40000, 3},
                                         {65487, 0, 1}}) {
    SCOPED_TRACE(testing::Message() << c.size << " in " << c.segment);
    const auto bytes = pattern(c.size);
    const auto t = train_to(b, bytes, c.segment);
    const auto result = a.send({&t, 1});
    EXPECT_EQ(result.sent, 1U) << std::strerror(result.error);
    EXPECT_EQ(result.outcomes[0].sent_bytes, c.size);
    const auto all = receive_all(b, c.size);
    EXPECT_EQ(all.bytes, bytes);
    EXPECT_EQ(all.datagrams, c.datagrams);
  }
}

TEST_P(UdpSocketTest, ManyTrainsGoOutInOrder) {
  auto a = open_socket(GetParam());
  auto b = open_socket(GetParam());
  auto c = open_socket(GetParam());
  std::vector<std::vector<std::uint8_t>> contents;
  std::vector<std::uint8_t> to_b, to_c;
  for (std::size_t i = 0; i < UdpSocket::kMaxTrains; ++i) {
    contents.push_back(pattern(200 + i * 31));
    auto& expected = i % 3 == 0 ? to_c : to_b;
    expected.insert(expected.end(), contents.back().begin(), contents.back().end());
  }
  std::vector<SendTrain> trains;
  for (std::size_t i = 0; i < contents.size(); ++i)
    trains.push_back(train_to(i % 3 == 0 ? c : b, contents[i], 400));
  const auto result = a.send(trains);
  EXPECT_EQ(result.sent, trains.size());
  EXPECT_EQ(receive_all(b, to_b.size()).bytes, to_b);
  EXPECT_EQ(receive_all(c, to_c.size()).bytes, to_c);
}

TEST_P(UdpSocketTest, MoreThanTheMostTrainsIsSaid) {
  auto a = open_socket(GetParam());
  auto b = open_socket(GetParam());
  const auto bytes = pattern(10);
  const std::vector<SendTrain> trains(UdpSocket::kMaxTrains + 1, train_to(b, bytes, 0));
  const auto result = a.send(trains);
  EXPECT_EQ(result.sent, UdpSocket::kMaxTrains);
  EXPECT_EQ(result.error, E2BIG);
  EXPECT_EQ(result.outcomes.size(), UdpSocket::kMaxTrains);
}

TEST_P(UdpSocketTest, MessagesHaveRoomAroundThem) {
  auto a = open_socket(GetParam());
  auto b = open_socket(GetParam());
  const auto bytes = pattern(65487);
  const auto t = train_to(b, bytes, 0);
  ASSERT_EQ(a.send({&t, 1}).sent, 1U);
  ASSERT_EQ(a.send({&t, 1}).sent, 1U);
  ReceiveBatch batch(2);
  ASSERT_EQ(receive_some(b, batch), 2);
  for (const auto& m : batch) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(m.bytes) % 64, 0U);
    std::memset(m.bytes - ReceiveBatch::kSlack, 0xee, ReceiveBatch::kSlack);
    std::memset(m.bytes + ReceiveBatch::kBufferBytes, 0xee, ReceiveBatch::kSlack);
  }
  for (const auto& m : batch) EXPECT_EQ(std::memcmp(m.bytes, bytes.data(), bytes.size()), 0);
}

TEST_P(UdpSocketTest, APortInUseIsNamed) {
  const auto a = open_socket(GetParam());
  const auto b = UdpSocket::open(GetParam(), a.port(), {});
  ASSERT_FALSE(b.has_value());
  EXPECT_EQ(b.error().code, EADDRINUSE);
  EXPECT_NE(b.error().text.find("port " + std::to_string(a.port())), std::string::npos) << b.error().text;
}

TEST_P(UdpSocketTest, AGroupSharesItsPortButLetsNobodyElseIn) {
  auto group = UdpSocket::open_group(GetParam(), 0, 4, {});
  ASSERT_TRUE(group.has_value()) << group.error().text;
  ASSERT_EQ(group->size(), 4U);
  for (const auto& s : *group) EXPECT_EQ(s.port(), group->front().port());
  const auto second = UdpSocket::open_group(GetParam(), group->front().port(), 4, {});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, EADDRINUSE);
}

TEST_P(UdpSocketTest, AGroupSpreadsFlows) {
  auto group = UdpSocket::open_group(GetParam(), 0, 2, {});
  ASSERT_TRUE(group.has_value());
  const auto bytes = pattern(32);
  constexpr int kFlows = 64;
  for (int i = 0; i < kFlows; ++i) {
    auto a = open_socket(GetParam());
    const auto t = train_to(group->front(), bytes, 0);
    ASSERT_EQ(a.send({&t, 1}).sent, 1U);
  }
  ReceiveBatch batch(64);
  const int first = (*group)[0].receive(batch);
  const int second = (*group)[1].receive(batch);
  EXPECT_EQ(first + second, kFlows);
  EXPECT_GT(first, 0);
  EXPECT_GT(second, 0);
}

TEST_P(UdpSocketTest, ADatagramBeyondTheMtuIsReportedAndTheOthersGoOut) {
  ASSERT_TRUE(set_mtu("lo", 1500));
  auto a = open_socket(GetParam());
  auto b = open_socket(GetParam());
  const auto fits = pattern(1400);
  const auto big = pattern(1600);
  const auto big_train = pattern(1480 * 10);
  const SendTrain trains[] = {train_to(b, fits, 0), train_to(b, big, 0), train_to(b, fits, 700),
                              train_to(b, big_train, 1480), train_to(b, fits, 0)};
  const auto result = a.send(trains);
  EXPECT_EQ(result.sent, 3U);
  EXPECT_EQ(result.error, EMSGSIZE);
  const int expected[] = {0, EMSGSIZE, 0, EMSGSIZE, 0};
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(result.outcomes[i].error, expected[i]) << i;
  EXPECT_TRUE(a.gso());
  EXPECT_EQ(receive_all(b, 3 * 1400).bytes.size(), 3U * 1400U);
}

TEST_P(UdpSocketTest, AStickySourceIsUsed) {
  if (GetParam() == Family::kV6) {
    ASSERT_EQ(std::system("ip -6 addr add 2001:db8::7/128 dev lo nodad"), 0);
  }
  const auto own = address(GetParam() == Family::kV4 ? "127.0.0.7" : "2001:db8::7");
  auto a = open_socket(GetParam());
  auto b = open_socket(GetParam());
  const auto bytes = pattern(3000);
  auto t = train_to(b, bytes, 1000);
  t.has_local = true;
  t.local = own;
  t.local_ifindex = 12345;  // of no matter outside link-local addresses
  const auto result = a.send({&t, 1});
  EXPECT_EQ(result.sent, 1U);
  EXPECT_FALSE(result.clear_source);
  ReceiveBatch batch;
  ASSERT_EQ(receive_some(b, batch), 1);
  EXPECT_EQ(batch[0].source, (Endpoint{own, a.port(), 0}));
}

TEST_P(UdpSocketTest, AStickySourceThatIsGoneIsReportedAndDoneWithout) {
  auto a = open_socket(GetParam());
  auto b = open_socket(GetParam());
  const auto bytes = pattern(3000);
  auto stale = train_to(b, bytes, 1000);
  stale.has_local = true;
  stale.local = address(GetParam() == Family::kV4 ? "192.0.2.9" : "2001:db8::9");
  const SendTrain trains[] = {train_to(b, bytes, 1000), stale, train_to(b, bytes, 1000)};
  const auto result = a.send(trains);
  EXPECT_EQ(result.sent, 3U) << std::strerror(result.error);
  EXPECT_TRUE(result.clear_source);
  EXPECT_FALSE(result.outcomes[0].clear_source);
  EXPECT_TRUE(result.outcomes[1].clear_source);
  EXPECT_FALSE(result.outcomes[2].clear_source);
  EXPECT_TRUE(a.gso());
  ReceiveBatch batch;
  ASSERT_EQ(receive_some(b, batch), 3);
  for (const auto& m : batch) EXPECT_EQ(m.segment_size, 1000);
}

TEST_P(UdpSocketTest, NoRouteIsAnErrorOfThatTrainAlone) {
  auto a = open_socket(GetParam());
  auto b = open_socket(GetParam());
  const auto bytes = pattern(100);
  auto lost = train_to(b, bytes, 0);
  lost.destination.address = address(GetParam() == Family::kV4 ? "198.51.100.1" : "2001:db8:1::1");
  lost.has_local = true;
  lost.local = loopback(GetParam());
  auto other_family = train_to(b, bytes, 0);
  other_family.destination.address = loopback(GetParam() == Family::kV4 ? Family::kV6 : Family::kV4);
  const SendTrain trains[] = {other_family, other_family, lost, train_to(b, bytes, 0), other_family};
  const auto result = a.send(trains);
  EXPECT_EQ(result.sent, 1U);
  EXPECT_EQ(result.error, EAFNOSUPPORT);
  EXPECT_EQ(result.outcomes[2].error, ENETUNREACH);
  EXPECT_FALSE(result.outcomes[2].clear_source);
  EXPECT_EQ(result.outcomes[3].error, 0);
  EXPECT_EQ(result.outcomes[3].sent_bytes, 100U);
  EXPECT_EQ(result.outcomes[4].error, EAFNOSUPPORT);
  ReceiveBatch batch;
  EXPECT_EQ(receive_some(b, batch), 1);
}

// Nobody listens: the ICMP error must not cost the next datagrams, whosever they are.
TEST_P(UdpSocketTest, ARefusedDestinationDoesNotDisturbOthers) {
  auto a = open_socket(GetParam());
  auto b = open_socket(GetParam());
  const auto bytes = pattern(100);
  auto nobody = train_to(b, bytes, 0);
  nobody.destination.port = 9;
  for (int i = 0; i < 20; ++i) {
    const SendTrain trains[] = {nobody, train_to(b, bytes, 0)};
    const auto result = a.send(trains);
    EXPECT_EQ(result.outcomes[1].error, 0);
    ReceiveBatch batch;
    EXPECT_EQ(receive_some(b, batch), 1);
    EXPECT_EQ(a.receive(batch), 0);
  }
}

TEST_P(UdpSocketTest, TheMarkSelectsTheRoutingTable) {
  const bool v4 = GetParam() == Family::kV4;
  ASSERT_EQ(std::system(v4 ? "ip -4 rule add fwmark 0x77 blackhole" : "ip -6 rule add fwmark 0x77 blackhole"),
            0);
  auto a = open_socket(GetParam());
  auto b = open_socket(GetParam());
  const auto bytes = pattern(100);
  auto t = train_to(b, bytes, 0);
  // Loopback is in the local table, which is asked before the rule.
  t.destination.address = address(v4 ? "198.51.100.1" : "2001:db8:1::1");
  ASSERT_EQ(
      std::system(v4 ? "ip -4 route add 198.51.100.0/24 dev lo" : "ip -6 route add 2001:db8:1::/64 dev lo"),
      0);
  EXPECT_EQ(a.send({&t, 1}).error, 0);
  ASSERT_TRUE(a.set_mark(0x77).has_value());
  EXPECT_NE(a.send({&t, 1}).error, 0);
  ASSERT_TRUE(a.set_mark(0).has_value());
  EXPECT_EQ(a.send({&t, 1}).error, 0);
}

TEST_P(UdpSocketTest, AnUnknownDeviceIsNamed) {
  UdpSocketOptions options;
  options.bind_device = "nosuch0";
  const auto s = UdpSocket::open(GetParam(), 0, options);
  ASSERT_FALSE(s.has_value());
  EXPECT_EQ(s.error().code, ENODEV);
  EXPECT_NE(s.error().text.find("nosuch0"), std::string::npos);
}

TEST_F(UdpSocketV4Test, BothFamiliesShareOnePort) {
  auto u = open_underlay(0, 2, {});
  ASSERT_TRUE(u.has_value()) << u.error().text;
  EXPECT_EQ(u->v4.size(), 2 * UdpSocket::kDataLanes);
  EXPECT_EQ(u->v6.size(), 2 * UdpSocket::kDataLanes);
  for (const auto& s : u->v4) EXPECT_EQ(s.port(), u->port);
  for (const auto& s : u->v6) EXPECT_EQ(s.port(), u->port);
  const auto second = open_underlay(u->port, 2, {});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, EADDRINUSE);
}

// Data goes to the workers' sockets by receiver index, everything else to one of those for handshakes: always the same one
// for an address.
TEST_P(UdpSocketTest, DataIsSteeredByIndexAndHandshakesByTheirSource) {
  const bool v4 = GetParam() == Family::kV4;
  auto u = open_underlay(0, 2, {});
  ASSERT_TRUE(u.has_value()) << u.error().text;
  ASSERT_EQ(u->handshakes.size(), 2U * UdpSocket::kHandshakeSockets);
  // Loopback has a whole /8 of IPv4; in IPv6 a source must be an address.
  const auto source_of = [v4](unsigned source, int again) {
    if (v4) return IpAddress::v4(0x7f000000 + 256 * source + 1);
    return address(fmt::format("2001:db8:{:x}:{:x}:{}::1", source, source * 7, again).c_str());
  };
  std::string addresses;
  for (unsigned source = 1; source <= 64 && !v4; ++source) {
    for (int again = 0; again < 3; ++again) {
      addresses += fmt::format("address add {} dev lo nodad\n", source_of(source, again).to_string());
    }
  }
  std::FILE* ip = ::popen("ip -batch -", "w");
  std::fputs(addresses.c_str(), ip);
  ASSERT_EQ(::pclose(ip), 0);
  auto sender = open_socket(GetParam());
  const auto bytes_of = [](std::uint8_t type, std::uint8_t index) {
    std::vector<std::uint8_t> bytes(148);
    bytes[0] = type;
    bytes[4] = index;
    return bytes;
  };
  ReceiveBatch batch(64);
  std::map<std::size_t, unsigned> used;
  for (unsigned source = 1; source <= 64; ++source) {
    auto bytes = bytes_of(1, 0);
    SendTrain train;
    train.destination = {loopback(GetParam()), u->port};
    train.has_local = true;
    train.bytes = bytes.data();
    train.size = static_cast<std::uint32_t>(bytes.size());
    std::optional<std::size_t> place;
    for (int again = 0; again < 3; ++again) {
      train.local = source_of(source, again);  // in IPv6 a neighbour in the same /64
      ASSERT_EQ(sender.send({&train, 1}).error, 0);
      unsigned found = 0;
      for (std::size_t i = 0; i < u->handshakes.size(); ++i) {
        if (u->handshakes[i].receive(batch) <= 0) continue;
        ++found;
        EXPECT_EQ(batch[0].source.address, train.local);
        EXPECT_EQ(place.value_or(i), i) << "an address moved";
        place = i;
      }
      ASSERT_EQ(found, 1U);
    }
    ++used[*place];
  }
  EXPECT_GE(used.size(), 16U) << "64 sources over 32 sockets";
  const unsigned lanes = 2 * UdpSocket::kDataLanes;
  for (unsigned index : {0U, 1U, 2U, lanes - 1, lanes, lanes + 5, 255U}) {
    auto bytes = bytes_of(4, 0);
    bytes[5] = static_cast<std::uint8_t>(index);
    SendTrain train;
    train.destination = {loopback(GetParam()), u->port};
    train.bytes = bytes.data();
    train.size = static_cast<std::uint32_t>(bytes.size());
    ASSERT_EQ(sender.send({&train, 1}).error, 0);
    EXPECT_EQ((v4 ? u->v4 : u->v6)[index % lanes].receive(batch), 1) << "data goes by receiver index";
    train.ds_field = 0xc0;
    ASSERT_EQ(sender.send({&train, 1}).error, 0);
    EXPECT_EQ((v4 ? u->routing_v4 : u->routing_v6)[index % 2].receive(batch), 1) << "routing traffic has sockets of its own";
    EXPECT_EQ(batch[0].ds_field, 0xc0);
    train.ds_field = 0xb8;
    ASSERT_EQ(sender.send({&train, 1}).error, 0);
    EXPECT_EQ((v4 ? u->v4 : u->v6)[index % lanes].receive(batch), 1);
  }
}

// Bulk that fills a buffer is in no way of what has a socket of its own, and neither DSCP of the two needs a control message.
TEST_P(UdpSocketTest, WhatGoesFirstShowsIt) {
  auto receiver = open_socket(GetParam());
  auto sender = open_socket(GetParam());
  const std::vector<std::uint8_t> bytes(100);
  SendTrain train;
  train.destination = {loopback(GetParam()), receiver.port()};
  train.bytes = bytes.data();
  train.size = static_cast<std::uint32_t>(bytes.size());
  ReceiveBatch batch(1);
  for (const int ds : {0xc0, 0xe0, 0x88, 0xc0}) {
    sender.go_first(static_cast<std::uint8_t>(ds));
    int priority = 0;
    socklen_t size = sizeof priority;
    ASSERT_EQ(::getsockopt(sender.fd(), SOL_SOCKET, SO_PRIORITY, &priority, &size), 0);
    EXPECT_EQ(priority, 7) << "TC_PRIO_CONTROL";
    for (const int said : {ds, 0x02}) {  // the socket's own, and another one for once
      train.ds_field = static_cast<std::uint8_t>(said);
      ASSERT_EQ(sender.send({&train, 1}).error, 0);
      ASSERT_EQ(receiver.receive(batch), 1);
      EXPECT_EQ(batch[0].ds_field, said);
    }
  }
}

// A port taken in IPv6 only leaves nothing bound in IPv4.
TEST_F(UdpSocketV4Test, HalfAPortIsNoPort) {
  const auto v6 = open_socket(Family::kV6);
  ASSERT_FALSE(open_underlay(v6.port(), 1, {}).has_value());
  EXPECT_TRUE(UdpSocket::open(Family::kV4, v6.port(), {}).has_value());
}

TEST_F(UdpSocketV4Test, AnInterfaceWithoutChecksumOffloadIsWorkedAround) {
  ASSERT_EQ(
      std::system(
          "ip link add va type veth peer name vb && ip addr add 198.51.100.1/24 dev va && "
          "ip link set va up && ip link set vb up && ip neigh add 198.51.100.2 lladdr 02:00:00:00:00:02 "
          "dev va"),
      0);
  ASSERT_TRUE(switch_checksum_offload_off("va")) << std::strerror(errno);
  auto a = open_socket(Family::kV4);
  auto b = open_socket(Family::kV4);
  const auto bytes = pattern(10 * 1000 + 5);
  auto t = train_to(b, bytes, 1000);
  t.destination.address = address("198.51.100.2");
  const SendTrain trains[] = {t, train_to(b, bytes, 1000)};
  const auto result = a.send(trains);
  EXPECT_EQ(result.sent, 2U) << std::strerror(result.error);
  EXPECT_EQ(result.outcomes[0].sent_bytes, bytes.size());
  EXPECT_EQ(receive_all(b, bytes.size()).bytes, bytes);
}

// SO_NO_CHECK makes the kernel refuse trains as it does for a limit that we do not know: EINVAL.
TEST_F(UdpSocketV4Test, ARefusedTrainGoesOneByOne) {
  auto a = open_socket(Family::kV4);
  auto b = open_socket(Family::kV4);
  const int on = 1;
  ASSERT_EQ(::setsockopt(a.fd(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
  const auto bytes = pattern(100 * 1000 + 5);
  auto with_source = train_to(b, bytes, 1000);
  with_source.has_local = true;
  with_source.local = loopback(Family::kV4);
  const SendTrain trains[] = {with_source, train_to(b, bytes, 1000)};
  const auto result = a.send(trains);
  EXPECT_EQ(result.sent, 2U) << std::strerror(result.error);
  EXPECT_FALSE(result.clear_source);
  const auto all = receive_all(b, 2 * bytes.size());
  EXPECT_EQ(all.datagrams, 202U);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), all.bytes.begin()));
}

// A full send buffer is waited for once and then said; nothing is sent out of order.
TEST_F(UdpSocketV4Test, AFullBufferIsReported) {
  ASSERT_EQ(
      std::system(
          "ip link add va type veth peer name vb && ip addr add 198.51.100.1/24 dev va && "
          "ip link set va up && ip link set vb up && ip neigh add 198.51.100.2 lladdr 02:00:00:00:00:02 "
          "dev va && tc qdisc add dev va root tbf rate 8kbit burst 1600 limit 100m"),
      0);
  UdpSocketOptions options;
  options.buffer_bytes = 32768;
  auto a = open_socket(Family::kV4, options);
  const auto bytes = pattern(1400);
  auto t = train_to(a, bytes, 0);
  t.destination.address = address("198.51.100.2");
  const std::vector<SendTrain> trains(UdpSocket::kMaxTrains, t);
  SendResult result;
  for (int i = 0; i < 4 && result.error == 0; ++i) result = a.send(trains);
  EXPECT_EQ(result.error, EAGAIN);
  bool failed = false;
  for (const auto& o : result.outcomes) {
    if (failed) {
      EXPECT_EQ(o.error, EAGAIN);
    }
    failed = failed || o.error != 0;
  }
}

}  // namespace
}  // namespace greywire::engine
