// What a data worker needs to know to forward: one immutable snapshot, published by the protocol thread and replaced
// as a whole. Allowed-IPs have a table of their own (router/allowed_ips), since they change far more often.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "router/allowed_ips/prefix_set.h"
#include "router/allowed_ips/route_target.h"
#include "router/base/ids.h"
#include "router/base/ip_address.h"
#include "router/base/spin_lock.h"
#include "router/forwarder/next_hop_group.h"
#include "router/forwarder/shared_parts.h"
#include "router/gre/segment.h"
#include "router/gre/sequence.h"
#include "router/gre/tunnel.h"
#include "router/packet/ip_header.h"
#include "router/packet/ip_reassembly.h"
#include "router/wireguard/peer_data.h"

namespace greywire {

inline constexpr LinkId kPlainLink{0};  // gw0

// Packets and bytes of the payload, counted once a batch. Any thread.
struct TrafficCounters {
  std::atomic<std::uint64_t> rx_packets{0}, rx_bytes{0}, tx_packets{0}, tx_bytes{0};

  void continue_from(const TrafficCounters& old) {
    rx_packets.store(old.rx_packets.load(std::memory_order_relaxed), std::memory_order_relaxed);
    rx_bytes.store(old.rx_bytes.load(std::memory_order_relaxed), std::memory_order_relaxed);
    tx_packets.store(old.tx_packets.load(std::memory_order_relaxed), std::memory_order_relaxed);
    tx_bytes.store(old.tx_bytes.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
};

// One GRE or GRETAP tunnel. The configuration never changes; a changed tunnel is a new entry.
struct TunnelEntry {
  TunnelEntry(TunnelId tunnel_id, LinkId tunnel_link, PeerId tunnel_peer, const gre::TunnelConfig& tunnel_config)
      : id(tunnel_id),
        link(tunnel_link),
        peer(tunnel_peer),
        config(tunnel_config),
        key(gre::demux_key(tunnel_config)),
        plain_arrival(tunnel_config),
        encapsulation(tunnel_config),
        limited(tunnel_config, true) {}
  const TunnelId id;
  const LinkId link;
  const PeerId peer;
  const gre::TunnelConfig config;
  const gre::DemuxKey key;
  const gre::PlainArrival plain_arrival;
  const gre::Encapsulation encapsulation;
  const gre::Encapsulation limited;  // for packets that bring a Tunnel Encapsulation Limit
  gre::SegmentPort segment_port = 0;  // not 0: a peer of the L2 segment that the link is
  bool clamp_mss = false;
  bool tell_too_big = false;  // GRETAP: what must not be fragmented and does not fit is sent back, not fragmented inside
  // Sources that may come out of an L3 tunnel: the peer's ceiling and the link's own subnets. Not for GRETAP.
  bool check_sources = true;
  PrefixSet sources;

  mutable std::atomic<std::uint32_t> next_id{0};  // identification of delivery packets
  mutable gre::SequenceOut sequence_out;
  mutable gre::SequenceIn sequence_in;
  mutable TrafficCounters traffic;

  // Takes over what `old` counted: this entry is to stand in its place.
  void continue_from(const TunnelEntry& old) const {
    next_id.store(old.next_id.load(std::memory_order_relaxed), std::memory_order_relaxed);
    sequence_out.continue_from(old.sequence_out);
    sequence_in.continue_from(old.sequence_in);
    traffic.continue_from(old.traffic);
  }
};

// Fragments of delivery packets from one peer. Workers share it; the lock is held for one fragment.
struct PeerReassembly {
  SpinLock lock;
  IpReassembly fragments;
};

struct PeerEntry {
  wireguard::PeerData* shared = nullptr;
  // WireGuard's own rule: a source must be in the allowed-IPs that lead to this peer. Otherwise it must be in
  // `sources` (ceiling, static allowed-IPs), and nobody else's overlay address.
  bool strict = true;
  PrefixSet sources;
  bool clamp_mss = false;
  OuterDscp dscp = OuterDscp::kZero;
  // Where ICMP errors about this peer's packets come from: a TUN drops what claims to be from our own address.
  std::optional<IpAddress> overlay_v4;
  std::optional<IpAddress> overlay_v6;
  std::vector<std::shared_ptr<const TunnelEntry>> tunnels;
  std::shared_ptr<PeerReassembly> reassembly;
};

// One TAP over many GRETAP tunnels, one a peer: port i is tunnels[i - 1].
struct SegmentEntry {
  std::vector<std::shared_ptr<const TunnelEntry>> tunnels;
  std::shared_ptr<gre::Segment> state;  // shared with the snapshots before and after
};

struct LinkEntry {
  bool present = false;
  std::shared_ptr<const TunnelEntry> tunnel;    // none, and no segment: plain WireGuard, the allowed-IPs pick the peer
  std::shared_ptr<const SegmentEntry> segment;
};

struct ForwardingTables {
  std::vector<LinkEntry> links;                          // by LinkId
  SharedVector<std::shared_ptr<const PeerEntry>> peers;  // by PeerId; null where there is none
  SharedMap<IpAddress, PeerId> overlay_owners;           // each peer's overlay addresses
  SharedMap<NextHopGroupId, std::shared_ptr<const NextHopGroup>> groups;  // of several peers
  std::vector<IpAddress> own_overlay;                    // ours: probes to them are answered by the engine
  std::shared_ptr<const PrefixSet> own_networks;         // behind this site: never a source of what a peer sends; may be null
  // To know our own outer datagrams: our port, and where peers are (address and port) with how many are there. A peer that
  // roams is here a moment later.
  std::uint16_t listen_port = 0;
  SharedMap<Endpoint, std::uint32_t> endpoints;

  // Null where the link is no segment.
  const SegmentEntry* segment(LinkId link) const {
    return link.value < links.size() ? links[link.value].segment.get() : nullptr;
  }
  // Whom a packet goes to; null where nobody. The packet decides only where several peers share the prefix.
  const PeerEntry* peer(RouteTarget route, std::span<const std::uint8_t> packet, const IpPacketInfo& info) const {
    if (route == kNone || route == kDiscard) return nullptr;
    if (!route.group().is_shared()) return peer(PeerId{route.value});
    const auto* group = groups.find(route.group());
    return group == nullptr ? nullptr : peer((*group)->pick(flow_hash(packet, info)));
  }
  // WireGuard's own rule: does the route of a source lead to this peer?
  bool leads_to(RouteTarget route, PeerId id) const {
    if (route == kNone || route == kDiscard) return false;
    if (!route.group().is_shared()) return route.value == id.value;
    const auto* group = groups.find(route.group());
    return group != nullptr && (*group)->contains(id);
  }
  const PeerEntry* peer(PeerId id) const {
    const auto* entry = peers.find(id.value);
    return entry == nullptr ? nullptr : entry->get();
  }
};

}  // namespace greywire
