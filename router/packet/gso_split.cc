#include "router/packet/gso_split.h"

#include <algorithm>
#include <cstring>

#include "router/base/byte_order.h"
#include "router/packet/checksum.h"
#include "router/packet/ip_header.h"

namespace greywire {
namespace {

constexpr std::uint8_t kTcpFin = 0x01;
constexpr std::uint8_t kTcpPsh = 0x08;
constexpr std::uint8_t kTcpCwr = 0x80;
constexpr std::uint16_t kEtherTypeVlan = 0x8100;
constexpr std::uint16_t kEtherTypeServiceVlan = 0x88a8;
constexpr std::size_t kUdpHeaderSize = 8;
constexpr std::size_t kCopied = 64;  // at a time, of what stands behind headers

// The offset of the IP header behind the VLAN tags, or 0 when the frame is too short.
std::size_t skip_vlan_tags(std::span<const std::uint8_t> frame, std::size_t l3_offset) {
  while (l3_offset <= frame.size()) {
    const std::uint16_t type = load_be16(frame.data() + l3_offset - 2);
    if (type != kEtherTypeVlan && type != kEtherTypeServiceVlan) return l3_offset;
    l3_offset += 4;
  }
  return 0;
}

// The sums of what all segments share: the fields that differ, and the checksum itself, count as zero.
std::uint64_t sum_ipv4_header(const std::uint8_t* header, std::size_t size) {
  std::uint8_t copy[60];
  std::memcpy(copy, header, size);
  std::memset(copy + 2, 0, 4);  // total length, identification
  std::memset(copy + 10, 0, 2);
  return checksum_add(copy, size, 0);
}

std::uint64_t sum_tcp_header(const std::uint8_t* header, std::size_t size, std::uint64_t initial) {
  std::uint8_t copy[60];
  std::memcpy(copy, header, size);
  std::memset(copy + 4, 0, 4);  // sequence number
  copy[13] = 0;                 // flags
  std::memset(copy + 16, 0, 2);
  return checksum_add(copy, size, initial);
}

bool plan_transport(std::span<const std::uint8_t> frame, const IpPacketInfo& ip, GsoPlan& plan) {
  const std::uint8_t* l4 = frame.data() + plan.l4_offset;
  const std::size_t l4_total = ip.total_size - ip.header_size;
  std::size_t l4_header = kUdpHeaderSize;
  std::uint64_t sum = checksum_addresses(frame.data() + plan.l3_offset, ip.family);
  sum = checksum_add_word(ip.protocol, sum);
  if (plan.udp) {
    if (l4_total < kUdpHeaderSize) return false;
    sum = checksum_add(l4, 4, sum);  // the ports; the length differs
  } else {
    if (l4_total < 20) return false;
    l4_header = (l4[12] >> 4) * 4U;
    if (l4_header < 20 || l4_header > l4_total) return false;
    plan.first_sequence = load_be32(l4 + 4);
    plan.tcp_flags = l4[13];
    sum = sum_tcp_header(l4, l4_header, sum);
  }
  plan.transport_sum = sum;
  plan.header_size = plan.l4_offset + l4_header;
  plan.total_payload = l4_total - l4_header;
  plan.segments = std::max<std::size_t>(1, (plan.total_payload + plan.payload_size - 1) / plan.payload_size);
  return true;
}

void write_ip(const GsoPlan& plan, std::size_t index, std::size_t l3_size, std::uint8_t* ip) {
  if (plan.family == Family::kV6) {
    store_be16(ip + 4, static_cast<std::uint16_t>(l3_size - kIpv6HeaderSize));
    return;
  }
  const auto total = static_cast<std::uint16_t>(l3_size);
  const auto id = static_cast<std::uint16_t>(plan.first_id + index);
  store_be16(ip + 2, total);
  store_be16(ip + 4, id);
  store_be16(ip + 10, checksum_finish(checksum_add_word(id, checksum_add_word(total, plan.ip_sum))));
}

}  // namespace

bool plan_gso(const VirtioNetHeader& header, std::span<const std::uint8_t> frame, std::size_t l3_offset,
              GsoPlan& plan) {
  const std::uint8_t type = header.gso_type & static_cast<std::uint8_t>(~kGsoEcn);
  if (header.gso_size == 0) return false;
  if (l3_offset != 0) {
    l3_offset = skip_vlan_tags(frame, l3_offset);
    if (l3_offset == 0) return false;
  }
  IpPacketInfo ip;
  if (!parse_ip(frame.subspan(l3_offset), ip) || ip.is_fragment) return false;
  const bool udp = type == kGsoUdpL4;
  if (!udp && type != (ip.family == Family::kV4 ? kGsoTcpV4 : kGsoTcpV6)) return false;
  if (ip.protocol != (udp ? kProtocolUdp : kProtocolTcp)) return false;

  plan = {};
  plan.payload_size = header.gso_size;
  plan.l3_offset = l3_offset;
  plan.l4_offset = l3_offset + ip.header_size;
  plan.family = ip.family;
  plan.udp = udp;
  if (ip.family == Family::kV4) {
    const std::uint8_t* l3 = frame.data() + l3_offset;
    plan.first_id = load_be16(l3 + 4);
    plan.ip_sum = sum_ipv4_header(l3, ip.header_size);
  }
  return plan_transport(frame, ip, plan);
}

std::size_t write_gso_segment(const GsoPlan& plan, std::span<const std::uint8_t> frame, std::size_t index,
                              std::uint8_t* dst, std::size_t limit) {
  const std::size_t payload = plan.payload_of(index);
  const std::size_t l4_size = plan.header_size - plan.l4_offset + payload;
  std::memcpy(dst, frame.data(), plan.header_size);
  write_ip(plan, index, plan.header_size - plan.l3_offset + payload, dst + plan.l3_offset);

  std::uint64_t sum = checksum_add_word(static_cast<std::uint16_t>(l4_size), plan.transport_sum);
  std::uint8_t* l4 = dst + plan.l4_offset;
  if (plan.udp) {
    store_be16(l4 + 4, static_cast<std::uint16_t>(l4_size));
    sum = checksum_add_word(static_cast<std::uint16_t>(l4_size), sum);
  } else {
    const auto sequence = static_cast<std::uint32_t>(plan.first_sequence + index * plan.payload_size);
    std::uint8_t flags = plan.tcp_flags;
    if (index != 0) flags &= static_cast<std::uint8_t>(~kTcpCwr);
    if (index + 1 != plan.segments) flags &= static_cast<std::uint8_t>(~(kTcpFin | kTcpPsh));
    store_be32(l4 + 4, sequence);
    l4[13] = flags;
    sum = checksum_add_word(flags, checksum_add_word32(sequence, sum));
  }
  const std::uint8_t* slice = frame.data() + plan.header_size + index * plan.payload_size;
  if (plan.header_size + payload <= limit) {
    sum = checksum_copy(dst + plan.header_size, slice, payload, sum);
  } else {
    sum = checksum_add(slice, payload, sum);
    for (std::size_t at = 0; plan.header_size + at < limit; at += kCopied) {
      std::memcpy(dst + plan.header_size + at, slice + at, kCopied);
    }
  }
  if (plan.udp) {
    store_be16(l4 + 6, checksum_finish_udp(sum));
  } else {
    store_be16(l4 + 16, checksum_finish(sum));
  }
  return plan.header_size + payload;
}

std::uint64_t gso_segment_sum(const GsoPlan& plan, std::size_t index, const std::uint8_t* segment) {
  const auto l4_size = static_cast<std::uint32_t>(plan.segment_size(index) - plan.l4_offset);
  const std::uint8_t protocol = plan.udp ? kProtocolUdp : kProtocolTcp;
  const std::uint64_t pseudo = checksum_pseudo_header(segment + plan.l3_offset, plan.family, protocol, l4_size);
  const std::uint64_t headers = checksum_add(segment, plan.l4_offset, 0);
  return checksum_add_word(checksum_finish(pseudo), headers);
}

bool complete_checksum(const VirtioNetHeader& header, std::span<std::uint8_t> frame) {
  if ((header.flags & kNeedsCsum) == 0) return true;
  const std::size_t start = header.csum_start;
  const std::size_t at = start + header.csum_offset;
  if (at + 2 > frame.size()) return false;
  const std::uint64_t sum = checksum_add(frame.data() + start, frame.size() - start, 0);
  store_be16(frame.data() + at, checksum_finish_udp(sum));
  return true;
}

}  // namespace greywire
