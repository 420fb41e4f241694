// The header that the kernel puts before each frame of a TUN/TAP device opened with IFF_VNET_HDR: what is left to do
// for the frame (checksum) and how to cut it (segmentation). Virtio 1.1 §5.1.6, the legacy layout of 10 bytes.
#pragma once

#include <cstdint>

namespace greywire {

// All fields in host order (little-endian). `csum_start` counts from the first byte of the frame, `csum_offset` from
// `csum_start`; `gso_size` is the payload of one segment, `hdr_len` a hint only.
struct VirtioNetHeader {
  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  std::uint16_t hdr_len = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t csum_start = 0;
  std::uint16_t csum_offset = 0;
};
static_assert(sizeof(VirtioNetHeader) == 10);

}  // namespace greywire
