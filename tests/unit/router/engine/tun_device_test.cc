#include "router/engine/tun_device.h"

#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "network_namespace.h"

namespace greywire::engine {
namespace {

using Bytes = std::vector<std::uint8_t>;

// linux/virtio_net.h, which is not C++.
constexpr std::uint8_t kNeedsChecksum = 1;
constexpr std::uint8_t kGsoNone = 0;
constexpr std::uint8_t kGsoUdpL4 = 5;

class TunDeviceTest : public NetworkNamespace {};

TunDevice open_device(const std::string& name, TunKind kind = TunKind::kTun, unsigned queues = 1) {
  auto d = TunDevice::open(name, kind, queues);
  EXPECT_TRUE(d.has_value()) << d.error().text;
  return std::move(*d);
}

// A device that sends us nothing by itself: no IPv6, so no router solicitations.
TunDevice open_quiet(const std::string& name, TunKind kind = TunKind::kTun, unsigned queues = 1) {
  EXPECT_EQ(std::system("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"), 0);
  auto d = open_device(name, kind, queues);
  EXPECT_TRUE(set_address(name, "192.0.2.1", "255.255.255.0"));
  EXPECT_TRUE(set_up(name));
  return d;
}

struct Frame {
  std::ptrdiff_t result = 0;
  VirtioNetHeader header;
  Bytes bytes;
};

Frame read_frame(TunDevice& d, unsigned queue = 0) {
  Frame f;
  pollfd p{d.fd(queue), POLLIN, 0};
  ::poll(&p, 1, 2000);
  f.bytes.resize(TunDevice::kMaxFrame);
  f.result = d.read(queue, f.header, f.bytes);
  f.bytes.resize(f.result > 0 ? static_cast<std::size_t>(f.result) : 0);
  return f;
}

sockaddr_in peer(std::uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  a.sin_addr.s_addr = ::inet_addr("192.0.2.2");
  return a;
}

class PlainSocket {
 public:
  explicit PlainSocket(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
  }
  PlainSocket(const PlainSocket&) = delete;
  PlainSocket& operator=(const PlainSocket&) = delete;
  ~PlainSocket() { ::close(fd_); }
  int fd() const { return fd_; }
  ssize_t send(const Bytes& bytes, std::uint16_t segment = 0) {
    if (segment != 0) {
      const int value = segment;
      EXPECT_EQ(::setsockopt(fd_, SOL_UDP, UDP_SEGMENT, &value, sizeof value), 0);
    }
    const auto to = peer(4000);
    return ::sendto(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }
  ssize_t receive(Bytes& bytes) {
    pollfd p{fd_, POLLIN, 0};
    if (::poll(&p, 1, 2000) <= 0) return -1;
    bytes.resize(65536);
    const auto n = ::recv(fd_, bytes.data(), bytes.size(), 0);
    bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return n;
  }

 private:
  int fd_;
};

std::uint16_t ones_complement(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += static_cast<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// 192.0.2.2:4000 to 192.0.2.1:5000, UDP without a checksum (RFC 768 allows that over IPv4).
Bytes udp_packet(const Bytes& payload) {
  const auto total = static_cast<std::uint16_t>(28 + payload.size());
  Bytes p{0x45,
          0,
          static_cast<std::uint8_t>(total >> 8),
          static_cast<std::uint8_t>(total),
          0,
          0,
          0,
          0,
          64,
          17,
          0,
          0,
          192,
          0,
          2,
          2,
          192,
          0,
          2,
          1};
  const auto sum = ones_complement(p);
  p[10] = static_cast<std::uint8_t>(sum >> 8);
  p[11] = static_cast<std::uint8_t>(sum);
  const auto udp = static_cast<std::uint16_t>(total - 20);
  p.insert(p.end(), {4000 >> 8, 4000 & 0xff, 5000 >> 8, 5000 & 0xff, static_cast<std::uint8_t>(udp >> 8),
                     static_cast<std::uint8_t>(udp), 0, 0});
  p.insert(p.end(), payload.begin(), payload.end());
  return p;
}

TEST_F(TunDeviceTest, OpensBothKindsWithQueues) {
  struct Case {
    const char* name;
    TunKind kind;
    unsigned queues;
  };
  for (const auto& c : {Case{"gw0", TunKind::kTun, 1}, Case{"gw1", TunKind::kTun, 4},
                        Case{"tap-fra", TunKind::kTap, 1}, Case{"tap-nyc", TunKind::kTap, 2}}) {
    const auto d = open_device(c.name, c.kind, c.queues);
    EXPECT_EQ(d.name(), c.name);
    EXPECT_EQ(d.queue_count(), c.queues);
    EXPECT_EQ(d.ifindex(), static_cast<int>(::if_nametoindex(c.name)));
    EXPECT_GT(d.ifindex(), 0);
    EXPECT_TRUE(d.offloads().tso);
  }
  EXPECT_EQ(::if_nametoindex("gw0"), 0U) << "the device goes with its descriptors";
}

TEST_F(TunDeviceTest, TheKernelCanNumberIt) {
  const auto a = open_device("gw%d");
  const auto b = open_device("gw%d");
  EXPECT_EQ(a.name(), "gw0");
  EXPECT_EQ(b.name(), "gw1");
}

TEST_F(TunDeviceTest, NamesAndCountsAreChecked) {
  struct Case {
    std::string name;
    unsigned queues;
  };
  for (const auto& c : {Case{"", 1}, Case{"sixteen-letters-", 1}, Case{"a/b", 1}, Case{"a b", 1},
                        Case{"..", 1}, Case{"gw0", 0}, Case{"gw0", 257}}) {
    const auto d = TunDevice::open(c.name, TunKind::kTun, c.queues);
    ASSERT_FALSE(d.has_value()) << c.name;
    EXPECT_EQ(d.error().code, EINVAL);
    EXPECT_NE(d.error().text.find(c.name), std::string::npos);
  }
}

// Multi-queue devices too: the kernel would let a second process attach to those.
TEST_F(TunDeviceTest, ASecondHolderIsRefusedByName) {
  for (const unsigned queues : {1U, 2U}) {
    const auto held = open_device("gw0", TunKind::kTun, queues);
    const auto second = TunDevice::open("gw0", TunKind::kTun, queues);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, EBUSY);
    EXPECT_NE(second.error().text.find("ip link del gw0"), std::string::npos) << second.error().text;
  }
  const auto loopback = TunDevice::open("lo", TunKind::kTun, 1);
  ASSERT_FALSE(loopback.has_value());
  EXPECT_EQ(loopback.error().code, EBUSY);
}

// As after `kill -9`: the name is taken for a moment, and open() waits for it.
TEST_F(TunDeviceTest, ANameThatBecomesFreeIsWaitedFor) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto held = TunDevice::open("gw0", TunKind::kTun, 1);
    const char ok = held ? 'y' : 'n';
    if (::write(ready[1], &ok, 1) != 1) ::_exit(1);
    ::poll(nullptr, 0, 200);
    ::_exit(0);
  }
  char ok = 0;
  ASSERT_EQ(::read(ready[0], &ok, 1), 1);
  EXPECT_EQ(ok, 'y');
  const auto d = TunDevice::open("gw0", TunKind::kTun, 1);
  EXPECT_TRUE(d.has_value()) << d.error().text;
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(TunDeviceTest, WithoutRightsItSaysSo) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setuid(65534) != 0) ::_exit(1);
    const auto d = TunDevice::open("gw0", TunKind::kTun, 1);
    const bool ok =
        !d && d.error().code == EPERM && d.error().text.find("CAP_NET_ADMIN") != std::string::npos;
    ::_exit(ok ? 0 : 2);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(TunDeviceTest, PacketsComeOut) {
  auto d = open_quiet("gw0");
  VirtioNetHeader header;
  Bytes room(TunDevice::kMaxFrame);
  EXPECT_EQ(d.read(0, header, room), 0) << "nothing waits";
  PlainSocket s(5000);
  const Bytes payload(100, 0x5a);
  ASSERT_EQ(s.send(payload), 100);
  const auto f = read_frame(d);
  ASSERT_EQ(f.result, 128);
  EXPECT_EQ(f.bytes[0], 0x45);
  EXPECT_EQ(Bytes(f.bytes.begin() + 28, f.bytes.end()), payload);
  EXPECT_EQ(f.header.gso_type, kGsoNone);
  EXPECT_EQ(f.header.flags, kNeedsChecksum);
  EXPECT_EQ(f.header.csum_start, 20);
  EXPECT_EQ(f.header.csum_offset, 6);
}

TEST_F(TunDeviceTest, PacketsGoInFromSeveralPieces) {
  auto d = open_quiet("gw0");
  PlainSocket s(5000);
  Bytes payload(3000);
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<std::uint8_t>(i * 13);
  auto packet = udp_packet(payload);
  std::vector<iovec> parts;
  for (std::size_t at = 0; at < packet.size(); at += 700) {
    parts.push_back({packet.data() + at, std::min<std::size_t>(700, packet.size() - at)});
  }
  EXPECT_EQ(d.write(0, {}, parts.data(), parts.size()), static_cast<std::ptrdiff_t>(packet.size()));
  Bytes received;
  EXPECT_EQ(s.receive(received), 3000);
  EXPECT_EQ(received, payload);
  const std::vector<iovec> many(TunDevice::kMaxParts + 1, parts[0]);
  EXPECT_EQ(d.write(0, {}, many.data(), many.size()), -E2BIG);
}

TEST_F(TunDeviceTest, UdpSuperFramesComeUncutWhereTheKernelAgreed) {
  auto d = open_quiet("gw0");
  PlainSocket s(5000);
  const Bytes payload(10000, 1);
  ASSERT_EQ(s.send(payload, 1000), 10000);
  const auto f = read_frame(d);
  if (d.offloads().uso) {
    ASSERT_EQ(f.result, 10028);
    EXPECT_EQ(f.header.gso_type, kGsoUdpL4);
    EXPECT_EQ(f.header.gso_size, 1000);
  } else {
    ASSERT_EQ(f.result, 1028);
    EXPECT_EQ(f.header.gso_type, kGsoNone);
  }
}

TEST_F(TunDeviceTest, TapFramesHaveEthernetHeaders) {
  auto d = open_quiet("tap-fra", TunKind::kTap);
  PlainSocket s(5000);
  ASSERT_EQ(s.send(Bytes(10)), 10);
  const auto f = read_frame(d);
  ASSERT_GE(f.result, 42) << "an ARP request for the peer";
  EXPECT_EQ(f.bytes[0], 0xff);
  EXPECT_EQ(f.bytes[12] << 8 | f.bytes[13], ETH_P_ARP);
}

TEST_F(TunDeviceTest, CarrierIsSeen) {
  auto d = open_quiet("gw0");
  EXPECT_TRUE(is_running("gw0"));
  ASSERT_TRUE(d.set_carrier(false).has_value());
  EXPECT_EQ(std::system("ip link show gw0 | grep -q NO-CARRIER"), 0);
  ASSERT_TRUE(d.set_carrier(true).has_value());
  EXPECT_EQ(std::system("ip link show gw0 | grep -q LOWER_UP"), 0);
}

TEST_F(TunDeviceTest, ADeviceThatIsDownRefusesFrames) {
  auto d = open_quiet("gw0");
  ASSERT_TRUE(set_up("gw0", false));
  auto packet = udp_packet(Bytes(10));
  const iovec part{packet.data(), packet.size()};
  EXPECT_EQ(d.write(0, {}, &part, 1), -EIO);
  EXPECT_FALSE(TunDevice::is_gone(-EIO));
}

TEST_F(TunDeviceTest, ADeletedDeviceIsGoneForAllQueues) {
  auto d = open_quiet("gw0", TunKind::kTun, 2);
  ASSERT_EQ(std::system("ip link del gw0"), 0);
  auto packet = udp_packet(Bytes(10));
  const iovec part{packet.data(), packet.size()};
  VirtioNetHeader header;
  Bytes room(TunDevice::kMaxFrame);
  for (const unsigned q : {0U, 1U}) {
    pollfd p{d.fd(q), POLLIN, 0};
    EXPECT_EQ(::poll(&p, 1, 0), 1) << "a reader that waits is woken";
    EXPECT_TRUE(TunDevice::is_gone(d.read(q, header, room)));
    EXPECT_TRUE(TunDevice::is_gone(d.write(q, {}, &part, 1)));
  }
}

TEST_F(TunDeviceTest, MovingKeepsTheDevice) {
  auto a = open_device("gw0");
  auto b = std::move(a);
  EXPECT_EQ(b.name(), "gw0");
  EXPECT_NE(::if_nametoindex("gw0"), 0U);
  b = open_device("gw1");
  EXPECT_EQ(::if_nametoindex("gw0"), 0U);
  EXPECT_NE(::if_nametoindex("gw1"), 0U);
}

std::vector<int> duplicates(const TunDevice& device) {
  std::vector<int> out;
  for (const int fd : device.fds()) out.push_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  return out;
}

TEST_F(TunDeviceTest, ADeviceIsAdoptedWithItsAddressesAndWhatWaitsInIt) {
  std::vector<int> kept;
  int ifindex = 0;
  {
    auto first = open_quiet("gwkept", TunKind::kTun, 2);
    kept = duplicates(first);
    ifindex = first.ifindex();
  }
  auto adopted = TunDevice::adopt("gwkept", TunKind::kTun, kept, 2);
  ASSERT_TRUE(adopted.has_value()) << adopted.error().text;
  EXPECT_EQ(adopted->ifindex(), ifindex);
  EXPECT_EQ(adopted->queue_count(), 2U);
  PlainSocket sender(4000);
  const sockaddr_in to = peer(4001);
  ASSERT_EQ(::sendto(sender.fd(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to), 1);
  Frame frame = read_frame(*adopted, 0);
  if (frame.result == 0) frame = read_frame(*adopted, 1);
  EXPECT_EQ(frame.result, 29);
}

TEST_F(TunDeviceTest, AdoptingJoinsMissingQueuesAndGivesUpOthers) {
  std::vector<int> kept;
  {
    auto first = open_device("gwkept", TunKind::kTap, 3);
    kept = duplicates(first);
  }
  const int given_up = kept.back();
  auto fewer = TunDevice::adopt("gwkept", TunKind::kTap, kept, 2);
  ASSERT_TRUE(fewer.has_value()) << fewer.error().text;
  EXPECT_EQ(fewer->queue_count(), 2U);
  EXPECT_LT(::fcntl(given_up, F_GETFD), 0);
  kept = duplicates(*fewer);
  auto more = TunDevice::adopt("gwkept", TunKind::kTap, kept, 4);
  ASSERT_TRUE(more.has_value()) << more.error().text;
  EXPECT_EQ(more->queue_count(), 4U);
}

TEST_F(TunDeviceTest, WhatIsNoSuchDeviceIsNotAdoptedAndClosed) {
  auto device = open_device("gwkept", TunKind::kTun, 2);
  auto single = open_device("gwsingle", TunKind::kTun, 1);
  const struct {
    const char* name;
    TunKind kind;
    std::vector<int> fds;
    unsigned queues;
  } cases[] = {
      {"gwother", TunKind::kTun, duplicates(device), 2},   {"gwkept", TunKind::kTap, duplicates(device), 2},
      {"gwsingle", TunKind::kTun, duplicates(single), 2},  {"gwkept", TunKind::kTun, duplicates(device), 1},
      {"gwkept", TunKind::kTun, {::open("/dev/null", O_RDWR)}, 2}, {"gwkept", TunKind::kTun, {}, 2},
  };
  for (const auto& c : cases) {
    const auto adopted = TunDevice::adopt(c.name, c.kind, c.fds, c.queues);
    ASSERT_FALSE(adopted.has_value());
    EXPECT_EQ(adopted.error().code, EINVAL);
    EXPECT_NE(adopted.error().text.find(c.name), std::string::npos) << adopted.error().text;
    for (const int fd : c.fds) EXPECT_LT(::fcntl(fd, F_GETFD), 0);
  }
}

// Ethernet header, or none, and an IP header with a DS field; ports 4000 and `port`.
Bytes frame_of(bool ethernet, bool v4, std::uint8_t ds, std::uint8_t port, int tags = 0) {
  Bytes f;
  if (ethernet) {
    f = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1};
    for (int i = 0; i < tags; ++i) f.insert(f.end(), {static_cast<std::uint8_t>(i == 0 && tags > 1 ? 0x88 : 0x81),
                                                      static_cast<std::uint8_t>(i == 0 && tags > 1 ? 0xa8 : 0x00), 0, 10});
    f.insert(f.end(), {static_cast<std::uint8_t>(v4 ? 0x08 : 0x86), static_cast<std::uint8_t>(v4 ? 0x00 : 0xdd)});
  }
  if (v4) {
    f.insert(f.end(), {0x45, ds, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2});
  } else {
    f.insert(f.end(), {static_cast<std::uint8_t>(0x60 | ds >> 4), static_cast<std::uint8_t>(ds << 4), 0, 0, 0, 8, 17, 64});
    f.insert(f.end(), 32, 0x20);
  }
  f.insert(f.end(), {0x0f, 0xa0, 0, port, 0, 8, 0, 0});
  return f;
}

class RawSender {
 public:
  explicit RawSender(const std::string& device)
      : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)), ifindex_(static_cast<int>(::if_nametoindex(device.c_str()))) {}
  RawSender(const RawSender&) = delete;
  RawSender& operator=(const RawSender&) = delete;
  ~RawSender() { ::close(fd_); }
  void send(const Bytes& frame, bool v4 = true) {
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = ifindex_;
    to.sll_protocol = htons(v4 ? ETH_P_IP : ETH_P_IPV6);
    EXPECT_EQ(::sendto(fd_, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to),
              static_cast<ssize_t>(frame.size()));
  }

 private:
  int fd_;
  int ifindex_;
};

// The queue in which the next frame waits.
std::optional<unsigned> queue_of_next(TunDevice& d) {
  std::optional<unsigned> found;
  const unsigned queues = static_cast<unsigned>(d.fds().size());
  for (unsigned q = 0; q < queues; ++q) {
    VirtioNetHeader header;
    Bytes frame(TunDevice::kMaxFrame);
    while (d.read(q, header, frame) > 0) found = q;
  }
  return found;
}

TunDevice open_with_routing_queue(TunKind kind, unsigned queues) {
  EXPECT_EQ(std::system("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6"), 0);
  auto d = TunDevice::open("gwr", kind, queues, RoutingQueue::kWanted);
  EXPECT_TRUE(d.has_value()) << d.error().text;
  EXPECT_EQ(d->queue_count(), queues);
  EXPECT_EQ(d->routing_queue(), queues);
  EXPECT_TRUE(set_up("gwr"));
  return std::move(*d);
}

TEST_F(TunDeviceTest, RoutingTrafficHasAQueueOfItsOwn) {
  for (const bool ethernet : {false, true}) {
    for (const unsigned queues : {1U, 3U}) {
      auto d = open_with_routing_queue(ethernet ? TunKind::kTap : TunKind::kTun, queues);
      RawSender raw("gwr");
      for (const bool v4 : {true, false}) {
        for (const int tags : {0, 1, 2}) {
          if (tags != 0 && !ethernet) continue;
          for (const int ds : {0x00, 0x02, 0xb8, 0xbf, 0xc0, 0xc3, 0xe0}) {
            raw.send(frame_of(ethernet, v4, static_cast<std::uint8_t>(ds), 53, tags), v4);
            const auto queue = queue_of_next(d);
            ASSERT_TRUE(queue.has_value());
            EXPECT_EQ(*queue == queues, ds >= 0xc0) << "DS " << ds << " in queue " << *queue << " of " << queues;
          }
        }
        std::set<unsigned> used;  // by flow: always the same one, and all of them
        for (std::uint8_t port = 0; port < 64; ++port) {
          raw.send(frame_of(ethernet, v4, 0, port), v4);
          const auto queue = queue_of_next(d);
          raw.send(frame_of(ethernet, v4, 0, port), v4);
          EXPECT_EQ(queue, queue_of_next(d));
          used.insert(queue.value_or(99));
        }
        EXPECT_EQ(used.size(), queues);
      }
      if (ethernet) {
        Bytes hello{1, 0x80, 0xc2, 0, 0, 0x15, 2, 0, 0, 0, 0, 1, 0, 40, 0xfe, 0xfe, 3};
        hello.resize(54);
        raw.send(hello);
        EXPECT_EQ(queue_of_next(d), queues) << "IS-IS";
        Bytes arp(frame_of(true, true, 0xc0, 0));
        arp[13] = 0x06;
        raw.send(arp);
        EXPECT_EQ(queue_of_next(d), 0U) << "ARP";
      }
    }
  }
}

// However full the other queue is.
TEST_F(TunDeviceTest, BulkTakesNoRoomFromRoutingTraffic) {
  auto d = open_with_routing_queue(TunKind::kTun, 1);
  RawSender raw("gwr");
  for (int i = 0; i < 2000; ++i) raw.send(frame_of(false, true, 0, 53));
  raw.send(frame_of(false, true, 0xc0, 53));
  VirtioNetHeader header;
  Bytes frame(TunDevice::kMaxFrame);
  ASSERT_EQ(d.read(1, header, frame), 28);
  EXPECT_EQ(frame[1], 0xc0);
}

// Whoever kept the descriptors may give them back in another order.
TEST_F(TunDeviceTest, AnAdoptedDeviceHasItsQueueForRoutingTrafficAgain) {
  auto d = std::make_unique<TunDevice>(open_with_routing_queue(TunKind::kTun, 2));
  RawSender raw("gwr");
  std::vector<int> kept;
  for (const int fd : d->fds()) kept.insert(kept.begin(), ::dup(fd));
  d.reset();
  for (const unsigned queues : {2U, 1U, 3U}) {
    SCOPED_TRACE(queues);
    auto adopted = TunDevice::adopt("gwr", TunKind::kTun, kept, queues, RoutingQueue::kWanted);
    ASSERT_TRUE(adopted.has_value()) << adopted.error().text;
    ASSERT_EQ(adopted->routing_queue(), queues);
    for (std::uint8_t port = 0; port < 16; ++port) {
      raw.send(frame_of(false, true, 0xc0, port));
      EXPECT_EQ(queue_of_next(*adopted), queues);
      raw.send(frame_of(false, true, 0, port));
      EXPECT_LT(queue_of_next(*adopted).value_or(99), queues);
    }
    kept.clear();
    for (const int fd : adopted->fds()) kept.push_back(::dup(fd));
  }
  for (const int fd : kept) ::close(fd);
}

}  // namespace
}  // namespace greywire::engine
