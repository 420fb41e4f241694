// The way out through a tunnel: which delivery and GRE header a frame gets.
#include <utility>

#include "router/forwarder/outbound_target.h"
#include "router/packet/ethernet.h"
#include "router/packet/icmp.h"
#include "router/pmtu/overhead.h"

namespace greywire {
namespace {

constexpr std::uint8_t kHopLimitWithoutIp = 64;  // where the TTL is to be inherited and there is none

std::uint8_t delivery_ds_field(const gre::TunnelConfig& config, std::uint8_t inner, OuterDscp dscp) {
  switch (config.tos_policy) {
    case gre::TosPolicy::kInherit:
      return inner;
    case gre::TosPolicy::kFixed:
      return static_cast<std::uint8_t>(config.tos | ecn_encapsulate(inner));
    case gre::TosPolicy::kPeer:
      break;
  }
  return outer_ds_field(inner, dscp);
}

// Of the datagram around all. Routing traffic keeps its DSCP whatever the delivery packet shows, but with sequence
// numbers: there the peer would drop all that it overtook on the way.
std::uint8_t datagram_ds_field(const gre::TunnelConfig& config, std::uint8_t inner, std::uint8_t delivery, OuterDscp dscp) {
  if (!is_routing_traffic(inner)) return outer_ds_field(delivery, dscp);
  if (config.sequence) return outer_ds_field(delivery, dscp == OuterDscp::kCopy ? dscp : OuterDscp::kZero);
  return outer_ds_field(inner, dscp);
}

// About how many frames a super-frame will be.
std::uint32_t frames_in(const VirtioNetHeader& header, std::size_t size) {
  if (header.gso_type == kGsoNone || header.gso_size == 0) return 1;
  return static_cast<std::uint32_t>(size / header.gso_size + 1);
}

}  // namespace

// With target.tunnel set; `target.packet` is still the whole frame on a TAP.
bool Outbound::find_tunnel_target(const ForwardingTables& tables, Target& target) {
  const TunnelEntry& tunnel = *target.tunnel;
  const gre::TunnelConfig& config = tunnel.config;
  target.peer = tables.peer(tunnel.peer);
  if (target.peer == nullptr) return drops_.count(DropReason::kPeerDisabled), false;
  bool has_ip = true;
  std::span<const std::uint8_t> packet = target.packet;
  if (config.ethernet) {
    const std::size_t offset = ip_offset(packet);
    packet = packet.subspan(offset);
    has_ip = offset != 0 && parse_ip(packet, target.info);
    target.gre_protocol = gre::kProtocolEthernet;
  } else {
    target.gre_protocol = target.info.family == Family::kV4 ? gre::kProtocolIpv4 : gre::kProtocolIpv6;
  }
  target.encapsulation = &tunnel.encapsulation;
  target.delivery.encap_limit = config.encap_limit.value_or(0);
  if (has_ip && !take_nesting(target, packet)) return false;

  const std::uint8_t inner_ds = has_ip ? target.info.ds_field : std::uint8_t{0};
  target.delivery.ds_field = delivery_ds_field(config, inner_ds, target.peer->dscp);
  target.delivery.ttl = has_ip ? target.info.hop_limit : kHopLimitWithoutIp;
  target.delivery.dont_fragment = has_ip && target.info.family == Family::kV4 && target.info.dont_fragment;
  target.delivery_df = config.df == gre::DfPolicy::kSet ||
                       (config.df == gre::DfPolicy::kInherit && target.delivery.dont_fragment);
  const std::uint8_t shown = !has_ip && is_llc(target.packet) ? kCs6 : inner_ds;
  target.ds_field = datagram_ds_field(config, shown, target.delivery.ds_field, target.peer->dscp);
  target.inner_mtu = target.peer->shared->inner_mtu.load(std::memory_order_relaxed);
  const auto header = static_cast<std::uint32_t>(target.encapsulation->header_size());
  target.payload_mtu = pmtu::less(Mtu{target.inner_mtu}, header);
  if (config.ethernet) target.ethernet = std::exchange(target.packet, {});
  return true;
}

// GRE in GRE: refused where it is a circle, and counted down where the packet says how often it may be wrapped.
bool Outbound::take_nesting(Target& target, std::span<const std::uint8_t> packet) {
  const gre::TunnelConfig& config = target.tunnel->config;
  const bool may_be_gre = target.info.protocol == kProtocolGre || target.info.protocol == kProtocolDestinationOptions;
  if (!may_be_gre) return true;
  if (gre::is_recursion(config, packet)) return drops_.count(DropReason::kGreRecursion), false;
  if (config.local.is_v4()) return true;
  const auto inner = gre::inner_encap_limit(packet);
  if (!inner) return true;
  if (inner->limit == 0) {
    drops_.count(DropReason::kGreEncapLimit);
    if (config.ethernet || !may_send_icmp(target.now)) return false;
    std::uint8_t answer[1280];
    const IpAddress from = destination(packet, target.info);
    const std::size_t size = write_parameter_problem(answer, from, packet, inner->offset);
    if (size != 0) tell(target.link, {answer, size});
    return false;
  }
  target.encapsulation = &target.tunnel->limited;
  target.delivery.encap_limit = static_cast<std::uint8_t>(inner->limit - 1);
  return true;
}

// A frame that the TAP of a segment handed over: to the port of its destination, or to all.
void Outbound::segment_frame_from_tap(const ForwardingTables& tables, LinkId link, const VirtioNetHeader& header,
                                      std::span<std::uint8_t> frame, TimePoint now) {
  const SegmentEntry& segment = *tables.segment(link);
  gre::Segment& state = *segment.state;
  send_loop_probe(tables, link, now);
  const std::uint32_t frames = frames_in(header, frame.size());
  const gre::SegmentVerdict verdict = state.receive(0, frame, frames, now);
  if (verdict.action == gre::SegmentVerdict::Action::kDrop) return drops_.count(verdict.reason, frames);
  if (verdict.action == gre::SegmentVerdict::Action::kSend) {
    return tunnel_frame(tables, *segment.tunnels[verdict.to - 1U], header, frame, now, true);
  }
  // A checksum must be completed once, not once a copy; a super-frame's is done segment by segment.
  VirtioNetHeader whole = header;
  if (header.gso_type == kGsoNone) {
    if (!complete_checksum(header, frame)) return drops_.count(DropReason::kBadOffload);
    whole = {};
  }
  for (std::size_t port = 1; port < state.ports(); ++port) {
    if (!state.floods(0, static_cast<gre::SegmentPort>(port), now)) continue;
    tunnel_frame(tables, *segment.tunnels[port - 1], whole, frame, now, false);  // one port's MSS is no other's
  }
}

void Outbound::tunnel_frame(const ForwardingTables& tables, const TunnelEntry& tunnel, const VirtioNetHeader& header,
                            std::span<std::uint8_t> frame, TimePoint now, bool stays) {
  Target target;
  target.link = tunnel.link;
  target.now = now;
  target.packet = frame;
  target.tunnel = &tunnel;
  target.stays = stays;
  if (!find_tunnel_target(tables, target)) return;
  resolve_session(target, now);
  if (header.gso_type == kGsoNone) {
    single(target, header, frame, now);
  } else {
    split(target, header, frame, now);
  }
}

void Outbound::segment_frame(const ForwardingTables& tables, const SegmentEntry& segment, gre::SegmentPort port,
                             std::span<std::uint8_t> frame, TimePoint now) {
  tunnel_frame(tables, *segment.tunnels[port - 1U], {}, frame, now, false);
}

void Outbound::send_loop_probe(const ForwardingTables& tables, LinkId link, TimePoint now) {
  const SegmentEntry& segment = *tables.segment(link);
  const auto port = segment.state->probe_due(now);
  if (!port) return;
  std::uint8_t probe[gre::Segment::kProbeSize];
  segment.state->write_probe(*port, probe);
  if (*port == 0) {
    tell(link, probe);
    return;
  }
  segment_frame(tables, segment, *port, probe, now);
}

}  // namespace greywire
