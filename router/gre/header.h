// The GRE header: RFC 2784 with the Key and Sequence Number of RFC 2890.
//
//   |C| |K|S| Reserved0       | Ver |         Protocol Type         |
//   | Checksum (optional)           | Reserved1 (optional)          |
//   | Key (optional)                                                |
//   | Sequence Number (optional)                                    |
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "router/base/drop_reason.h"

namespace greywire::gre {

inline constexpr std::uint16_t kProtocolIpv4 = 0x0800;
inline constexpr std::uint16_t kProtocolIpv6 = 0x86dd;
inline constexpr std::uint16_t kProtocolEthernet = 0x6558;  // Transparent Ethernet Bridging

struct Header {
  std::optional<std::uint32_t> key = std::nullopt;
  std::optional<std::uint32_t> sequence = std::nullopt;
  bool checksum = false;       // present
  std::uint16_t protocol = 0;  // Protocol Type of the payload packet
  std::size_t size = 4;        // 4-16; set by decode
};

constexpr std::size_t header_size(bool key, bool sequence, bool checksum) {
  return 4U + (key ? 4U : 0U) + (sequence ? 4U : 0U) + (checksum ? 4U : 0U);
}
constexpr std::size_t header_size(const Header& header) {
  return header_size(header.key.has_value(), header.sequence.has_value(), header.checksum);
}

// `packet` is the GRE header and all of its payload. kGreBadHeader: cut short. kGreBadVersion: not 0.
// kGreReservedBits: one of bits 1, 4 and 5 is set (RFC 2784 §2.2; bits 2 and 3 are RFC 2890's). Bits 6-12 are
// ignored, as RFC 2784 §2.3 wants. kGreBadChecksum: the field is there and wrong. `header` is then not to be
// used.
std::optional<DropReason> decode(std::span<const std::uint8_t> packet, Header& header);

// Writes header_size(header) bytes and returns their number. A checksum field is left zero: see
// write_checksum.
std::size_t encode(const Header& header, std::uint8_t* dst);

// Fills in the checksum of a packet whose header has the field. `packet` is the header and all of its
// payload.
void write_checksum(std::span<std::uint8_t> packet);
// The same where the payload's sum is known (checksum.h).
void write_checksum(std::uint8_t* header, std::size_t header_size, std::uint64_t payload_sum);

}  // namespace greywire::gre
