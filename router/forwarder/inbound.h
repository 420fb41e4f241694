// The way in: datagrams -> open -> replay and source check -> GRE demultiplexing -> merged frames for the devices. One a
// worker; pure but for the sink. Three stages over a batch: collect finds sessions, open runs the AEAD, commit judges
// in the order of arrival, so that the AEAD can be shared out without changing what a packet's fate is.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "router/allowed_ips/allowed_ips_table.h"
#include "router/base/drop_reason.h"
#include "router/crypto/aead.h"
#include "router/forwarder/capture_tap.h"
#include "router/forwarder/outbound.h"
#include "router/forwarder/sink.h"
#include "router/forwarder/tables.h"
#include "router/packet/gro_merge.h"
#include "router/packet/ip_header.h"
#include "router/wireguard/index_table.h"

namespace greywire {

class Inbound {
 public:
  // `probe_nonce` marks our own probes. `outbound` answers those of others.
  Inbound(Aead& aead, ForwarderSink& sink, Outbound& outbound, DropCounters& drops, std::uint64_t probe_nonce);
  ~Inbound();
  void set_tap(CaptureTap* tap) { tap_ = tap; }  // none: nothing is ever captured

  // Begins a batch. What is handed in stays valid until finish().
  void begin(const ForwardingTables& tables, const AllowedIpsRoot& routes, const wireguard::IndexTable& index,
             TimePoint now);
  // One message of the socket: datagrams of `segment_size` bytes back to back (0: a single one), opened in place.
  void message(std::span<std::uint8_t> bytes, std::size_t segment_size, const wireguard::Route& from,
               std::uint8_t ds_field);
  // Opens, judges and delivers what was collected, and flushes the devices' super-frames.
  void finish();

 private:
  struct Pending {
    wireguard::Session* session;
    std::uint16_t from;  // which of froms_
    std::uint8_t ds_field;
  };
  // The plaintext that is delivered, with its running sum (checksum.h) while nothing in it was changed, else 0.
  struct Text {
    const std::uint8_t* bytes = nullptr;
    std::size_t size = 0;
    std::uint64_t sum = 0;
  };
  // What a tunnel has got of the run that is delivered, and its counters have not.
  struct Received {
    const TunnelEntry* tunnel = nullptr;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
  };
  // A flood of such datagrams costs the protocol thread a look at its peers this often, and no more.
  static constexpr Duration kUnknownSessionInterval = std::chrono::milliseconds(20);
  static constexpr std::size_t kMaxJobs = 1024;
  static constexpr std::size_t kMaxFroms = 128;
  static constexpr std::size_t kRebuilt = 256 * 1024;  // reassembled packets of one batch

  void datagram(std::span<std::uint8_t> bytes, const wireguard::Route& from, std::uint8_t ds_field);
  void open_and_commit();
  void commit(wireguard::Session& session, std::size_t first, std::size_t last);
  void deliver(const PeerEntry& peer, std::span<std::uint8_t> packet, std::uint8_t outer_ds);
  bool source_allowed(const PeerEntry& peer, const std::uint8_t* source, Family family, const PrefixSet& set,
                      bool may_be_strict);
  // True when the packet belonged to one of the peer's tunnels, delivered or dropped. Else `packet` may have become the
  // whole one that a fragment completed.
  bool deliver_gre(const PeerEntry& peer, std::span<std::uint8_t>& packet, IpPacketInfo& info);
  bool take_gre_options(const TunnelEntry& tunnel, const gre::Header& header);
  void deliver_payload(const PeerEntry& peer, const TunnelEntry& tunnel, std::span<std::uint8_t> payload, std::uint8_t ds_field);
  void count_received(const TunnelEntry& tunnel, std::size_t bytes);
  void flush_received();
  void deliver_to_segment(const TunnelEntry& tunnel, std::span<std::uint8_t> frame);
  bool take_mark(std::span<std::uint8_t> packet, IpPacketInfo& info, std::uint8_t outer_ds);
  std::uint64_t sum_of(std::span<const std::uint8_t> packet) const;
  void clamp(std::span<std::uint8_t> packet, Mtu mtu, Family family);
  bool take_probe(const PeerEntry& peer, std::span<std::uint8_t> packet, const IpPacketInfo& info);
  std::span<std::uint8_t> reassemble(const PeerEntry& peer, std::span<std::uint8_t> fragment);
  void hand_to_link(LinkId link, Layer layer, std::span<std::uint8_t> packet);
  void capture_run(PeerId peer, std::size_t first, std::size_t last);
  void flush_links();

  Aead& aead_;
  ForwarderSink& sink_;
  Outbound& outbound_;
  DropCounters& drops_;
  const std::uint64_t probe_nonce_;
  CaptureTap* tap_ = nullptr;
  std::uint64_t capturing_ = 0;  // CaptureTap::wanted, as the batch began

  const ForwardingTables* tables_ = nullptr;
  const AllowedIpsRoot* routes_ = nullptr;
  const wireguard::IndexTable* index_ = nullptr;
  TimePoint now_;
  TimePoint next_unknown_session_{};

  std::vector<OpenJob> jobs_;
  std::vector<Pending> pending_;
  std::vector<wireguard::Route> froms_;
  std::vector<std::unique_ptr<GroMerger>> mergers_;  // by LinkId
  std::vector<LinkId> dirty_;
  Text text_;
  Received received_;
  bool merging_ = false;  // as it was last: then sums are worth their time
  std::unique_ptr<std::uint8_t[]> rebuilt_;
  std::size_t rebuilt_used_ = 0;

  // The last source that passed: a train repeats it.
  const PeerEntry* passed_peer_ = nullptr;
  const PrefixSet* passed_set_ = nullptr;
  Family passed_family_ = Family::kV4;
  std::array<std::uint8_t, 16> passed_source_{};
};

}  // namespace greywire
