// Fragments from a script: few identifications, few offsets, so that they meet, overlap and contradict each
// other; raw bytes between them. Memory stays inside its bounds, and what comes out is a sane packet.
#include <vector>

#include "router/packet/ip_reassembly.h"
#include "tests/fuzz/check.h"
#include "tests/unit/router/packet/packets.h"

using namespace greywire;
using test::Bytes;

namespace {

Bytes fragment(std::uint8_t what, std::uint8_t where, std::uint8_t how_much) {
  const std::size_t offset = where % 32 * 8U * (what & 0x20 ? 200U : 1U);
  const std::size_t size = (how_much % 24) * (what & 0x10 ? 7U : 8U);
  const bool more = (what & 0x40) != 0;
  const test::PacketSpec spec{.family = what & 1 ? Family::kV6 : Family::kV4,
                              .host = static_cast<std::uint8_t>(what >> 1 & 1),
                              .id = static_cast<std::uint16_t>(what >> 2 & 3),
                              .ds_field = static_cast<std::uint8_t>(where >> 6)};
  if (spec.family == Family::kV4) {
    Bytes p = test::ip_packet(spec, 17, Bytes(size, how_much));
    store_be16(&p[6], static_cast<std::uint16_t>(offset / 8 | (more ? 0x2000U : 0U)));
    return p;
  }
  Bytes upper(8 + size, how_much);
  upper[0] = 17;
  store_be16(&upper[2], static_cast<std::uint16_t>(offset | (more ? 1U : 0U)));
  store_be32(&upper[4], spec.id);
  return test::ip_packet(spec, 44, upper);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  constexpr std::size_t kBytes = 16 * 2048;
  static IpReassembly reassembly({.bytes = kBytes, .datagrams = 6, .timeout = std::chrono::milliseconds(40)});
  static TimePoint now{};
  DropCounters drops;
  const auto take = [&](std::span<const std::uint8_t> packet) {
    now += std::chrono::milliseconds(1);
    const auto result = reassembly.add(packet, now);
    result.count(drops);
    FUZZ_CHECK(result.packet.empty() || !result.drop);
    FUZZ_CHECK(reassembly.pending() <= 6 && reassembly.pending_bytes() <= kBytes);
    if (result.packet.empty()) return;
    IpPacketInfo ip;
    FUZZ_CHECK(parse_ip(result.packet, ip));
    FUZZ_CHECK(ip.total_size == result.packet.size());
  };
  take({bytes, size});
  for (std::size_t at = 0; at + 3 <= size; at += 3) {
    Bytes p = fragment(bytes[at], bytes[at + 1], bytes[at + 2]);
    if (bytes[at] >= 0xf8) p.resize(bytes[at + 1] % (p.size() + 1));
    take(p);
  }
  now += std::chrono::seconds(1);
  reassembly.expire(now).count(drops);
  FUZZ_CHECK(reassembly.pending() == 0 && reassembly.pending_bytes() == 0 &&
             reassembly.next_expiry() == kNever);
  return 0;
}
