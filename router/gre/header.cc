#include "router/gre/header.h"

#include "router/base/byte_order.h"
#include "router/packet/checksum.h"

namespace greywire::gre {
namespace {

constexpr std::uint16_t kChecksumPresent = 0x8000;
constexpr std::uint16_t kKeyPresent = 0x2000;
constexpr std::uint16_t kSequencePresent = 0x1000;
constexpr std::uint16_t kRefusedFlags = 0x4c00;  // bits 1, 4 and 5
constexpr std::uint16_t kVersion = 0x0007;

}  // namespace

std::optional<DropReason> decode(std::span<const std::uint8_t> packet, Header& header) {
  if (packet.size() < 4) return DropReason::kGreBadHeader;
  const std::uint16_t flags = load_be16(packet.data());
  if ((flags & kVersion) != 0) return DropReason::kGreBadVersion;
  if ((flags & kRefusedFlags) != 0) return DropReason::kGreReservedBits;
  header = {};
  header.checksum = (flags & kChecksumPresent) != 0;
  header.protocol = load_be16(packet.data() + 2);
  header.size = header_size((flags & kKeyPresent) != 0, (flags & kSequencePresent) != 0, header.checksum);
  if (packet.size() < header.size) return DropReason::kGreBadHeader;
  const std::uint8_t* field = packet.data() + 4;
  if (header.checksum) {
    if (checksum_finish(checksum_add(packet.data(), packet.size(), 0)) != 0)
      return DropReason::kGreBadChecksum;
    field += 4;
  }
  if ((flags & kKeyPresent) != 0) {
    header.key = load_be32(field);
    field += 4;
  }
  if ((flags & kSequencePresent) != 0) header.sequence = load_be32(field);
  return std::nullopt;
}

std::size_t encode(const Header& header, std::uint8_t* dst) {
  std::uint16_t flags = 0;
  std::uint8_t* field = dst + 4;
  if (header.checksum) {
    flags |= kChecksumPresent;
    store_be32(field, 0);
    field += 4;
  }
  if (header.key) {
    flags |= kKeyPresent;
    store_be32(field, *header.key);
    field += 4;
  }
  if (header.sequence) {
    flags |= kSequencePresent;
    store_be32(field, *header.sequence);
    field += 4;
  }
  store_be16(dst, flags);
  store_be16(dst + 2, header.protocol);
  return static_cast<std::size_t>(field - dst);
}

void write_checksum(std::span<std::uint8_t> packet) {
  store_be16(packet.data() + 4, 0);
  store_be16(packet.data() + 4, checksum_finish(checksum_add(packet.data(), packet.size(), 0)));
}

void write_checksum(std::uint8_t* header, std::size_t header_size, std::uint64_t payload_sum) {
  store_be16(header + 4, 0);
  store_be16(header + 4, checksum_finish(checksum_add(header, header_size, payload_sum)));
}

}  // namespace greywire::gre
