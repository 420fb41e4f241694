#include "router/gre/keepalive.h"

#include <gtest/gtest.h>

#include <vector>

#include "router/base/byte_order.h"
#include "router/packet/checksum.h"

namespace greywire::gre {
namespace {

using Bytes = std::vector<std::uint8_t>;

const IpAddress kMine = *IpAddress::parse("10.255.0.1");
const IpAddress kTheirs = *IpAddress::parse("10.255.0.2");

Bytes ipv4(const IpAddress& from, const IpAddress& to, std::uint8_t protocol, const Bytes& payload) {
  Bytes out(20 + payload.size());
  out[0] = 0x45;
  store_be16(&out[2], static_cast<std::uint16_t>(out.size()));
  out[8] = 255;
  out[9] = protocol;
  std::copy_n(from.data(), 4, &out[12]);
  std::copy_n(to.data(), 4, &out[16]);
  store_be16(&out[10], checksum_finish(checksum_add(out.data(), 20, 0)));
  std::copy(payload.begin(), payload.end(), out.begin() + 20);
  return out;
}

const Bytes kEnd{0, 0, 0, 0};                             // GRE, protocol 0
const Bytes kEndWithKey{0x20, 0, 0, 0, 0, 0, 0, 42};

TunnelConfig tunnel(std::optional<std::uint32_t> key = std::nullopt) {
  TunnelConfig config;
  config.local = kMine;
  config.remote = kTheirs;
  config.key = key;
  return config;
}

// What the peer sent, decapsulated once.
std::span<std::uint8_t> answer(Bytes& packet, const TunnelConfig& config) {
  Decapsulated out;
  EXPECT_FALSE(decapsulate(packet, out));
  return keepalive_answer(config, out.payload);
}

Bytes delivered(const Bytes& payload, const Bytes& gre = {0, 0, 8, 0}) {
  Bytes inside = gre;
  inside.insert(inside.end(), payload.begin(), payload.end());
  return ipv4(kTheirs, kMine, 47, inside);
}

TEST(Keepalive, TheAnswerIsWhatWasInside) {
  for (const Bytes& end : {kEnd, kEndWithKey}) {
    const Bytes inside = ipv4(kMine, kTheirs, 47, end);
    Bytes packet = delivered(inside);
    const auto found = answer(packet, tunnel());
    EXPECT_EQ(Bytes(found.begin(), found.end()), inside);
  }
  Bytes keyed = delivered(ipv4(kMine, kTheirs, 47, kEndWithKey), {0x20, 0, 8, 0, 0, 0, 0, 42});
  EXPECT_FALSE(answer(keyed, tunnel(42)).empty());
}

TEST(Keepalive, PayloadIsNone) {
  const Bytes ping{8, 0, 0xf7, 0xff, 0, 0, 0, 0};
  const Bytes cases[] = {
      ipv4(kMine, kTheirs, 1, ping),                      // another protocol
      ipv4(kTheirs, kMine, 47, kEnd),                     // not for them
      ipv4(kMine, *IpAddress::parse("10.9.9.9"), 47, kEnd),
      ipv4(*IpAddress::parse("10.9.9.9"), kTheirs, 47, kEnd),
      ipv4(kMine, kTheirs, 47, {0, 0, 8, 0}),             // GRE that carries something
      ipv4(kMine, kTheirs, 47, {0, 0, 0}),                // cut short
      ipv4(kMine, kTheirs, 47, {0, 1, 0, 0}),             // another version
      ipv4(kMine, kTheirs, 47, Bytes(300)),               // too long
      Bytes{0x45, 0, 0},
  };
  for (const Bytes& inside : cases) {
    Bytes packet = delivered(inside);
    EXPECT_TRUE(answer(packet, tunnel()).empty()) << ::testing::PrintToString(inside);
  }
  TunnelConfig bridged = tunnel();
  bridged.ethernet = true;
  Bytes packet = delivered(ipv4(kMine, kTheirs, 47, kEnd));
  EXPECT_TRUE(answer(packet, bridged).empty());
}

}  // namespace
}  // namespace greywire::gre
