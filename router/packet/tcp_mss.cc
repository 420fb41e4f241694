#include "router/packet/tcp_mss.h"

#include "router/base/byte_order.h"
#include "router/packet/checksum.h"
#include "router/packet/ip_header.h"

namespace greywire {
namespace {

constexpr std::uint8_t kTcpSyn = 0x02;
constexpr std::uint8_t kOptionEnd = 0;
constexpr std::uint8_t kOptionNop = 1;
constexpr std::uint8_t kOptionMss = 2;

// The offset of the MSS option's value in the TCP header, or 0.
std::size_t find_mss(std::span<const std::uint8_t> tcp_header) {
  std::size_t at = 20;
  while (at < tcp_header.size()) {
    const std::uint8_t kind = tcp_header[at];
    if (kind == kOptionEnd) return 0;
    if (kind == kOptionNop) {
      ++at;
      continue;
    }
    if (at + 2 > tcp_header.size()) return 0;
    const std::size_t length = tcp_header[at + 1];
    if (length < 2 || at + length > tcp_header.size()) return 0;
    if (kind == kOptionMss) return length == 4 ? at + 2 : 0;
    at += length;
  }
  return 0;
}

}  // namespace

bool clamp_tcp_mss(std::span<std::uint8_t> ip_packet, std::uint16_t mss, TcpChecksum checksum) {
  IpPacketInfo ip;
  if (!parse_ip(ip_packet, ip) || ip.protocol != kProtocolTcp || ip.is_fragment) return false;
  const auto tcp = ip_packet.subspan(ip.header_size, ip.total_size - ip.header_size);
  if (tcp.size() < 20 || (tcp[13] & kTcpSyn) == 0) return false;
  const std::size_t header_size = (tcp[12] >> 4) * 4U;
  if (header_size < 20 || header_size > tcp.size()) return false;
  const std::size_t at = find_mss(tcp.first(header_size));
  if (at == 0) return false;
  const std::uint16_t before = load_be16(&tcp[at]);
  if (before <= mss) return false;
  store_be16(&tcp[at], mss);
  if (checksum == TcpChecksum::kPartial) return true;
  // At an odd offset the value's bytes stand in two words, each in the other half.
  const bool odd = at % 2 != 0;
  const std::uint16_t old_word = odd ? __builtin_bswap16(before) : before;
  const std::uint16_t new_word = odd ? __builtin_bswap16(mss) : mss;
  store_be16(&tcp[16], checksum_update(load_be16(&tcp[16]), old_word, new_word));
  return true;
}

}  // namespace greywire
