// A frame from a TUN or TAP device with any header before it: parsed, cut, its checksum completed.
#include <algorithm>
#include <vector>

#include "router/packet/checksum.h"
#include "router/packet/gso_split.h"
#include "router/packet/icmp.h"
#include "router/packet/ip_fragment.h"
#include "router/packet/ip_header.h"
#include "tests/fuzz/check.h"

using namespace greywire;

namespace {

void cut(const VirtioNetHeader& header, std::span<const std::uint8_t> frame, std::size_t l3_offset) {
  GsoPlan plan;
  if (!plan_gso(header, frame, l3_offset, plan)) return;
  FUZZ_CHECK(plan.segments >= 1);
  std::size_t total = 0;
  for (std::size_t i = 0; i < plan.segments; ++i) {
    std::vector<std::uint8_t> segment(plan.segment_size(i));
    FUZZ_CHECK(write_gso_segment(plan, frame, i, segment.data()) == segment.size());
    IpPacketInfo ip;
    const auto packet = std::span(segment).subspan(plan.l3_offset);
    const std::size_t limit = plan.header_size + i % 64;
    if (limit + 64 <= segment.size()) {
      std::vector<std::uint8_t> head(segment.size());
      FUZZ_CHECK(write_gso_segment(plan, frame, i, head.data(), limit) == segment.size());
      FUZZ_CHECK(std::equal(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(limit), segment.begin()));
      const std::uint8_t* rest = frame.data() + i * plan.payload_size;
      FUZZ_CHECK(std::equal(segment.begin() + static_cast<std::ptrdiff_t>(limit), segment.end(), rest + limit));
    }
    FUZZ_CHECK(parse_ip(packet, ip));
    FUZZ_CHECK(ip.total_size == packet.size());
    const auto l4 = packet.subspan(ip.header_size);
    const auto sum =
        checksum_pseudo_header(packet.data(), ip.family, ip.protocol, static_cast<std::uint32_t>(l4.size()));
    FUZZ_CHECK(checksum_finish(checksum_add(l4.data(), l4.size(), sum)) == 0);
    total += plan.payload_of(i);
  }
  FUZZ_CHECK(total == plan.total_payload);
}

void cut_to_fragments(std::span<const std::uint8_t> packet, std::uint32_t mtu) {
  FragmentPlan plan;
  if (!plan_fragments(packet, Mtu{mtu}, plan, DontFragment::kIgnore, 1)) return;
  for (std::size_t i = 0; i < plan.count; ++i) {
    std::vector<std::uint8_t> fragment(plan.fragment_size(i));
    FUZZ_CHECK(fragment.size() <= mtu);
    FUZZ_CHECK(write_fragment(plan, packet, i, fragment.data()) == fragment.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < sizeof(VirtioNetHeader)) return 0;
  VirtioNetHeader header;
  std::memcpy(&header, bytes, sizeof header);
  const std::span<const std::uint8_t> frame(bytes + sizeof header, size - sizeof header);
  cut(header, frame, 0);
  cut(header, frame, 14);
  std::vector<std::uint8_t> copy(frame.begin(), frame.end());
  complete_checksum(header, copy);
  cut_to_fragments(frame, header.gso_size);
  IpPacketInfo ip;
  if (!parse_ip(frame, ip)) return 0;
  FUZZ_CHECK(ip.header_size <= ip.total_size && ip.total_size <= frame.size());
  UpperLayer upper;
  if (find_upper_layer(frame, ip, upper)) FUZZ_CHECK(upper.offset <= ip.total_size);
  EchoMessage echo;
  std::uint8_t answer[1500];
  if (parse_echo(frame, echo)) write_echo_reply(answer, echo);
  const IpAddress own = destination(frame, ip);
  write_unreachable(answer, Unreachable::kNoRoute, own, frame);
  write_packet_too_big(answer, own, frame, Mtu{header.gso_size});
  return 0;
}
