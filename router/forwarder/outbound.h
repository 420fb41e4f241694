// The way out: frames from TUN/TAP devices -> GRE -> allowed-IPs -> sealed datagrams. One a worker; pure but for the
// sink. Frames are added one by one and leave together: build writes headers where they will be sealed, seal runs the AEAD over
// the batch, then one send. A long payload stays in its frame until it is sealed, where the AEAD can take it from there;
// else it is copied behind its headers.
//
// Neither allocates nor throws nor locks per packet once a session exists; packets that wait for one are copied.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "router/allowed_ips/allowed_ips_table.h"
#include "router/base/drop_reason.h"
#include "router/crypto/aead.h"
#include "router/forwarder/capture_tap.h"
#include "router/forwarder/path_counters.h"
#include "router/forwarder/sink.h"
#include "router/forwarder/tables.h"
#include "router/packet/gso_split.h"
#include "router/packet/ip_header.h"
#include "router/packet/virtio_net.h"

namespace greywire {

class Outbound {
 public:
  Outbound(Aead& aead, ForwarderSink& sink, DropCounters& drops);

  void set_tap(CaptureTap* tap) { tap_ = tap; }  // none: nothing is ever captured
  // Begins a batch: looks whether somebody captures.
  void begin(const ForwardingTables& tables) {
    capturing_ = tap_ == nullptr ? 0 : tap_->wanted();
    own_port_ = tables.listen_port;
  }
  // A frame of `link`. It may be changed in place (checksum, MSS) and stays valid until flush().
  void frame(const ForwardingTables& tables, const AllowedIpsRoot& routes, LinkId link, const VirtioNetHeader& header,
             std::span<std::uint8_t> frame, TimePoint now);
  // Sends the segment's loop probe where one is due.
  void send_loop_probe(const ForwardingTables& tables, LinkId link, TimePoint now);
  // A frame for one peer of a segment: one of ours, or what came from another peer.
  void segment_frame(const ForwardingTables& tables, const SegmentEntry& segment, gre::SegmentPort port,
                     std::span<std::uint8_t> frame, TimePoint now);
  // An IP packet of our own to a peer, as the answer to a probe is.
  void packet(const PeerEntry& peer, std::span<const std::uint8_t> packet, TimePoint now);

  // Seals and sends what was added. To be called before the worker looks for other work.
  void flush(TimePoint now);
  // True when a further super-frame should wait for a flush.
  bool nearly_full() const { return used_ > kFlushAbove; }

  PathCounters& path_counters() { return path_counters_; }
  const PathCounters& path_counters() const { return path_counters_; }

 private:
  struct Target;
  struct Train {
    wireguard::PeerData* peer;
    wireguard::Session* session;
    std::uint32_t offset;
    std::uint32_t size;
    std::uint16_t segment_size;
    std::uint16_t count;
    std::uint8_t ds_field;
    bool closed;  // ends in a shorter datagram
  };
  // A datagram's plaintext that is not all in the arena: SealJob's words for where the rest is.
  struct Piece {
    const std::uint8_t* in = nullptr;  // none: all of it is in the arena
    std::uint16_t head = 0;
    std::uint16_t padding = 0;
  };
  // What of a packet lies in the frame that it came in: all but its first `header` bytes, byte i at bytes + i until flush().
  struct Rest {
    const std::uint8_t* bytes = nullptr;  // none: nothing of it
    std::size_t header = 0;

    Rest behind(std::size_t more) const { return bytes == nullptr ? Rest{} : Rest{bytes - more, header + more}; }
  };

  static constexpr std::size_t kArena = 384 * 1024;
  static constexpr std::size_t kFlushAbove = 160 * 1024;
  static constexpr std::size_t kMaxTrains = 64;
  static constexpr std::size_t kMaxJobs = 1024;
  static constexpr std::size_t kMaxTrainBytes = 65000;
  static constexpr std::size_t kScratch = 65536 + 256;
  static constexpr std::size_t kWorthGathering = 256;  // bytes; fewer are copied
  static constexpr unsigned kIcmpPerSecond = 100;

  void segment_frame_from_tap(const ForwardingTables& tables, LinkId link, const VirtioNetHeader& header,
                              std::span<std::uint8_t> frame, TimePoint now);
  void tunnel_frame(const ForwardingTables& tables, const TunnelEntry& tunnel, const VirtioNetHeader& header,
                    std::span<std::uint8_t> frame, TimePoint now, bool stays);
  bool find_target(const ForwardingTables& tables, const AllowedIpsRoot& routes, Target& target);
  bool find_tunnel_target(const ForwardingTables& tables, Target& target);
  bool take_nesting(Target& target, std::span<const std::uint8_t> packet);
  void resolve_session(Target& target, TimePoint now);
  void clamp_mss(const Target& target, const VirtioNetHeader& header, std::span<std::uint8_t> frame);
  void single(Target& target, const VirtioNetHeader& header, std::span<std::uint8_t> frame, TimePoint now);
  void split(Target& target, const VirtioNetHeader& header, std::span<std::uint8_t> frame, TimePoint now);
  // Whether the AEAD takes a train of such packets from where they are. What is captured must be in one piece.
  bool gathers(std::size_t packets, std::size_t size) const { return capturing_ == 0 && aead_.gathers(packets, size); }
  // write(out, n) puts the first `n` bytes of the packet at `out`: all, or where there is a rest, its headers and some more.
  template <class Writer>
  void emit(Target& target, std::size_t size, TimePoint now, Writer&& write, Rest rest);
  template <class Writer>
  void emit_payload(Target& target, std::size_t payload, std::uint32_t id, TimePoint now, Writer&& write, Rest rest);
  template <class Writer>
  void emit_fragments(Target& target, std::size_t size, std::uint32_t id, TimePoint now, Writer&& write);
  std::uint32_t claim_numbers(Target& target, std::size_t packets);
  void stage(Target& target, std::span<const std::uint8_t> packet, TimePoint now);
  std::uint8_t* slot(Target& target, std::size_t padded, TimePoint now);
  // Whether a payload packet of this size must be sent back to its sender instead of being fragmented.
  bool too_big(const Target& target, std::size_t payload) const;
  bool bridged_too_big(const Target& target, std::size_t payload) const;
  void refuse(const Target& target, DropReason reason);  // with an ICMP error to the sender
  std::size_t write_refusal(const Target& target, DropReason reason, std::span<std::uint8_t> out) const;
  std::size_t write_bridged_too_big(const Target& target, std::span<std::uint8_t> out) const;
  bool tell(LinkId link, std::span<std::uint8_t> packet);  // a packet of our own to the host
  void seal(std::span<Train> trains, const Piece* pieces, TimePoint now);  // of one session
  bool add_jobs(const Train& train, const Piece* pieces, TimePoint now);
  void capture_plain(const wireguard::PeerData& peer, TimePoint now);
  void capture_sealed(const Train& train, TimePoint now);
  bool may_send_icmp(TimePoint now);

  Aead& aead_;
  ForwarderSink& sink_;
  DropCounters& drops_;
  PathCounters path_counters_;
  CaptureTap* tap_ = nullptr;
  std::uint64_t capturing_ = 0;  // CaptureTap::wanted, as the batch began
  std::uint16_t own_port_ = 0;
  std::uint32_t next_fragment_id_;  // of IPv6 packets on links below 1280 bytes
  std::unique_ptr<std::uint8_t[]> arena_;
  std::unique_ptr<std::uint8_t[]> scratch_;
  std::size_t used_ = 0;
  std::vector<Train> trains_;
  std::vector<Piece> pieces_;  // of each datagram in trains_
  std::vector<SealJob> jobs_;
  std::vector<SealedTrain> sealed_;
  TimePoint icmp_window_{};  // ICMP errors are limited to kIcmpPerSecond
  unsigned icmp_sent_ = 0;
};

}  // namespace greywire
