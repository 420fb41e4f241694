// Cuts an IP packet that exceeds an MTU into fragments: IPv4 (RFC 791 §3.2) and, at its source only, IPv6
// (RFC 8200 §4.5). A plan from the header, then any fragment in any order into memory of the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "router/base/ids.h"
#include "router/base/ip_address.h"

namespace greywire {

// What is to be done about IPv4's Don't Fragment. A tunnel's end may ignore it on delivery packets of its
// own.
enum class DontFragment : std::uint8_t { kHonour, kIgnore };

struct FragmentPlan {
  std::size_t count = 0;         // at least 1; 1: the packet fits, and write_fragment copies it as it is
  std::size_t header_size = 0;   // of the packet: IPv4 with options, IPv6 with its unfragmentable part
  std::size_t payload_size = 0;  // of each fragment but the last; a multiple of 8
  std::size_t total_payload = 0;
  Family family = Family::kV4;
  std::uint32_t identification = 0;  // IPv4: the packet's own
  std::uint16_t first_offset = 0;    // bytes; not 0 when an IPv4 fragment is cut again
  bool more_fragments = false;       // of the packet itself, likewise
  std::size_t next_header_at = 0;    // IPv6: offset of the Next Header byte that becomes 44

  std::size_t payload_of(std::size_t i) const {
    return i + 1 < count ? payload_size : total_payload - payload_size * (count - 1);
  }
  // Bytes that write_fragment writes for fragment `i` < count. Never more than the MTU.
  std::size_t fragment_size(std::size_t i) const {
    return header_size + payload_of(i) + (family == Family::kV6 && count > 1 ? 8 : 0);
  }
};

// `mtu` is that of the whole IP packet. `ipv6_identification` must differ from those in use between the same
// two addresses (RFC 8200 §4.5); IPv4 uses the packet's own. False when it is no sane IP packet, has DF set
// that is to be honoured, is an IPv6 fragment already, or when the MTU leaves no room for 8 bytes of payload.
bool plan_fragments(std::span<const std::uint8_t> packet, Mtu mtu, FragmentPlan& plan,
                    DontFragment dont_fragment = DontFragment::kHonour,
                    std::uint32_t ipv6_identification = 0);

// Writes fragment `index` < plan.count to `dst`, which has room for fragment_size(index) bytes and does not
// overlap the packet; returns that size. DF is clear in fragments. IPv4 options that are not to be copied
// become No-Operation in all but the first.
std::size_t write_fragment(const FragmentPlan& plan, std::span<const std::uint8_t> packet, std::size_t index,
                           std::uint8_t* dst);

}  // namespace greywire
