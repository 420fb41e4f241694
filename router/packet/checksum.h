// The Internet checksum (RFC 1071), its incremental update (RFC 1624) and a copy that sums on the way.
//
// A running sum is an opaque 64-bit one's-complement accumulator: start with 0, add ranges, fold at the end.
// Each range is taken to begin at an even offset of the checksummed data; a range of odd length counts as if
// a zero byte followed it, so that only the last one may be odd, unless checksum_odd() is applied. Results
// are host-order numbers: write them with store_be16().
#pragma once

#include <cstddef>
#include <cstdint>

#include "router/base/byte_order.h"
#include "router/base/ip_address.h"

namespace greywire {

// Adds `n` bytes at `p`, at any alignment.
std::uint64_t checksum_add(const std::uint8_t* p, std::size_t n, std::uint64_t initial);

// Copies and adds in one pass. The ranges must not overlap.
std::uint64_t checksum_copy(std::uint8_t* dst, const std::uint8_t* src, std::size_t n, std::uint64_t initial);

// Joins two running sums.
constexpr std::uint64_t checksum_join(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t sum = a + b;
  return sum + (sum < a ? 1 : 0);
}

// What `part` is not of: `sum` without it.
constexpr std::uint64_t checksum_less(std::uint64_t sum, std::uint64_t part) {
  return checksum_join(sum, ~part);
}

// An IPv4 header without options: 20 bytes.
inline std::uint64_t checksum_ipv4_header(const std::uint8_t* p) {
  return checksum_join(checksum_join(load_le64(p), load_le64(p + 8)), load_le32(p + 16));
}

// Adds one 16-bit word, or a 32-bit one, given in host order.
constexpr std::uint64_t checksum_add_word(std::uint16_t word, std::uint64_t initial) {
  return checksum_join(initial, __builtin_bswap16(word));
}
constexpr std::uint64_t checksum_add_word32(std::uint32_t word, std::uint64_t initial) {
  return checksum_join(initial, __builtin_bswap32(word));
}

// The 16-bit one's-complement sum, not inverted. What a NEEDS_CSUM frame has in its checksum field.
constexpr std::uint16_t checksum_fold(std::uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return __builtin_bswap16(static_cast<std::uint16_t>(sum));
}

// What goes into a header: the inverted sum. Over data that holds a right checksum it is 0.
constexpr std::uint16_t checksum_finish(std::uint64_t sum) {
  return static_cast<std::uint16_t>(~checksum_fold(sum));
}

// Whether data with such a sum holds a right checksum: checksum_finish() of it is 0.
constexpr bool checksum_right(std::uint64_t sum) {
  return sum % 0xffff == 0 && sum != 0;
}

// As checksum_finish, but never 0, which means "no checksum" in UDP (RFC 768).
constexpr std::uint16_t checksum_finish_udp(std::uint64_t sum) {
  const std::uint16_t value = checksum_finish(sum);
  return value == 0 ? std::uint16_t{0xffff} : value;
}

// Turns the sum of a range that was taken at an odd offset of the data into its share of the whole, and back.
constexpr std::uint64_t checksum_odd(std::uint64_t sum) {
  return checksum_fold(sum);
}

// The pseudo-header of RFC 9293 §3.1 and RFC 8200 §8.1, addresses only: 8 bytes at an IPv4 header's offset
// 12, or 32 bytes at an IPv6 header's offset 8.
std::uint64_t checksum_addresses(const std::uint8_t* ip_header, Family family);

// The whole pseudo-header. `length` is that of the upper-layer packet, its header included.
std::uint64_t checksum_pseudo_header(const std::uint8_t* ip_header, Family family, std::uint8_t protocol,
                                     std::uint32_t length);

// RFC 1624, equation 3: the checksum of data in which the aligned word `before` became `after`.
constexpr std::uint16_t checksum_update(std::uint16_t checksum, std::uint16_t before, std::uint16_t after) {
  std::uint32_t sum = static_cast<std::uint16_t>(~checksum);
  sum += static_cast<std::uint16_t>(~before);
  sum += after;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace greywire
