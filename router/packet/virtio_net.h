// The header that a TUN/TAP device with IFF_VNET_HDR puts before each frame: which checksum is still to be
// done, and how a super-frame is to be cut. virtio 1.2 §5.1.6, without num_buffers; native byte order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace greywire {

// `flags`
inline constexpr std::uint8_t kNeedsCsum =
    1;  // the field at csum_start + csum_offset holds a pseudo-header sum only
inline constexpr std::uint8_t kDataValid = 2;  // the checksum was verified

// `gso_type`
inline constexpr std::uint8_t kGsoNone = 0;
inline constexpr std::uint8_t kGsoTcpV4 = 1;
inline constexpr std::uint8_t kGsoTcpV6 = 4;
inline constexpr std::uint8_t kGsoUdpL4 = 5;   // one UDP header before many datagrams' payloads
inline constexpr std::uint8_t kGsoEcn = 0x80;  // or-ed to a TCP type: CWR is set in the first segment only

struct VirtioNetHeader {
  std::uint8_t flags = 0;
  std::uint8_t gso_type = kGsoNone;
  std::uint16_t hdr_len = 0;      // bytes of L2 to L4 headers; a hint, not to be trusted
  std::uint16_t gso_size = 0;     // payload bytes a segment
  std::uint16_t csum_start = 0;   // from the start of the frame
  std::uint16_t csum_offset = 0;  // from csum_start
};
static_assert(sizeof(VirtioNetHeader) == 10);

}  // namespace greywire
