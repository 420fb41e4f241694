#include "overlay/links/link_local.h"

#include <algorithm>
#include <array>

namespace greywire::links {

IpAddress link_local_of_key(std::span<const std::uint8_t, 32> public_key) {
  std::array<std::uint8_t, 16> bytes{0xfe, 0x80};
  std::copy_n(public_key.begin(), 8, bytes.begin() + 8);
  return IpAddress::v6(bytes);
}

}  // namespace greywire::links
