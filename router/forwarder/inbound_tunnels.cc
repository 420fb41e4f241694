// The way in through tunnels: reassembly of delivery packets, GRE demultiplexing, what a tunnel demands of them.
#include <algorithm>
#include <cstring>

#include "router/forwarder/inbound.h"
#include "router/gre/keepalive.h"
#include "router/packet/ethernet.h"
#include "router/packet/tcp_mss.h"
#include "router/pmtu/overhead.h"

namespace greywire {

bool Inbound::deliver_gre(const PeerEntry& peer, std::span<std::uint8_t>& packet, IpPacketInfo& info) {
  // Most packets, however many tunnels there are.
  if (info.family == Family::kV4 ? info.protocol != kProtocolGre : info.protocol == kProtocolTcp || info.protocol == kProtocolUdp) {
    return false;
  }
  for (const auto& tunnel : peer.tunnels) {
    if (const std::size_t headers = tunnel->plain_arrival.header_size(packet); headers != 0) {
      deliver_payload(peer, *tunnel, packet.subspan(headers), info.ds_field);
      return true;
    }
  }
  if (info.protocol != kProtocolGre && !gre::is_gre(packet)) return false;
  // Only pairs of addresses with a tunnel are ours; kernel GRE over gw0 goes on working.
  const IpAddress from = source(packet, info), to = destination(packet, info);
  const bool configured = std::any_of(peer.tunnels.begin(), peer.tunnels.end(), [&](const auto& tunnel) {
    return tunnel->config.remote == from && tunnel->config.local == to;
  });
  if (!configured) return false;
  if (info.is_fragment) {
    packet = reassemble(peer, packet);
    if (packet.empty()) return true;
    if (!parse_ip(packet, info) || !gre::is_gre(packet)) return false;
  }
  gre::Decapsulated gre;
  if (const auto drop = gre::decapsulate(packet, gre)) {
    drops_.count(*drop);
    return true;
  }
  const gre::DemuxKey key = gre::demux_key(gre);
  for (const auto& tunnel : peer.tunnels) {
    if (tunnel->key == key) {
      if (take_gre_options(*tunnel, gre.header)) deliver_payload(peer, *tunnel, gre.payload, gre.ds_field);
      return true;
    }
  }
  const bool same_kind = std::any_of(peer.tunnels.begin(), peer.tunnels.end(), [&](const auto& tunnel) {
    return tunnel->config.ethernet == key.ethernet && tunnel->config.remote == from && tunnel->config.local == to;
  });
  drops_.count(!same_kind ? DropReason::kGreBadProtocol
               : key.key  ? DropReason::kGreWrongKey
                          : DropReason::kGreMissingKey);
  return true;
}

// What the tunnel demands of a header beyond its key. A checksum that is there was verified, asked for or not.
bool Inbound::take_gre_options(const TunnelEntry& tunnel, const gre::Header& header) {
  if (tunnel.config.checksum && !header.checksum) return drops_.count(DropReason::kGreMissingChecksum), false;
  if (!tunnel.config.sequence) return true;
  if (!header.sequence) return drops_.count(DropReason::kGreMissingSequence), false;
  if (!tunnel.sequence_in.accept(*header.sequence)) return drops_.count(DropReason::kGreOutOfOrder), false;
  return true;
}

// What came out of a delivery packet with this DS field.
void Inbound::deliver_payload(const PeerEntry& peer, const TunnelEntry& tunnel, std::span<std::uint8_t> payload,
                              std::uint8_t ds_field) {
  if (const auto answer = gre::keepalive_answer(tunnel.config, payload); !answer.empty()) {
    return outbound_.packet(peer, answer, now_);
  }
  if (tunnel.config.ethernet) {
    if (payload.size() < pmtu::kEthernetHeader) return drops_.count(DropReason::kGreBadHeader);
    IpPacketInfo info;
    const std::size_t ip = ip_offset(payload);
    if (ip != 0 && parse_ip(payload.subspan(ip), info) && !take_mark(payload.subspan(ip), info, ds_field)) {
      return drops_.count(DropReason::kCongestion);
    }
  } else {
    IpPacketInfo info;
    if (!parse_ip(payload, info)) return drops_.count(DropReason::kBadInner);
    payload = payload.first(info.total_size);
    if (!take_mark(payload, info, ds_field)) return drops_.count(DropReason::kCongestion);
    if (tunnel.check_sources &&
        !source_allowed(peer, source_bytes(payload, info), info.family, tunnel.sources, false)) {
      return drops_.count(DropReason::kSourceNotAllowed);
    }
  }
  const std::size_t l3 = tunnel.config.ethernet ? ip_offset(payload) : 0;
  if (tunnel.clamp_mss && (!tunnel.config.ethernet || l3 != 0)) {
    const auto packet = payload.subspan(l3);
    IpPacketInfo info;
    if (parse_ip(packet, info) && info.protocol == kProtocolTcp) {
      const Mtu inner{peer.shared->inner_mtu.load(std::memory_order_relaxed)};
      const auto overhead = static_cast<std::uint32_t>(tunnel.encapsulation.header_size() + l3);
      clamp(packet, pmtu::less(inner, overhead), info.family);
    }
  }
  count_received(tunnel, payload.size());
  if (tunnel.segment_port != 0) return deliver_to_segment(tunnel, payload);
  hand_to_link(tunnel.link, tunnel.config.ethernet ? Layer::kEthernet : Layer::kL3, payload);
}

void Inbound::count_received(const TunnelEntry& tunnel, std::size_t bytes) {
  if (received_.tunnel != &tunnel) {
    flush_received();
    received_.tunnel = &tunnel;
  }
  ++received_.packets;
  received_.bytes += bytes;
}

void Inbound::flush_received() {
  if (received_.tunnel == nullptr) return;
  received_.tunnel->traffic.rx_packets.fetch_add(received_.packets, std::memory_order_relaxed);
  received_.tunnel->traffic.rx_bytes.fetch_add(received_.bytes, std::memory_order_relaxed);
  received_ = {};
}

// A frame from one peer of a segment: to the TAP, or to other peers where split horizon lets it.
void Inbound::deliver_to_segment(const TunnelEntry& tunnel, std::span<std::uint8_t> frame) {
  const SegmentEntry* segment = tables_->segment(tunnel.link);
  if (segment == nullptr) return drops_.count(DropReason::kPeerDisabled);
  gre::Segment& state = *segment->state;
  outbound_.send_loop_probe(*tables_, tunnel.link, now_);
  const gre::SegmentPort in = tunnel.segment_port;
  const gre::SegmentVerdict verdict = state.receive(in, frame, 1, now_);
  if (verdict.action == gre::SegmentVerdict::Action::kDrop) return drops_.count(verdict.reason);
  if (verdict.action == gre::SegmentVerdict::Action::kSend) {
    if (verdict.to != 0) return outbound_.segment_frame(*tables_, *segment, verdict.to, frame, now_);
    return hand_to_link(tunnel.link, Layer::kEthernet, frame);
  }
  text_.sum = 0;  // a port's MSS may be clamped on the way out
  for (std::size_t port = 1; port < state.ports(); ++port) {
    const auto to = static_cast<gre::SegmentPort>(port);
    if (state.floods(in, to, now_)) outbound_.segment_frame(*tables_, *segment, to, frame, now_);
  }
  if (state.floods(in, 0, now_)) hand_to_link(tunnel.link, Layer::kEthernet, frame);
}

std::span<std::uint8_t> Inbound::reassemble(const PeerEntry& peer, std::span<std::uint8_t> fragment) {
  if (!peer.reassembly) {
    drops_.count(DropReason::kFragmentMemory);
    return {};
  }
  std::lock_guard guard(peer.reassembly->lock);
  const ReassemblyResult result = peer.reassembly->fragments.add(fragment, now_);
  result.count(drops_);
  if (result.packet.empty()) return {};
  // The packet must stay until the batch is flushed, the reassembly's own memory does not.
  if (rebuilt_used_ + result.packet.size() > kRebuilt) {
    flush_links();
    rebuilt_used_ = 0;
  }
  std::uint8_t* copy = rebuilt_.get() + rebuilt_used_;
  std::memcpy(copy, result.packet.data(), result.packet.size());
  rebuilt_used_ += result.packet.size();
  return {copy, result.packet.size()};
}

}  // namespace greywire
