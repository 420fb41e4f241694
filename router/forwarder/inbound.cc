#include "router/forwarder/inbound.h"

#include <algorithm>
#include <cstring>

#include "router/base/byte_order.h"
#include "router/forwarder/probe.h"
#include "router/packet/checksum.h"
#include "router/packet/icmp.h"
#include "router/packet/ip_header.h"
#include "router/packet/tcp_mss.h"
#include "router/pmtu/overhead.h"
#include "router/wireguard/messages.h"

namespace greywire {
Inbound::Inbound(Aead& aead, ForwarderSink& sink, Outbound& outbound, DropCounters& drops, std::uint64_t probe_nonce)
    : aead_(aead),
      sink_(sink),
      outbound_(outbound),
      drops_(drops),
      probe_nonce_(probe_nonce),
      rebuilt_(std::make_unique<std::uint8_t[]>(kRebuilt)) {
  jobs_.reserve(kMaxJobs);
  pending_.reserve(kMaxJobs);
  froms_.reserve(kMaxFroms);
}

Inbound::~Inbound() = default;

void Inbound::begin(const ForwardingTables& tables, const AllowedIpsRoot& routes, const wireguard::IndexTable& index,
                    TimePoint now) {
  tables_ = &tables;
  routes_ = &routes;
  index_ = &index;
  now_ = now;
  capturing_ = tap_ == nullptr ? 0 : tap_->wanted();
  passed_peer_ = nullptr;
}

void Inbound::message(std::span<std::uint8_t> bytes, std::size_t segment_size, const wireguard::Route& from,
                      std::uint8_t ds_field) {
  if (froms_.size() == kMaxFroms) open_and_commit();
  if (froms_.empty() || !(froms_.back() == from)) froms_.push_back(from);
  if (segment_size == 0) segment_size = bytes.size();
  do {
    const std::size_t size = std::min(segment_size, bytes.size());
    datagram(bytes.first(size), from, ds_field);
    bytes = bytes.subspan(size);
  } while (!bytes.empty());
}

void Inbound::datagram(std::span<std::uint8_t> bytes, const wireguard::Route& from, std::uint8_t ds_field) {
  if (bytes.size() < wireguard::kMinTransportSize) return drops_.count(DropReason::kTooShort);
  const std::uint32_t type = load_le32(bytes.data());
  if (type != static_cast<std::uint32_t>(wireguard::MessageType::kTransportData)) {
    if (type < 1 || type > 3) return drops_.count(DropReason::kBadType);
    if (!sink_.handshake(bytes, from)) drops_.count(DropReason::kHandshakeQueueFull);
    return;
  }
  wireguard::Session* session = index_->find(load_le32(bytes.data() + wireguard::transport::kReceiver));
  if (session == nullptr) {
    drops_.count(DropReason::kUnknownIndex);
    if (now_ >= next_unknown_session_) {
      next_unknown_session_ = now_ + kUnknownSessionInterval;
      sink_.unknown_session(from.remote);
    }
    return;
  }
  if (session->expired(now_)) return drops_.count(DropReason::kExpiredSession);
  if (jobs_.size() == kMaxJobs) {
    open_and_commit();
    froms_.push_back(from);
  }
  if (capturing_ != 0 && CaptureTap::outer_of(capturing_, session->peer.id)) [[unlikely]] {
    tap_->add_outer(capturing_, false, bytes, from, tables_->listen_port, now_);
  }
  std::uint8_t* text = bytes.data() + wireguard::kTransportHeaderSize;
  jobs_.push_back({load_le64(bytes.data() + wireguard::transport::kCounter), text, text,
                   static_cast<std::uint32_t>(bytes.size() - wireguard::kMinTransportSize), false});
  pending_.push_back({session, static_cast<std::uint16_t>(froms_.size() - 1), ds_field});
}

void Inbound::finish() {
  open_and_commit();
  flush_links();
  rebuilt_used_ = 0;
}

void Inbound::open_and_commit() {
  std::size_t first = 0;
  while (first < jobs_.size()) {
    wireguard::Session& session = *pending_[first].session;
    std::size_t last = first + 1;
    while (last < jobs_.size() && pending_[last].session == &session) ++last;
    const auto run = std::span(jobs_).subspan(first, last - first);
    if (merging_) {
      aead_.open_and_sum(session.receive_key(), run);
    } else {
      aead_.open(session.receive_key(), run);
    }
    commit(session, first, last);
    first = last;
  }
  jobs_.clear();
  pending_.clear();
  froms_.clear();
}

// Judges a run of packets of one session in the order of their arrival.
void Inbound::commit(wireguard::Session& session, std::size_t first, std::size_t last) {
  std::uint64_t bytes = 0;
  std::size_t newest = last;
  bool has_data = false;
  {
    std::lock_guard guard(session.receive_lock);
    for (std::size_t i = first; i < last; ++i) {
      OpenJob& job = jobs_[i];
      if (!job.ok) {
        drops_.count(DropReason::kBadTag);
        continue;
      }
      job.ok = session.replay.accept(job.counter);
      if (!job.ok) {
        drops_.count(DropReason::kReplay);
        continue;
      }
      bytes += job.size + wireguard::kMinTransportSize;
      has_data = has_data || job.size != 0;
      newest = i;
    }
  }
  if (newest == last) return;

  wireguard::PeerData& shared = session.peer;
  shared.rx_bytes.fetch_add(bytes, std::memory_order_relaxed);
  if (shared.roam(froms_[pending_[newest].from]) && shared.request(wireguard::Attention::kRoamed)) {
    sink_.attention(shared.id);
  }
  if (has_data) {
    shared.data_received(now_);
  } else {
    shared.any_received(now_);
  }
  wireguard::Attention wanted{};
  if (!session.confirmed.load(std::memory_order_relaxed)) {
    session.confirmed.store(true, std::memory_order_release);
    wanted = wireguard::Attention::kConfirmed;
  } else if (session.wants_rekey_on_receive(now_)) {
    wanted = wireguard::Attention::kHandshake;
  }
  if (wanted != wireguard::Attention{} && shared.request(wanted)) sink_.attention(shared.id);

  const PeerEntry* peer = tables_->peer(shared.id);
  if (peer == nullptr) {
    const auto packets = std::count_if(jobs_.begin() + static_cast<std::ptrdiff_t>(first),
                                       jobs_.begin() + static_cast<std::ptrdiff_t>(last),
                                       [](const OpenJob& job) { return job.ok && job.size != 0; });
    return drops_.count(DropReason::kPeerDisabled, static_cast<std::uint64_t>(packets));
  }
  if (capturing_ != 0) [[unlikely]] capture_run(shared.id, first, last);
  for (std::size_t i = first; i < last; ++i) {
    const OpenJob& job = jobs_[i];
    if (!job.ok || job.size == 0) continue;
    text_ = {job.out, job.size, job.sum};
    deliver(*peer, {job.out, job.size}, pending_[i].ds_field);
  }
  flush_received();
}

// As they came out of the tunnel, also those that are dropped after this.
void Inbound::capture_run(PeerId peer, std::size_t first, std::size_t last) {
  if (!CaptureTap::inner_of(capturing_, peer)) return;
  for (std::size_t i = first; i < last; ++i) {
    if (jobs_[i].ok) tap_->add_inner(capturing_, false, {jobs_[i].out, jobs_[i].size}, now_);
  }
}

void Inbound::deliver(const PeerEntry& peer, std::span<std::uint8_t> packet, std::uint8_t outer_ds) {
  IpPacketInfo info;
  if (!parse_ip(packet, info)) return drops_.count(DropReason::kBadInner);
  packet = packet.first(info.total_size);
  if (!take_mark(packet, info, outer_ds)) return drops_.count(DropReason::kCongestion);
  if (!source_allowed(peer, source_bytes(packet, info), info.family, peer.sources, true)) {
    return drops_.count(DropReason::kSourceNotAllowed);
  }
  if (!peer.tunnels.empty() && deliver_gre(peer, packet, info)) return;
  if ((info.protocol == kProtocolIcmp || info.protocol == kProtocolIcmpV6) && take_probe(peer, packet, info)) return;
  if (peer.clamp_mss && info.protocol == kProtocolTcp) {
    const Mtu mtu{peer.shared->inner_mtu.load(std::memory_order_relaxed)};
    clamp(packet, mtu, info.family);
  }
  hand_to_link(kPlainLink, Layer::kL3, packet);
}

bool Inbound::source_allowed(const PeerEntry& peer, const std::uint8_t* source, Family family, const PrefixSet& set,
                             bool may_be_strict) {
  const std::size_t size = family == Family::kV4 ? 4 : 16;
  if (passed_peer_ == &peer && passed_set_ == &set && passed_family_ == family &&
      same_bytes(passed_source_.data(), source, size)) {
    return true;
  }
  if (tables_->own_networks != nullptr && tables_->own_networks->contains(source, family)) return false;
  if (peer.strict && may_be_strict) {
    if (!tables_->leads_to(routes_->lookup(source, family), peer.shared->id)) return false;
  } else {
    const IpAddress address = family == Family::kV4 ? IpAddress::v4(std::span<const std::uint8_t, 4>(source, 4))
                                                    : IpAddress::v6(std::span<const std::uint8_t, 16>(source, 16));
    const PeerId* owner = tables_->overlay_owners.find(address);
    if (owner != nullptr ? *owner != peer.shared->id : !set.contains(source, family)) return false;
  }
  passed_peer_ = &peer;
  passed_set_ = &set;
  passed_family_ = family;
  std::memcpy(passed_source_.data(), source, size);
  return true;
}

bool Inbound::take_mark(std::span<std::uint8_t> packet, IpPacketInfo& info, std::uint8_t outer_ds) {
  const std::uint8_t before = info.ds_field;
  const bool kept = ecn_into(packet, info, outer_ds);
  if (info.ds_field != before) text_.sum = 0;
  return kept;
}

void Inbound::clamp(std::span<std::uint8_t> packet, Mtu mtu, Family family) {
  if (!clamp_tcp_mss(packet, pmtu::tcp_mss(mtu, family))) return;
  text_.sum = 0;
  outbound_.path_counters().count(PathEvent::kMssClamped);
}

// Where the packet is the end of the plaintext, but for padding of zeros, which adds nothing.
std::uint64_t Inbound::sum_of(std::span<const std::uint8_t> packet) const {
  if (text_.sum == 0) return 0;
  const std::size_t before = reinterpret_cast<std::uintptr_t>(packet.data()) - reinterpret_cast<std::uintptr_t>(text_.bytes);
  if (before % 2 != 0 || before > text_.size || packet.size() > text_.size - before) return 0;
  const std::size_t padding = text_.size - before - packet.size();
  if (padding >= pmtu::kPaddingUnit) return 0;
  const std::uint8_t* end = packet.data() + packet.size();
  if (std::any_of(end, end + padding, [](std::uint8_t byte) { return byte != 0; })) return 0;
  return before == 0 ? text_.sum : checksum_less(text_.sum, checksum_add(text_.bytes, before, 0));
}

bool Inbound::take_probe(const PeerEntry& peer, std::span<std::uint8_t> packet, const IpPacketInfo& info) {
  if (packet.size() < info.header_size + 8U || !is_probe(packet.subspan(info.header_size + 8U))) return false;
  EchoMessage echo;
  if (!parse_echo(packet, echo)) return false;
  if (echo.is_reply) {
    const auto probe = decode_probe(echo.payload);
    if (!probe || probe->nonce != probe_nonce_) return false;
    sink_.probe_reply({peer.shared->id, probe->sequence, probe->sent});
    return true;
  }
  const auto& own = tables_->own_overlay;
  if (std::find(own.begin(), own.end(), echo.destination) == own.end()) return false;
  std::uint8_t answer[1280];
  const std::size_t size = write_echo_reply(answer, echo, info.ds_field & ~kEcnMask);
  if (size != 0) outbound_.packet(peer, {answer, size}, now_);
  return true;
}

void Inbound::hand_to_link(LinkId link, Layer layer, std::span<std::uint8_t> packet) {
  if (capturing_ != 0 && CaptureTap::of_link(capturing_, link)) [[unlikely]] tap_->add(capturing_, false, packet, now_);
  if (link.value >= mergers_.size()) mergers_.resize(link.value + 1);
  auto& merger = mergers_[link.value];
  if (!merger) merger = std::make_unique<GroMerger>(layer);
  if (merger->empty()) {
    merger->merge_udp(sink_.merges_udp(link));
    dirty_.push_back(link);
  }
  const std::uint64_t sum = sum_of(packet);
  if (merger->add(packet, sum)) return;
  flush_links();
  dirty_.push_back(link);
  merger->add(packet, sum);
}

void Inbound::flush_links() {
  if (dirty_.empty()) return;
  merging_ = false;
  for (const LinkId link : dirty_) {
    mergers_[link.value]->flush([&](const MergedFrame& frame) {
      merging_ = merging_ || frame.packets > 1;
      if (!sink_.write(link, frame)) drops_.count(DropReason::kDeviceFull, frame.packets);
    });
  }
  dirty_.clear();
}

}  // namespace greywire
