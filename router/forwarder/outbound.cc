#include "router/forwarder/outbound.h"

#include <algorithm>
#include <cstring>

#include "router/forwarder/outbound_target.h"
#include "router/packet/checksum.h"
#include "router/packet/ethernet.h"
#include "router/packet/icmp.h"
#include "router/packet/ip_fragment.h"
#include "router/packet/tcp_mss.h"
#include "router/pmtu/overhead.h"
#include "router/wireguard/messages.h"

namespace greywire {
namespace {

constexpr std::size_t kTrainAlignment = 64;
constexpr std::uint32_t kOddStep = 0x9e3779b1;  // spreads identifications: they should not be guessed (RFC 7739)

// A WireGuard message from our port to the endpoint of a peer: our own datagram, which the host's routes sent back into
// the tunnel. Of any peer: where two endpoints lie in each other's allowed-IPs, a datagram would go to and fro and grow.
bool is_own_datagram(const ForwardingTables& tables, std::span<const std::uint8_t> packet, const IpPacketInfo& info) {
  if (info.protocol != kProtocolUdp || tables.listen_port == 0 || info.total_size < info.header_size + 12U) return false;
  const std::uint8_t* udp = packet.data() + info.header_size;
  if (load_be16(udp) != tables.listen_port) return false;
  const std::uint32_t type = load_le32(udp + 8);
  if (type < 1 || type > 4) return false;
  return tables.endpoints.find({destination(packet, info), load_be16(udp + 2)}) != nullptr;
}

void count_sent(const TunnelEntry* tunnel, std::size_t packets, std::size_t bytes) {
  if (tunnel == nullptr) return;
  tunnel->traffic.tx_packets.fetch_add(packets, std::memory_order_relaxed);
  tunnel->traffic.tx_bytes.fetch_add(bytes, std::memory_order_relaxed);
}

bool is_syn(std::span<const std::uint8_t> packet, const IpPacketInfo& info) {
  return info.protocol == kProtocolTcp && !info.is_fragment && packet.size() >= info.header_size + 20U &&
         (packet[info.header_size + 13U] & 0x02) != 0;
}

}  // namespace

Outbound::Outbound(Aead& aead, ForwarderSink& sink, DropCounters& drops)
    : aead_(aead),
      sink_(sink),
      drops_(drops),
      next_fragment_id_(static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(this) >> 4) * kOddStep),
      arena_(std::make_unique<std::uint8_t[]>(kArena)),
      scratch_(std::make_unique<std::uint8_t[]>(kScratch)) {
  trains_.reserve(kMaxTrains);
  sealed_.reserve(kMaxTrains);
  jobs_.reserve(kMaxJobs);
  pieces_.reserve(kMaxJobs);
}

void Outbound::frame(const ForwardingTables& tables, const AllowedIpsRoot& routes, LinkId link,
                     const VirtioNetHeader& header, std::span<std::uint8_t> frame, TimePoint now) {
  if (capturing_ != 0 && CaptureTap::of_link(capturing_, link)) [[unlikely]] tap_->add(capturing_, true, frame, now);
  if (tables.segment(link) != nullptr) return segment_frame_from_tap(tables, link, header, frame, now);
  Target target;
  target.link = link;
  target.now = now;
  target.packet = frame;
  target.stays = true;
  if (!find_target(tables, routes, target)) return;
  resolve_session(target, now);
  if (target.session == nullptr && !target.peer->shared->has_endpoint()) return refuse(target, DropReason::kNoEndpoint);
  if (header.gso_type == kGsoNone) {
    single(target, header, frame, now);
  } else {
    split(target, header, frame, now);
  }
}

void Outbound::packet(const PeerEntry& peer, std::span<const std::uint8_t> packet, TimePoint now) {
  Target target;
  target.peer = &peer;
  target.now = now;
  if (!parse_ip(packet, target.info)) return drops_.count(DropReason::kInternal);
  target.inner_mtu = peer.shared->inner_mtu.load(std::memory_order_relaxed);
  target.ds_field = outer_ds_field(target.info.ds_field, peer.dscp);
  resolve_session(target, now);
  emit(target, packet.size(), now, [&](std::uint8_t* out, std::size_t n) { std::memcpy(out, packet.data(), n); }, {});
}

bool Outbound::find_target(const ForwardingTables& tables, const AllowedIpsRoot& routes, Target& target) {
  const LinkEntry* link = target.link.value < tables.links.size() ? &tables.links[target.link.value] : nullptr;
  if (link == nullptr || !link->present) return drops_.count(DropReason::kPeerDisabled), false;
  target.tunnel = link->tunnel.get();
  const bool ethernet = target.tunnel != nullptr && target.tunnel->config.ethernet;
  if (!ethernet && !parse_ip(target.packet, target.info)) return drops_.count(DropReason::kNotIp), false;

  if (target.tunnel != nullptr) {
    if (!find_tunnel_target(tables, target)) return false;
  } else {
    const RouteTarget route = routes.lookup(destination_bytes(target.packet, target.info), target.info.family);
    if (route == kDiscard) return refuse(target, DropReason::kRouteRefused), false;
    target.peer = tables.peer(route, target.packet, target.info);
    if (target.peer == nullptr) return refuse(target, DropReason::kNoPeer), false;
    target.inner_mtu = target.peer->shared->inner_mtu.load(std::memory_order_relaxed);
    target.payload_mtu = Mtu{target.inner_mtu};
    target.ds_field = outer_ds_field(target.info.ds_field, target.peer->dscp);
  }
  if (ethernet) return true;
  if (is_own_datagram(tables, target.packet, target.info)) {
    return drops_.count(DropReason::kInnerLoop), false;
  }
  return true;
}

void Outbound::resolve_session(Target& target, TimePoint now) {
  wireguard::PeerData& peer = *target.peer->shared;
  target.session = peer.current.load(std::memory_order_acquire);
  if (target.session != nullptr && target.session->expired(now)) {
    peer.current.compare_exchange_strong(target.session, nullptr, std::memory_order_seq_cst);
    target.session = nullptr;
  }
}

void Outbound::clamp_mss(const Target& target, const VirtioNetHeader& header, std::span<std::uint8_t> frame) {
  const bool wanted = target.tunnel != nullptr ? target.tunnel->clamp_mss : target.peer->clamp_mss;
  if (!wanted) return;
  const bool ethernet = target.packet.empty();
  const std::size_t offset = ethernet ? ip_offset(frame) : 0;
  if (ethernet && offset == 0) return;
  const auto packet = frame.subspan(offset);
  IpPacketInfo info;
  if (!parse_ip(packet, info) || !is_syn(packet, info)) return;
  const Mtu mtu = pmtu::less(target.payload_mtu, static_cast<std::uint32_t>(offset));
  if (clamp_tcp_mss(packet, pmtu::tcp_mss(mtu, info.family),
                    (header.flags & kNeedsCsum) != 0 ? TcpChecksum::kPartial : TcpChecksum::kComplete)) {
    path_counters_.count(PathEvent::kMssClamped);
  }
}

void Outbound::single(Target& target, const VirtioNetHeader& header, std::span<std::uint8_t> frame, TimePoint now) {
  clamp_mss(target, header, frame);
  if (!complete_checksum(header, frame)) return drops_.count(DropReason::kBadOffload);
  // On an L3 device what lies behind the IP packet is no part of it.
  if (!target.packet.empty()) frame = frame.first(target.info.total_size);
  count_sent(target.tunnel, 1, frame.size());
  // With a sum it is read here anyway, and copied at the same time. Without, it does not matter if it stays alone.
  const bool stays = target.stays && !target.sums() && gathers(kMaxJobs, frame.size());
  const Rest rest{stays ? frame.data() : nullptr, 0};
  emit_payload(target, frame.size(), claim_numbers(target, 1), now, [&](std::uint8_t* out, std::size_t n) {
    if (!target.sums()) {
      std::memcpy(out, frame.data(), n);
    } else {
      target.payload_sum = checksum_copy(out, frame.data(), n, 0);
    }
  }, rest);
}

void Outbound::split(Target& target, const VirtioNetHeader& header, std::span<std::uint8_t> frame, TimePoint now) {
  GsoPlan plan;
  if (!plan_gso(header, frame, target.packet.empty() ? pmtu::kEthernetHeader : 0, plan)) {
    return drops_.count(DropReason::kBadOffload);
  }
  if (too_big(target, plan.segment_size(0))) {
    if (plan.segments > 1) drops_.count(DropReason::kTooBig, plan.segments - 1);
    return refuse(target, DropReason::kTooBig);
  }
  count_sent(target.tunnel, plan.segments, plan.header_size * plan.segments + plan.total_payload);
  std::uint32_t id = claim_numbers(target, plan.segments);
  const bool stays = target.stays && gathers(plan.segments, plan.segment_size(0));
  for (std::size_t i = 0; i < plan.segments; ++i) {
    const Rest rest{stays ? frame.data() + i * plan.payload_size : nullptr, plan.header_size};
    emit_payload(target, plan.segment_size(i), id++, now, [&](std::uint8_t* out, std::size_t n) {
      write_gso_segment(plan, frame, i, out, n);
      if (target.sums()) target.payload_sum = gso_segment_sum(plan, i, out);
    }, rest);
  }
}

// Identification and sequence numbers of `packets` delivery packets. Returns the first identification.
std::uint32_t Outbound::claim_numbers(Target& target, std::size_t packets) {
  if (target.tunnel == nullptr) return 0;
  if (target.tunnel->config.sequence) target.next_sequence = target.tunnel->sequence_out.claim(packets);
  return target.tunnel->next_id.fetch_add(static_cast<std::uint32_t>(packets), std::memory_order_relaxed);
}

// A payload packet, with the delivery header in front of it where the link is a tunnel.
template <class Writer>
void Outbound::emit_payload(Target& target, std::size_t payload, std::uint32_t id, TimePoint now, Writer&& write, Rest rest) {
  if (too_big(target, payload)) return refuse(target, DropReason::kTooBig);
  if (target.tunnel == nullptr) {
    if (payload <= target.inner_mtu) return emit(target, payload, now, write, rest);
    return emit_fragments(target, payload, next_fragment_id_ += kOddStep, now, write);
  }
  const gre::Encapsulation& encapsulation = *target.encapsulation;
  target.delivery.ipv4_id = static_cast<std::uint16_t>(id);
  target.delivery.sequence = gre::SequenceOut::at(target.next_sequence++);
  if (payload > encapsulation.max_payload()) return drops_.count(DropReason::kTooBig);
  const std::size_t header = encapsulation.header_size();
  const auto delivery = [&](std::uint8_t* out, std::size_t n) {
    encapsulation.write(out, payload, target.gre_protocol, target.delivery);
    write(out + header, n - header);
    if (target.sums()) encapsulation.finish_checksum(out, target.payload_sum);
  };
  if (header + payload > target.inner_mtu) return emit_fragments(target, header + payload, id, now, delivery);
  emit(target, header + payload, now, delivery, rest.behind(header));
}

template <class Writer>
void Outbound::emit_fragments(Target& target, std::size_t size, std::uint32_t id, TimePoint now, Writer&& write) {
  write(scratch_.get(), size);
  const std::span<const std::uint8_t> packet{scratch_.get(), size};
  FragmentPlan plan;
  if (!plan_fragments(packet, Mtu{target.inner_mtu}, plan, DontFragment::kIgnore, id)) {
    return refuse(target, DropReason::kTooBig);
  }
  path_counters_.count(PathEvent::kFragmented);
  path_counters_.count(PathEvent::kFragmentsSent, plan.count);
  if (target.session == nullptr) {
    // Staging uses the scratch area too, so fragments of it go through a copy of their own.
    for (std::size_t i = 0; i < plan.count; ++i) {
      std::vector<std::uint8_t> fragment(plan.fragment_size(i));
      write_fragment(plan, packet, i, fragment.data());
      stage(target, fragment, now);
    }
    return;
  }
  for (std::size_t i = 0; i < plan.count; ++i) {
    emit(target, plan.fragment_size(i), now, [&](std::uint8_t* out, std::size_t) { write_fragment(plan, packet, i, out); }, {});
  }
}

// A packet that goes to the peer as it is.
template <class Writer>
void Outbound::emit(Target& target, std::size_t size, TimePoint now, Writer&& write, Rest rest) {
  if (target.session == nullptr) {
    write(scratch_.get(), size);
    return stage(target, {scratch_.get(), size}, now);
  }
  const std::size_t padded = pmtu::padded_size(static_cast<std::uint32_t>(size), Mtu{target.inner_mtu});
  std::uint8_t* text = slot(target, padded, now) + wireguard::kTransportHeaderSize;
  const std::size_t head = (rest.header + kSealUnit - 1) / kSealUnit * kSealUnit;
  if (rest.bytes != nullptr && head + kWorthGathering <= size) {
    write(text, head);
    pieces_.back() = {rest.bytes, static_cast<std::uint16_t>(head), static_cast<std::uint16_t>(padded - size)};
    return;
  }
  write(text, size);
  std::memset(text + size, 0, padded - size);
}

void Outbound::stage(Target& target, std::span<const std::uint8_t> packet, TimePoint now) {
  wireguard::PeerData& peer = *target.peer->shared;
  std::size_t dropped = 0;
  if (peer.stage(packet, dropped, target.ds_field, is_routing_traffic(target.ds_field))) {
    if (dropped != 0) drops_.count(DropReason::kStagedFull, dropped);
    if (peer.request(wireguard::Attention::kStaged)) sink_.attention(peer.id);
    return;
  }
  // A session came up meanwhile.
  resolve_session(target, now);
  if (target.session == nullptr) return drops_.count(DropReason::kNoSession);
  const std::size_t padded = pmtu::padded_size(static_cast<std::uint32_t>(packet.size()), Mtu{target.inner_mtu});
  std::uint8_t* text = slot(target, padded, now) + wireguard::kTransportHeaderSize;
  std::memcpy(text, packet.data(), packet.size());
  std::memset(text + packet.size(), 0, padded - packet.size());
}

// Room for one datagram, behind the last one where it can travel in the same train.
std::uint8_t* Outbound::slot(Target& target, std::size_t padded, TimePoint now) {
  const std::size_t size = pmtu::datagram_size(static_cast<std::uint32_t>(padded));
  if (used_ + size + kTrainAlignment > kArena || pieces_.size() >= kMaxJobs) flush(now);
  if (!trains_.empty()) {
    Train& last = trains_.back();
    if (!last.closed && last.session == target.session && last.ds_field == target.ds_field &&
        size <= last.segment_size && last.size + size <= kMaxTrainBytes) {
      std::uint8_t* out = arena_.get() + used_;
      last.closed = size < last.segment_size;
      last.size += static_cast<std::uint32_t>(size);
      ++last.count;
      pieces_.emplace_back();
      used_ += size;
      return out;
    }
    if (trains_.size() == kMaxTrains) flush(now);
  }
  used_ = (used_ + kTrainAlignment - 1) / kTrainAlignment * kTrainAlignment;
  std::uint8_t* out = arena_.get() + used_;
  trains_.push_back({target.peer->shared, target.session, static_cast<std::uint32_t>(used_),
                     static_cast<std::uint32_t>(size), static_cast<std::uint16_t>(size), 1, target.ds_field, false});
  pieces_.emplace_back();
  used_ += size;
  return out;
}

void Outbound::flush(TimePoint now) {
  if (trains_.empty()) return;
  const Piece* pieces = pieces_.data();
  for (std::size_t first = 0; first < trains_.size();) {
    std::size_t last = first;
    std::size_t datagrams = 0;
    do {
      datagrams += trains_[last++].count;
    } while (last < trains_.size() && trains_[last].session == trains_[first].session);
    seal(std::span(trains_).subspan(first, last - first), pieces, now);
    pieces += datagrams;
    first = last;
  }
  if (!sealed_.empty()) sink_.send(sealed_);
  trains_.clear();
  sealed_.clear();
  pieces_.clear();
  used_ = 0;
}

void Outbound::capture_plain(const wireguard::PeerData& peer, TimePoint now) {
  if (!CaptureTap::inner_of(capturing_, peer.id)) return;
  for (const SealJob& job : jobs_) tap_->add_inner(capturing_, true, {job.in, job.size}, now);
}

void Outbound::capture_sealed(const Train& train, TimePoint now) {
  if (!CaptureTap::outer_of(capturing_, train.peer->id)) return;
  const wireguard::Route route = train.peer->route();
  std::span<const std::uint8_t> rest(arena_.get() + train.offset, train.size);
  while (!rest.empty()) {
    const auto datagram = rest.first(std::min<std::size_t>(rest.size(), train.segment_size));
    tap_->add_outer(capturing_, true, datagram, route, own_port_, now);
    rest = rest.subspan(datagram.size());
  }
}

// Trains of one session together: the AEAD is faster the more datagrams of a size it gets.
void Outbound::seal(std::span<Train> trains, const Piece* pieces, TimePoint now) {
  wireguard::Session& session = *trains[0].session;
  wireguard::PeerData& peer = *trains[0].peer;
  jobs_.clear();
  for (Train& train : trains) {
    const bool added = add_jobs(train, pieces, now);
    pieces += train.count;
    if (!added) train.count = 0;
  }
  if (jobs_.empty()) return;
  if (capturing_ != 0) [[unlikely]] capture_plain(peer, now);
  aead_.seal(session.send_key(), jobs_);
  for (const Train& train : trains) {
    if (train.count == 0) continue;
    if (capturing_ != 0) [[unlikely]] capture_sealed(train, now);
    peer.tx_bytes.fetch_add(train.size, std::memory_order_relaxed);
    if (train.segment_size > pmtu::kLargeDatagram && peer.watch_large.load(std::memory_order_relaxed) &&
        peer.watch_large.exchange(false, std::memory_order_relaxed) && peer.request(wireguard::Attention::kLargeSent)) {
      sink_.attention(peer.id);
    }
    sealed_.push_back({&peer, arena_.get() + train.offset, train.size, train.segment_size, train.count, train.ds_field});
  }
  peer.data_sent(now);
}

// Numbers the datagrams of a train and lists them for the AEAD. False, and counted, when the session may send no more.
bool Outbound::add_jobs(const Train& train, const Piece* pieces, TimePoint now) {
  std::uint64_t counter = 0;
  const bool claimed = train.session->claim_counters(train.count, now, counter);
  if (!claimed || train.session->wants_rekey_on_send(now)) {
    if (train.peer->request(wireguard::Attention::kHandshake)) sink_.attention(train.peer->id);
  }
  if (!claimed) {
    drops_.count(DropReason::kNoSession, train.count);
    return false;
  }
  std::uint8_t* datagram = arena_.get() + train.offset;
  std::uint32_t left = train.size;
  while (left != 0) {
    const std::uint32_t size = std::min<std::uint32_t>(left, train.segment_size);
    wireguard::write_transport_header(datagram, train.session->remote_index, counter);
    std::uint8_t* text = datagram + wireguard::kTransportHeaderSize;
    const std::uint32_t padded = size - static_cast<std::uint32_t>(wireguard::kMinTransportSize);
    const Piece& piece = *pieces++;
    jobs_.push_back({counter++, piece.in == nullptr ? text : piece.in, text, padded, piece.head, piece.padding});
    datagram += size;
    left -= size;
  }
  return true;
}

}  // namespace greywire
