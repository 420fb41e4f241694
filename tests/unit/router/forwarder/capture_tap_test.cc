#include "router/forwarder/capture_tap.h"

#include <gtest/gtest.h>

#include <thread>

#include "router/packet/checksum.h"
#include "router/packet/ip_header.h"

namespace greywire {
namespace {

using namespace std::chrono_literals;
using Bytes = std::vector<std::uint8_t>;
constexpr TimePoint kNow{5s};
constexpr PeerId kPeer{7};

struct Taken {
  Bytes bytes;
  bool outbound;
  std::uint32_t original;
};
std::vector<Taken> take(CaptureTap& tap, std::uint64_t& lost) {
  std::vector<Taken> out;
  std::vector<std::uint8_t> scratch;
  tap.take(0ms, scratch, [&](const CapturedPacket& p) {
    EXPECT_EQ(p.at, kNow);
    out.push_back({Bytes(p.bytes.begin(), p.bytes.end()), p.outbound, p.original_size});
  }, lost);
  return out;
}

TEST(CaptureTap, TakesWhatIsWantedAndNothingElse) {
  CaptureTap tap;
  std::uint64_t lost = 0;
  EXPECT_EQ(tap.wanted(), 0U);
  ASSERT_TRUE(tap.start(CaptureWhat::kLink, 0));
  EXPECT_FALSE(tap.start(CaptureWhat::kInner, 7)) << "one at a time";
  const auto wanted = tap.wanted();
  EXPECT_NE(wanted, 0U) << "link 0 is one too";
  EXPECT_TRUE(CaptureTap::of_link(wanted, LinkId{0}));
  EXPECT_FALSE(CaptureTap::of_link(wanted, LinkId{1}));
  EXPECT_FALSE(CaptureTap::inner_of(wanted, PeerId{0}));
  EXPECT_FALSE(CaptureTap::outer_of(wanted, PeerId{0}));
  tap.add(wanted, true, Bytes{1, 2, 3}, kNow);
  tap.add(wanted, false, Bytes{4}, kNow);
  const auto taken = take(tap, lost);
  ASSERT_EQ(taken.size(), 2U);
  EXPECT_EQ(taken[0].bytes, (Bytes{1, 2, 3}));
  EXPECT_TRUE(taken[0].outbound);
  EXPECT_EQ(taken[1].bytes, Bytes{4});
  EXPECT_FALSE(taken[1].outbound);
  EXPECT_EQ(take(tap, lost).size(), 0U);
  tap.stop();
  ASSERT_TRUE(tap.start(CaptureWhat::kInner, 7));
  tap.add(wanted, true, Bytes{9}, kNow);  // of a batch that began before
  EXPECT_EQ(take(tap, lost).size(), 0U);
}

TEST(CaptureTap, AnInnerPacketIsWithoutItsPadding) {
  CaptureTap tap;
  std::uint64_t lost = 0;
  tap.start(CaptureWhat::kInner, kPeer.value);
  Bytes packet{0x45, 0, 0, 21, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0xaa};
  packet.resize(32);
  tap.add_inner(tap.wanted(), true, packet, kNow);
  tap.add_inner(tap.wanted(), true, {}, kNow);                 // a keepalive
  tap.add_inner(tap.wanted(), false, Bytes{0xff, 1, 2}, kNow);  // no IP at all: as it is
  const auto taken = take(tap, lost);
  ASSERT_EQ(taken.size(), 2U);
  EXPECT_EQ(taken[0].bytes.size(), 21U);
  EXPECT_EQ(taken[1].bytes.size(), 3U);
}

TEST(CaptureTap, ADatagramGetsTheHeadersOfItsWay) {
  CaptureTap tap;
  std::uint64_t lost = 0;
  tap.start(CaptureWhat::kOuter, kPeer.value);
  const struct {
    const char* local;
    const char* remote;
    std::size_t head;
  } ways[] = {{"192.0.2.1", "198.51.100.2:4500", 28}, {"2001:db8::1", "[2001:db8::2]:4500", 48}};
  for (const auto& way : ways) {
    wireguard::Route route{*Endpoint::parse(way.remote), *IpAddress::parse(way.local), 0, true};
    for (const bool outbound : {true, false}) {
      tap.add_outer(tap.wanted(), outbound, Bytes(40, 4), route, 51820, kNow);
      const auto taken = take(tap, lost);
      ASSERT_EQ(taken.size(), 1U);
      const auto& bytes = taken[0].bytes;
      IpPacketInfo info;
      ASSERT_TRUE(parse_ip(bytes, info));
      EXPECT_EQ(info.total_size, way.head + 40);
      EXPECT_EQ(bytes.size(), way.head + 40);
      EXPECT_EQ(info.protocol, 17);
      EXPECT_EQ(source(bytes, info), outbound ? route.local : route.remote.address);
      EXPECT_EQ(destination(bytes, info), outbound ? route.remote.address : route.local);
      const std::size_t udp = way.head - 8;
      EXPECT_EQ(bytes[udp] << 8 | bytes[udp + 1], outbound ? 51820 : 4500);
      EXPECT_EQ(bytes[udp + 2] << 8 | bytes[udp + 3], outbound ? 4500 : 51820);
      if (info.family == Family::kV4) {
        EXPECT_EQ(checksum_finish(checksum_add(bytes.data(), 20, 0)), 0);
      }
    }
  }
}

TEST(CaptureTap, AReaderThatIsTooSlowLosesAndIsTold) {
  CaptureTap tap;
  std::uint64_t lost = 0;
  tap.start(CaptureWhat::kLink, 3);
  const Bytes big(100'000, 1);
  for (int i = 0; i < 200; ++i) tap.add(tap.wanted(), true, big, kNow);
  const auto taken = take(tap, lost);
  EXPECT_EQ(taken.size() + lost, 200U);
  EXPECT_GT(lost, 50U);
  ASSERT_FALSE(taken.empty());
  EXPECT_EQ(taken[0].bytes.size(), CaptureTap::kSnapLength);
  EXPECT_EQ(taken[0].original, 100'000U);
  tap.stop();
  tap.start(CaptureWhat::kLink, 3);
  take(tap, lost);
  EXPECT_EQ(lost, 0U);
}

TEST(CaptureTap, WorkersAndAReaderAtOnce) {
  CaptureTap tap;
  std::atomic<bool> stop{false};
  std::vector<std::thread> workers;
  for (int w = 0; w < 2; ++w) {
    workers.emplace_back([&] {
      while (!stop) {
        const auto wanted = tap.wanted();
        if (wanted != 0) tap.add(wanted, false, Bytes{1, 2}, kNow);
      }
    });
  }
  std::size_t seen = 0;
  std::vector<std::uint8_t> scratch;
  for (int round = 0; round < 20; ++round) {
    std::uint64_t lost = 0;
    ASSERT_TRUE(tap.start(CaptureWhat::kLink, static_cast<std::uint32_t>(round)));
    for (int i = 0; i < 3; ++i) tap.take(100ms, scratch, [&](const CapturedPacket&) { ++seen; }, lost);
    tap.stop();
  }
  stop = true;
  for (auto& worker : workers) worker.join();
  EXPECT_GT(seen, 0U);
}

}  // namespace
}  // namespace greywire
