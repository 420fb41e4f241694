// Merges in-order packets of a TCP or UDP flow into super-frames for a TUN or TAP device with IFF_VNET_HDR, as the
// kernel's own GRO does, without copying payloads: a super-frame is the first packet with its header
// rewritten, followed by slices of the others. Cutting it again gives the same packets (but for IPv4
// identifications under DF, which mean nothing: RFC 6864 §4).
//
// What joins: IPv4 without options or IPv6 without extension headers, no fragment; some payload; the same DF, TTL and
// DS field (IPv6: hop limit, traffic class, flow label) and L2 header; IPv4 identifications that count up, or DF;
// equal payload sizes but for a shorter last one; at most 65535 bytes; and a right checksum, each verified.
// TCP: only ACK set (PSH too, which ends the group), the same acknowledgment, window and options, contiguous sequence
// numbers. UDP, where the device takes it (TUN_F_USO4, TUN_F_USO6): a checksum, and at most 64 datagrams.
// All else passes as it is, and nothing of a flow overtakes what came before it in that flow.
//
// One a worker. No allocation after construction.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "router/base/ip_address.h"
#include "router/packet/virtio_net.h"

namespace greywire {

enum class Layer : std::uint8_t { kL3, kEthernet };
enum class MergeUdp : bool { kNo, kYes };

struct MergedFrame {
  VirtioNetHeader header;  // all zero for a packet that passes alone
  const iovec* parts;      // valid during the call only
  std::size_t part_count;
  std::size_t bytes;  // of all parts
  std::size_t packets;
};

class GroMerger {
 public:
  static constexpr std::size_t kMaxPackets = 256;
  static constexpr std::size_t kMaxFlows = 64;  // open at a time; packets of further flows pass alone
  static constexpr std::size_t kMaxDatagrams = 64;  // of a UDP super-frame: the kernel's own limit (UDP_MAX_SEGMENTS)

  explicit GroMerger(Layer layer);  // merges no UDP yet
  ~GroMerger();
  GroMerger(GroMerger&&) noexcept;
  GroMerger& operator=(GroMerger&&) noexcept;

  // Takes a packet whose memory stays valid until flush; the first of a group has its header rewritten there.
  // Padding behind an IP packet must be cut off already. `sum` is the running sum (checksum.h) of the packet where somebody has it,
  // else 0. False when kMaxPackets are waiting: flush first.
  bool add(std::span<std::uint8_t> packet, std::uint64_t sum = 0);

  // Whether UDP is merged from now on. Only while empty.
  void merge_udp(MergeUdp udp);

  bool full() const { return packet_count_ == kMaxPackets; }
  bool empty() const { return packet_count_ == 0; }

  // Calls sink(const MergedFrame&) for each frame, in the order of their first packets, and starts anew.
  template <class Sink>
  void flush(Sink&& sink) {
    for (std::size_t i = 0; i < group_count_; ++i) sink(describe(i));
    clear();
  }

 private:
  struct State;
  MergedFrame describe(std::size_t group_index);
  void clear();

  std::uint16_t packet_count_ = 0;
  std::uint16_t group_count_ = 0;
  std::unique_ptr<State> state_;
};

}  // namespace greywire
