#include "router/packet/gro_merge.h"

#include <algorithm>
#include <cstring>

#include "router/base/byte_order.h"
#include "router/packet/checksum.h"
#include "router/packet/ip_header.h"

namespace greywire {
namespace {

constexpr std::uint16_t kNone = 0xffff;
constexpr std::size_t kFlowSlots = 2 * GroMerger::kMaxFlows;
constexpr std::uint8_t kTcpAck = 0x10;
constexpr std::uint8_t kTcpPsh = 0x08;
constexpr std::size_t kMaxL3Size = 65535;
constexpr std::size_t kUdpHeaderSize = 8;

// One packet as far as merging is concerned.
struct Segment {
  Family family = Family::kV4;
  bool mergeable = false;  // by itself; the checksum is not looked at yet
  bool dont_fragment = false;
  std::uint8_t protocol = 0;
  std::uint8_t flags = 0;  // TCP
  std::uint16_t l3_offset = 0;
  std::uint16_t l4_offset = 0;
  std::uint16_t header_size = 0;  // up to the payload
  std::uint16_t payload = 0;
  std::uint32_t sequence = 0;
};

enum class Kind : std::uint8_t {
  kFlow,   // a flow is known
  kOther,  // of a protocol that is not merged: in nobody's way
  kOdd,    // may be of any flow: a fragment, IP options, extension headers
};

struct Group {
  Segment first;
  std::uint16_t first_packet = 0;
  std::uint16_t last_packet = 0;
  std::uint16_t packets = 1;
  bool verified = false;  // the first packet's checksums
  bool push = false;      // the last packet has PSH
  std::uint32_t next_sequence = 0;
  std::size_t payload = 0;  // of all
};

// The quick way for the third and further packets of a group, which differ from its first one in little: which bits of the headers
// must be the same. Says of a packet what parse() and GroMerger::State::joins() would.
struct Train {
  static constexpr std::size_t kSize = 128;  // longer headers go the long way

  struct Flow* flow = nullptr;  // none: no train
  std::uint16_t group = kNone;
  std::size_t words = 0;  // of `same`
  std::array<std::uint64_t, kSize / 8> same{};

  void begin(Flow* of, std::uint16_t index, const Segment& first) {
    if (flow == of && group == index) return;
    flow = first.header_size <= kSize ? of : nullptr;
    if (flow == nullptr) return;
    group = index;
    words = (first.header_size + 7U) / 8;
    std::array<std::uint8_t, kSize> mask{};
    std::fill_n(mask.begin(), first.header_size, 0xff);
    std::uint8_t* ip = mask.data() + first.l3_offset;
    std::uint8_t* l4 = mask.data() + first.l4_offset;
    if (first.family == Family::kV4) {
      std::fill_n(ip + 2, 4, 0);   // total length, identification
      std::fill_n(ip + 10, 2, 0);  // checksum
    } else {
      std::fill_n(ip + 4, 2, 0);  // payload length
    }
    if (first.protocol == kProtocolTcp) {
      std::fill_n(l4 + 4, 4, 0);  // sequence number
      l4[13] = static_cast<std::uint8_t>(~kTcpPsh);
      std::fill_n(l4 + 16, 2, 0);  // checksum
    } else {
      std::fill_n(l4 + 4, 4, 0);  // length, checksum
    }
    std::memcpy(same.data(), mask.data(), kSize);
  }

  // Both with `words` words.
  bool is_like(const std::uint8_t* first, const std::uint8_t* packet) const {
    std::uint64_t other = 0;
    for (std::size_t i = 0; i < words; ++i) other |= (load_le64(first + 8 * i) ^ load_le64(packet + 8 * i)) & same[i];
    return other == 0;
  }
};

struct Flow {
  std::uint32_t tag = 0;         // 0: free
  std::uint16_t key_packet = 0;  // a packet of the flow, for its addresses and ports
  std::uint16_t group = kNone;   // the last group of the flow, if it may grow still
  Segment key;
};

bool is_extension_header(std::uint8_t protocol) {
  return protocol == kProtocolHopByHop || protocol == kProtocolRouting || protocol == kProtocolFragment ||
         protocol == kProtocolDestinationOptions;
}

// The offset of the IP header in an Ethernet frame, or 0 when it carries none.
std::size_t find_l3(std::span<const std::uint8_t> frame) {
  std::size_t at = 14;
  while (at <= frame.size()) {
    const std::uint16_t type = load_be16(frame.data() + at - 2);
    if (type == 0x0800 || type == 0x86dd) return at;
    if (type != 0x8100 && type != 0x88a8) return 0;
    at += 4;
  }
  return 0;
}

void parse_tcp(std::span<const std::uint8_t> tcp, Segment& segment) {
  const std::size_t header = (tcp[12] >> 4) * 4U;
  segment.flags = tcp[13];
  segment.sequence = load_be32(tcp.data() + 4);
  segment.mergeable = header >= 20 && header < tcp.size() && (tcp[12] & 0x0f) == 0 &&
                      (segment.flags & static_cast<std::uint8_t>(~kTcpPsh)) == kTcpAck;
  if (!segment.mergeable) return;
  segment.header_size = static_cast<std::uint16_t>(segment.l4_offset + header);
  segment.payload = static_cast<std::uint16_t>(tcp.size() - header);
}

// Without a checksum a datagram passes alone: what is cut from a super-frame has one.
void parse_udp(std::span<const std::uint8_t> udp, Segment& segment) {
  segment.mergeable =
      udp.size() > kUdpHeaderSize && load_be16(udp.data() + 4) == udp.size() && load_be16(udp.data() + 6) != 0;
  segment.header_size = static_cast<std::uint16_t>(segment.l4_offset + kUdpHeaderSize);
  segment.payload = static_cast<std::uint16_t>(udp.size() - kUdpHeaderSize);
}

Kind parse(std::span<const std::uint8_t> packet, Layer layer, MergeUdp udp, Segment& segment) {
  std::size_t l3 = 0;
  if (layer == Layer::kEthernet) {
    l3 = find_l3(packet);
    if (l3 == 0) return Kind::kOther;
  }
  IpPacketInfo ip;
  if (!parse_ip(packet.subspan(l3), ip)) return Kind::kOther;
  const bool v4 = ip.family == Family::kV4;
  if (!v4 && is_extension_header(ip.protocol)) return Kind::kOdd;
  const bool tcp = ip.protocol == kProtocolTcp;
  if (!tcp && (ip.protocol != kProtocolUdp || udp == MergeUdp::kNo)) return Kind::kOther;
  if (ip.is_fragment || (v4 && ip.header_size != kIpv4HeaderSize)) return Kind::kOdd;
  const std::size_t l4_size = ip.total_size - ip.header_size;
  if (l4_size < (tcp ? 20 : kUdpHeaderSize)) return Kind::kOdd;
  segment.family = ip.family;
  segment.dont_fragment = ip.dont_fragment;
  segment.protocol = ip.protocol;
  segment.l3_offset = static_cast<std::uint16_t>(l3);
  segment.l4_offset = static_cast<std::uint16_t>(l3 + ip.header_size);
  const auto l4 = packet.subspan(segment.l4_offset, l4_size);
  if (tcp) {
    parse_tcp(l4, segment);
  } else {
    parse_udp(l4, segment);
  }
  segment.mergeable = segment.mergeable && l3 + ip.total_size == packet.size();
  return Kind::kFlow;
}

std::uint32_t hash_flow(const std::uint8_t* packet, const Segment& segment) {
  const std::uint8_t* ip = packet + segment.l3_offset;
  std::uint64_t h = load_le32(packet + segment.l4_offset) ^ static_cast<std::uint64_t>(segment.protocol) << 32;
  if (segment.family == Family::kV4) {
    h = (h ^ load_le64(ip + 12)) * 0x9e3779b97f4a7c15ULL;
  } else {
    for (std::size_t at = 8; at < 40; at += 8) h = (h ^ load_le64(ip + at)) * 0x9e3779b97f4a7c15ULL;
  }
  return static_cast<std::uint32_t>(h >> 32) | 1;
}

bool same_flow(const std::uint8_t* a, const Segment& sa, const std::uint8_t* b, const Segment& sb) {
  if (sa.family != sb.family || sa.protocol != sb.protocol || load_le32(a + sa.l4_offset) != load_le32(b + sb.l4_offset)) return false;
  const std::uint8_t* ip_a = a + sa.l3_offset;
  const std::uint8_t* ip_b = b + sb.l3_offset;
  if (sa.family == Family::kV4) return load_le64(ip_a + 12) == load_le64(ip_b + 12);
  return std::memcmp(ip_a + 8, ip_b + 8, 32) == 0;
}

// That of TCP or UDP, and that of the IPv4 header: a merged frame gets new ones, which must not make good what was bad.
// `sum`: of the packet, or 0.
bool checksums_right(std::span<const std::uint8_t> packet, const Segment& segment, std::uint64_t sum) {
  const std::uint8_t* ip = packet.data() + segment.l3_offset;
  const bool v4 = segment.family == Family::kV4;
  if (v4 && !checksum_right(checksum_ipv4_header(ip))) return false;
  const auto l4 = packet.subspan(segment.l4_offset);
  const std::uint64_t pseudo =
      checksum_pseudo_header(ip, segment.family, segment.protocol, static_cast<std::uint32_t>(l4.size()));
  if (sum == 0) return checksum_right(checksum_add(l4.data(), l4.size(), pseudo));
  const std::size_t headers = v4 ? segment.l3_offset : segment.l4_offset;  // a right IPv4 header adds nothing
  if (headers != 0) sum = checksum_less(sum, checksum_add(packet.data(), headers, 0));
  return checksum_right(checksum_join(sum, pseudo));
}

bool same_ip_fields(const Group& group, const std::uint8_t* first, const std::uint8_t* packet) {
  const std::uint8_t* a = first + group.first.l3_offset;
  const std::uint8_t* b = packet + group.first.l3_offset;
  if (group.first.family == Family::kV6) return load_le32(a) == load_le32(b) && a[7] == b[7];
  if (a[1] != b[1] || a[8] != b[8] || load_le16(a + 6) != load_le16(b + 6)) return false;
  const auto expected = static_cast<std::uint16_t>(load_be16(a + 4) + group.packets);
  return group.first.dont_fragment || load_be16(b + 4) == expected;
}

// Acknowledgment, header length, flags but PSH, window, urgent pointer, options.
bool same_tcp_fields(const Group& group, const std::uint8_t* first, const std::uint8_t* packet) {
  const std::uint8_t* a = first + group.first.l4_offset;
  const std::uint8_t* b = packet + group.first.l4_offset;
  if (load_le32(a + 8) != load_le32(b + 8) || a[12] != b[12] || load_le16(a + 14) != load_le16(b + 14))
    return false;
  const std::size_t header = group.first.header_size - group.first.l4_offset;
  return same_bytes(a + 18, b + 18, header - 18);
}

}  // namespace

struct GroMerger::State {
  Layer layer;
  MergeUdp udp = MergeUdp::kNo;
  std::array<std::span<std::uint8_t>, kMaxPackets> packets;
  std::array<std::uint64_t, kMaxPackets> sums;  // 0: not known
  std::array<std::uint16_t, kMaxPackets> next;  // the following packet of the same group
  std::array<Group, kMaxPackets> groups;
  std::array<iovec, kMaxPackets> parts;
  std::array<Flow, kFlowSlots> flows;
  std::array<std::uint16_t, kMaxFlows> used_slots;
  std::size_t flow_count = 0;
  Train train;

  explicit State(Layer l) : layer(l) {}

  Flow* find_flow(std::uint16_t packet, const Segment& segment) {
    const std::uint8_t* bytes = packets[packet].data();
    const std::uint32_t tag = hash_flow(bytes, segment);
    std::size_t slot = (tag >> 1) % kFlowSlots;
    for (; flows[slot].tag != 0; slot = (slot + 1) % kFlowSlots) {
      Flow& flow = flows[slot];
      if (flow.tag == tag && same_flow(packets[flow.key_packet].data(), flow.key, bytes, segment)) {
        return &flow;
      }
    }
    if (!segment.mergeable || flow_count == kMaxFlows) return nullptr;
    used_slots[flow_count++] = static_cast<std::uint16_t>(slot);
    flows[slot] = {.tag = tag, .key_packet = packet, .group = kNone, .key = segment};
    return &flows[slot];
  }

  // Whether a mergeable packet of the same flow continues the group. Its checksums come last: they are the
  // dear part.
  bool joins(Group& group, std::uint16_t packet, const Segment& segment) {
    const std::uint8_t* first = packets[group.first_packet].data();
    const std::uint8_t* bytes = packets[packet].data();
    const bool tcp = segment.protocol == kProtocolTcp;
    if (tcp ? segment.sequence != group.next_sequence : group.packets == kMaxDatagrams) return false;
    if (segment.payload > group.first.payload || segment.header_size != group.first.header_size ||
        segment.l3_offset != group.first.l3_offset) {
      return false;
    }
    const std::size_t l3_headers = segment.header_size - segment.l3_offset;
    if (l3_headers + group.payload + segment.payload > kMaxL3Size) return false;
    if (!same_bytes(first, bytes, segment.l3_offset)) return false;
    if (!same_ip_fields(group, first, bytes) || (tcp && !same_tcp_fields(group, first, bytes))) return false;
    if (!group.verified && !right(group.first_packet, group.first)) return false;
    group.verified = true;
    return right(packet, segment);
  }

  bool right(std::uint16_t packet, const Segment& segment) const { return checksums_right(packets[packet], segment, sums[packet]); }

  // Adds a packet that goes on with the train; false where it does not.
  bool go_on(std::uint16_t index) {
    if (train.flow == nullptr || train.flow->group != train.group) return false;
    Group& group = groups[train.group];
    const Segment& like = group.first;
    const auto first = packets[group.first_packet], packet = packets[index];
    if (packet.size() < 8 * train.words || packet.size() <= like.header_size) return false;
    const std::size_t payload = packet.size() - like.header_size;
    if (payload > like.payload || like.header_size - like.l3_offset + group.payload + payload > kMaxL3Size ||
        !train.is_like(first.data(), packet.data())) {
      return false;
    }
    const std::uint8_t* ip = packet.data() + like.l3_offset;
    const std::uint8_t* l4 = packet.data() + like.l4_offset;
    const std::size_t l4_size = packet.size() - like.l4_offset;
    if (like.family == Family::kV4) {
      const auto id = static_cast<std::uint16_t>(load_be16(first.data() + like.l3_offset + 4) + group.packets);
      if (load_be16(ip + 2) != kIpv4HeaderSize + l4_size || (!like.dont_fragment && load_be16(ip + 4) != id)) return false;
    } else if (load_be16(ip + 4) != l4_size) {
      return false;
    }
    bool push = false;
    if (like.protocol == kProtocolTcp) {
      if (load_be32(l4 + 4) != group.next_sequence) return false;
      push = (l4[13] & kTcpPsh) != 0;
    } else if (load_be16(l4 + 4) != l4_size || load_be16(l4 + 6) == 0 || group.packets == kMaxDatagrams) {
      return false;
    }
    if (!right(index, like)) return false;
    append(*train.flow, index, payload, push);
    return true;
  }

  // To the flow's group. A shorter packet or a PSH is the last of its group.
  void append(Flow& flow, std::uint16_t packet, std::size_t payload, bool push) {
    Group& group = groups[flow.group];
    next[group.last_packet] = packet;
    group.last_packet = packet;
    ++group.packets;
    group.payload += payload;
    group.next_sequence += static_cast<std::uint32_t>(payload);
    group.push = push;
    if (push || payload < group.first.payload) flow.group = kNone;
  }

  void rewrite_header(const Group& group, VirtioNetHeader& header) {
    std::uint8_t* packet = packets[group.first_packet].data();
    std::uint8_t* ip = packet + group.first.l3_offset;
    std::uint8_t* l4 = packet + group.first.l4_offset;
    const std::size_t l4_size = group.first.header_size - group.first.l4_offset + group.payload;
    const bool v4 = group.first.family == Family::kV4;
    if (v4) {
      store_be16(ip + 2, static_cast<std::uint16_t>(kIpv4HeaderSize + l4_size));
      store_be16(ip + 10, 0);
      store_be16(ip + 10, checksum_finish(checksum_ipv4_header(ip)));
    } else {
      store_be16(ip + 4, static_cast<std::uint16_t>(l4_size));
    }
    const std::uint64_t sum =
        checksum_pseudo_header(ip, group.first.family, group.first.protocol, static_cast<std::uint32_t>(l4_size));
    if (group.first.protocol == kProtocolTcp) {
      if (group.push) l4[13] |= kTcpPsh;
      header.gso_type = v4 ? kGsoTcpV4 : kGsoTcpV6;
      header.csum_offset = 16;
    } else {
      store_be16(l4 + 4, static_cast<std::uint16_t>(l4_size));
      header.gso_type = kGsoUdpL4;
      header.csum_offset = 6;
    }
    store_be16(l4 + header.csum_offset, checksum_fold(sum));
    header.flags = kNeedsCsum;
    header.hdr_len = group.first.header_size;
    header.gso_size = group.first.payload;
    header.csum_start = group.first.l4_offset;
  }
};

GroMerger::GroMerger(Layer layer) : state_(std::make_unique<State>(layer)) {}
GroMerger::~GroMerger() = default;
GroMerger::GroMerger(GroMerger&&) noexcept = default;
GroMerger& GroMerger::operator=(GroMerger&&) noexcept = default;

void GroMerger::merge_udp(MergeUdp udp) {
  state_->udp = udp;
}

bool GroMerger::add(std::span<std::uint8_t> packet, std::uint64_t sum) {
  if (full()) return false;
  State& s = *state_;
  const std::uint16_t index = packet_count_++;
  s.packets[index] = packet;
  s.sums[index] = sum;
  s.next[index] = kNone;
  if (s.go_on(index)) return true;
  Segment segment;
  Flow* flow = nullptr;
  const Kind kind = parse(packet, s.layer, s.udp, segment);
  if (kind == Kind::kOdd) {
    for (std::size_t i = 0; i < s.flow_count; ++i) s.flows[s.used_slots[i]].group = kNone;
  }
  if (kind == Kind::kFlow) flow = s.find_flow(index, segment);
  const bool push = (segment.flags & kTcpPsh) != 0;
  if (flow != nullptr && flow->group != kNone) {
    Group& group = s.groups[flow->group];
    if (segment.mergeable && s.joins(group, index, segment)) {
      s.train.begin(flow, flow->group, group.first);
      s.append(*flow, index, segment.payload, push);
      return true;
    }
    flow->group = kNone;
  }
  Group& group = s.groups[group_count_];
  group = {.first = segment, .first_packet = index, .last_packet = index, .packets = 1};
  group.next_sequence = segment.sequence + segment.payload;
  group.payload = segment.payload;
  if (flow != nullptr && segment.mergeable && !push) flow->group = group_count_;
  ++group_count_;
  return true;
}

MergedFrame GroMerger::describe(std::size_t group_index) {
  State& s = *state_;
  const Group& group = s.groups[group_index];
  const auto first = s.packets[group.first_packet];
  MergedFrame frame{
      .header = {}, .parts = s.parts.data(), .part_count = 1, .bytes = first.size(), .packets = 1};
  s.parts[0] = {.iov_base = first.data(), .iov_len = first.size()};
  if (group.packets == 1) return frame;
  for (std::uint16_t i = s.next[group.first_packet]; i != kNone; i = s.next[i]) {
    const auto payload = s.packets[i].subspan(group.first.header_size);
    s.parts[frame.part_count++] = {.iov_base = payload.data(), .iov_len = payload.size()};
    frame.bytes += payload.size();
  }
  frame.packets = group.packets;
  s.rewrite_header(group, frame.header);
  return frame;
}

void GroMerger::clear() {
  State& s = *state_;
  for (std::size_t i = 0; i < s.flow_count; ++i) s.flows[s.used_slots[i]].tag = 0;
  s.flow_count = 0;
  s.train.flow = nullptr;
  packet_count_ = 0;
  group_count_ = 0;
}

}  // namespace greywire
