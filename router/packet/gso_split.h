// Cuts a super-frame of a TUN or TAP device into packets that stand for themselves, and completes the
// checksum of a frame that is none. Two steps: a plan from the headers once a frame, then any segment in any
// order into memory of the caller, so that a segment is written where it will be sealed: with its payload, summed while it is
// copied, or without.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "router/base/ip_address.h"
#include "router/packet/virtio_net.h"

namespace greywire {

struct GsoPlan {
  std::size_t segments = 0;       // at least 1
  std::size_t header_size = 0;    // L2 to L4 with options, repeated before each segment
  std::size_t payload_size = 0;   // of each segment but the last
  std::size_t total_payload = 0;  // of the whole frame
  std::size_t l3_offset = 0;      // of the IP header; 0 on a TUN, 14 and 4 a VLAN tag on a TAP
  std::size_t l4_offset = 0;      // of the TCP or UDP header
  Family family = Family::kV4;
  bool udp = false;

  // What the segments share, summed once. See gso_split.cc.
  std::uint64_t ip_sum = 0;
  std::uint64_t transport_sum = 0;
  std::uint32_t first_sequence = 0;
  std::uint16_t first_id = 0;
  std::uint8_t tcp_flags = 0;

  std::size_t payload_of(std::size_t i) const {
    return i + 1 < segments ? payload_size : total_payload - payload_size * (segments - 1);
  }
  // Bytes that write_gso_segment writes for segment `i` < segments, headers included.
  std::size_t segment_size(std::size_t i) const { return header_size + payload_of(i); }
  // ... without the L2 header.
  std::size_t packet_size(std::size_t i) const { return segment_size(i) - l3_offset; }
};

// `l3_offset` is 0 for a TUN; on a TAP 14, and VLAN tags (802.1Q, 802.1ad) are skipped here. The lengths come
// from the frame's own headers, never from `hdr_len`. False if the frame is no TCP or UDP of the type that
// `header` names, is a fragment, has IPv6 extension headers or a length that does not hold: count it as
// kBadOffload.
bool plan_gso(const VirtioNetHeader& header, std::span<const std::uint8_t> frame, std::size_t l3_offset,
              GsoPlan& plan);

// Writes segment `index` < plan.segments of the same frame to `dst`, which has room for segment_size(index)
// bytes and does not overlap the frame. Returns that size. Done to each: IPv4 total length, identification
// and checksum; IPv6 payload length; TCP sequence number, FIN and PSH in the last only, CWR in the first
// only, checksum; UDP length, checksum.
//
// With `limit` no more than 63 bytes behind so many are written, for whoever takes the payload from the frame itself: byte i of
// the segment is the frame's byte i + index * payload_size. The headers are the same. `limit` is at least header_size, and either
// 64 bytes less than the segment's size or not less than that at all.
std::size_t write_gso_segment(const GsoPlan& plan, std::span<const std::uint8_t> frame, std::size_t index,
                              std::uint8_t* dst, std::size_t limit = SIZE_MAX);

// The sum (checksum.h) of segment `index` as write_gso_segment wrote it at `segment`, for a checksum around it. From the
// headers alone: with its own checksum done, a TCP or UDP packet's sum is the complement of its pseudo-header's.
std::uint64_t gso_segment_sum(const GsoPlan& plan, std::size_t index, const std::uint8_t* segment);

// Completes the checksum in place, for a frame with kGsoNone. True at once without kNeedsCsum; false when
// start and offset do not lie in the frame.
bool complete_checksum(const VirtioNetHeader& header, std::span<std::uint8_t> frame);

}  // namespace greywire
