#include "router/packet/ip_fragment.h"

#include <cstring>

#include "router/base/byte_order.h"
#include "router/packet/checksum.h"
#include "router/packet/ip_header.h"

namespace greywire {
namespace {

constexpr std::size_t kFragmentHeaderSize = 8;
constexpr std::uint16_t kMoreFragments = 0x2000;
constexpr std::uint8_t kOptionCopied = 0x80;
constexpr std::uint8_t kOptionNop = 1;

// RFC 8200 §4.5: up to and including Hop-by-Hop and Routing headers; Destination Options belong to it only
// before a Routing header. False for a packet that is a fragment already.
bool find_unfragmentable(std::span<const std::uint8_t> packet, const IpPacketInfo& ip, FragmentPlan& plan) {
  std::size_t at = kIpv6HeaderSize;
  std::uint8_t protocol = ip.protocol;
  std::size_t next_header_at = 6;
  plan.header_size = at;
  plan.next_header_at = next_header_at;
  while (protocol == kProtocolHopByHop || protocol == kProtocolRouting ||
         protocol == kProtocolDestinationOptions) {
    if (at + 8 > ip.total_size) return false;
    const std::size_t size = (packet[at + 1] + 1U) * 8U;
    if (at + size > ip.total_size) return false;
    const bool options = protocol == kProtocolDestinationOptions;
    protocol = packet[at];
    next_header_at = at;
    at += size;
    if (options) continue;
    plan.header_size = at;
    plan.next_header_at = next_header_at;
  }
  return protocol != kProtocolFragment;
}

bool cut(std::size_t fragment_overhead, std::size_t mtu, FragmentPlan& plan) {
  if (plan.header_size + plan.total_payload <= mtu) {
    plan.count = 1;
    plan.payload_size = plan.total_payload;
    return true;
  }
  const std::size_t headers = plan.header_size + fragment_overhead;
  if (mtu < headers + 8) return false;
  plan.payload_size = (mtu - headers) / 8 * 8;
  plan.count = (plan.total_payload + plan.payload_size - 1) / plan.payload_size;
  return true;
}

void blank_uncopied_options(std::uint8_t* header, std::size_t header_size) {
  std::size_t at = kIpv4HeaderSize;
  while (at < header_size && header[at] != 0) {
    if (header[at] == kOptionNop) {
      ++at;
      continue;
    }
    if (at + 2 > header_size) return;
    const std::size_t length = header[at + 1];
    if (length < 2 || at + length > header_size) return;
    if ((header[at] & kOptionCopied) == 0) std::memset(header + at, kOptionNop, length);
    at += length;
  }
}

void write_ipv4_header(const FragmentPlan& plan, std::size_t index, std::size_t size, std::uint8_t* dst) {
  const bool more = plan.more_fragments || index + 1 != plan.count;
  const std::size_t offset = plan.first_offset + index * plan.payload_size;
  if (index != 0) blank_uncopied_options(dst, plan.header_size);
  store_be16(dst + 2, static_cast<std::uint16_t>(size));
  store_be16(dst + 6, static_cast<std::uint16_t>(offset / 8 | (more ? kMoreFragments : 0U)));
  store_be16(dst + 10, 0);
  store_be16(dst + 10, checksum_finish(checksum_add(dst, plan.header_size, 0)));
}

void write_ipv6_header(const FragmentPlan& plan, std::size_t index, std::size_t size, std::uint8_t* dst) {
  const bool more = index + 1 != plan.count;
  std::uint8_t* fragment = dst + plan.header_size;
  fragment[0] = dst[plan.next_header_at];
  fragment[1] = 0;
  store_be16(fragment + 2, static_cast<std::uint16_t>(index * plan.payload_size | (more ? 1U : 0U)));
  store_be32(fragment + 4, plan.identification);
  dst[plan.next_header_at] = kProtocolFragment;
  store_be16(dst + 4, static_cast<std::uint16_t>(size - kIpv6HeaderSize));
}

}  // namespace

bool plan_fragments(std::span<const std::uint8_t> packet, Mtu mtu, FragmentPlan& plan,
                    DontFragment dont_fragment, std::uint32_t ipv6_identification) {
  IpPacketInfo ip;
  if (!parse_ip(packet, ip)) return false;
  plan = {};
  plan.family = ip.family;
  if (ip.family == Family::kV4) {
    const std::uint16_t field = load_be16(packet.data() + 6);
    plan.header_size = ip.header_size;
    plan.total_payload = ip.total_size - ip.header_size;
    plan.identification = load_be16(packet.data() + 4);
    plan.first_offset = static_cast<std::uint16_t>((field & 0x1fff) * 8);
    plan.more_fragments = (field & kMoreFragments) != 0;
    if (!cut(0, mtu.bytes, plan)) return false;
    return plan.count == 1 || dont_fragment == DontFragment::kIgnore || !ip.dont_fragment;
  }
  if (!find_unfragmentable(packet, ip, plan)) return false;
  plan.total_payload = ip.total_size - plan.header_size;
  plan.identification = ipv6_identification;
  return cut(kFragmentHeaderSize, mtu.bytes, plan);
}

std::size_t write_fragment(const FragmentPlan& plan, std::span<const std::uint8_t> packet, std::size_t index,
                           std::uint8_t* dst) {
  const std::size_t size = plan.fragment_size(index);
  const std::size_t payload = plan.payload_of(index);
  std::memcpy(dst, packet.data(), plan.header_size);
  if (plan.count > 1) {
    if (plan.family == Family::kV4) {
      write_ipv4_header(plan, index, size, dst);
    } else {
      write_ipv6_header(plan, index, size, dst);
    }
  }
  std::memcpy(dst + size - payload, packet.data() + plan.header_size + index * plan.payload_size, payload);
  return size;
}

}  // namespace greywire
