// Any bytes as an IP packet whose MSS is to be clamped: at most the option and the checksum change, and a
// checksum that was right stays right.
#include <vector>

#include "router/packet/checksum.h"
#include "router/packet/ip_header.h"
#include "router/packet/tcp_mss.h"
#include "tests/fuzz/check.h"

using namespace greywire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 2) return 0;
  const auto mss = static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
  const std::vector<std::uint8_t> before(bytes + 2, bytes + size);
  const auto sum_of = [](std::span<const std::uint8_t> packet) {
    IpPacketInfo ip;
    FUZZ_CHECK(parse_ip(packet, ip));
    const auto l4 = packet.subspan(ip.header_size, ip.total_size - ip.header_size);
    const auto pseudo =
        checksum_pseudo_header(packet.data(), ip.family, 6, static_cast<std::uint32_t>(l4.size()));
    return checksum_fold(checksum_add(l4.data(), l4.size(), pseudo)) % 0xffff;
  };
  for (const TcpChecksum kind : {TcpChecksum::kComplete, TcpChecksum::kPartial}) {
    std::vector<std::uint8_t> after = before;
    const bool changed = clamp_tcp_mss(after, mss, kind);
    FUZZ_CHECK(changed == (after != before));
    if (!changed) continue;
    std::size_t differing = 0;
    for (std::size_t i = 0; i < before.size(); ++i) differing += before[i] != after[i] ? 1 : 0;
    FUZZ_CHECK(differing <= (kind == TcpChecksum::kPartial ? 2U : 4U));
    if (kind == TcpChecksum::kComplete) FUZZ_CHECK(sum_of(before) == sum_of(after));
    FUZZ_CHECK(!clamp_tcp_mss(after, mss, kind));
  }
  return 0;
}
