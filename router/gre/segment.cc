#include "router/gre/segment.h"

#include <algorithm>
#include <cstring>

#include "router/base/byte_order.h"

namespace greywire::gre {
namespace {

constexpr std::size_t kEthernetHeader = 14;
constexpr std::uint16_t kVlan = 0x8100;
constexpr std::uint16_t kServiceVlan = 0x88a8;
constexpr std::uint32_t kSegmentTimes = 4;  // what all ports may flood together

// Probe: destination, source, IEEE 802's experimental EtherType, "GWLOOP1\0", nonce 8, port 2.
constexpr std::uint16_t kExperimental = 0x88b5;
constexpr std::uint8_t kProbeGroup[6] = {0x03, 0x00, 0x47, 0x57, 0x00, 0x01};  // locally administered: bridges pass it on
constexpr char kProbeMagic[8] = {'G', 'W', 'L', 'O', 'O', 'P', '1', 0};

// IEEE 802.1Q table 8-1: 01-80-c2-00-00-00 to -0f stay on the link.
bool is_link_local_group(const std::uint8_t* mac) {
  static constexpr std::uint8_t kGroup[5] = {0x01, 0x80, 0xc2, 0x00, 0x00};
  return std::memcmp(mac, kGroup, sizeof kGroup) == 0 && mac[5] < 0x10;
}
bool is_pvst_group(const std::uint8_t* mac) {
  static constexpr std::uint8_t kGroup[6] = {0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd};
  return std::memcmp(mac, kGroup, sizeof kGroup) == 0;
}
bool is_bpdu_group(const std::uint8_t* mac) {
  return is_pvst_group(mac) || (is_link_local_group(mac) && mac[5] == 0);
}

std::uint16_t outer_vlan(std::span<const std::uint8_t> frame) {
  const std::uint16_t type = load_be16(frame.data() + 12);
  if ((type != kVlan && type != kServiceVlan) || frame.size() < kEthernetHeader + 4) return 0;
  return load_be16(frame.data() + 14) & 0x0fff;
}

SegmentVerdict drop(DropReason reason) {
  return {SegmentVerdict::Action::kDrop, reason, 0};
}

}  // namespace

Segment::Segment(const SegmentConfig& config)
    : config_(config), ports_(config.spokes.size() + 1), macs_(config.macs, config.spokes.size() + 1, config.nonce) {
  const std::uint32_t limits[] = {config.unknown, config.broadcast, config.multicast};
  for (std::size_t kind = 0; kind < 3; ++kind) {
    storm_[kind].set(limits[kind] * kSegmentTimes);
    for (Port& port : ports_) port.storm[kind].set(limits[kind]);
  }
  for (std::size_t i = 0; i < config.spokes.size(); ++i) ports_[i + 1].spoke = config.spokes[i];
  for (const FixedMac& fixed : config.fixed) macs_.fix(fixed.mac, fixed.port);
}

SegmentVerdict Segment::receive(SegmentPort in, std::span<const std::uint8_t> frame, std::uint32_t frames,
                                TimePoint now) {
  if (frame.size() < kEthernetHeader) return drop(DropReason::kSegmentBadFrame);
  if (const auto sent_at = own_probe(frame)) {
    probe_returned(*sent_at, in, now);
    return drop(DropReason::kSegmentLoop);
  }
  const std::int64_t end = next_block_end_.load(std::memory_order_relaxed);
  if (end != 0 && now.time_since_epoch().count() >= end) end_blocks(now);
  if (blocked(in, now)) return drop(DropReason::kSegmentBlocked);
  const std::uint8_t* to = frame.data();
  const MacKey source{MacAddress::from(to + 6), outer_vlan(frame)};
  if (source.mac.is_group() || source.mac.is_zero()) return drop(DropReason::kSegmentBadFrame);
  if (is_link_local_group(to) || is_pvst_group(to)) {
    if (!config_.forward_bpdus || !is_bpdu_group(to)) return drop(DropReason::kSegmentReserved);
  }
  if (const auto reason = learn(in, source, now)) return drop(*reason);

  const MacAddress destination = MacAddress::from(to);
  if (destination.is_group()) {
    const bool everybody = destination.number() == 0xffffffffffffULL;
    return flood(in, everybody ? Class::kBroadcast : Class::kMulticast, frames, now);
  }
  const auto known = macs_.find({destination, source.vlan}, now);
  if (!known) return flood(in, Class::kUnknown, frames, now);
  if (*known == in) return drop(DropReason::kSegmentSamePort);
  if (!may_pass(in, *known)) return drop(DropReason::kSegmentSplitHorizon);
  if (blocked(*known, now)) return drop(DropReason::kSegmentBlocked);
  return {SegmentVerdict::Action::kSend, DropReason::kInternal, *known};
}

std::optional<DropReason> Segment::learn(SegmentPort in, const MacKey& source, TimePoint now) {
  const MacTable::Learning learning = macs_.learn(source, in, now);
  switch (learning.result) {
    case MacTable::Result::kForeign:
      return DropReason::kSegmentFixedMac;
    case MacTable::Result::kFull:
      if (not_learned_.fetch_add(1, std::memory_order_relaxed) % 1024 == 0) {
        tell({SegmentEvent::Kind::kMacLimit, in, 0, source});
      }
      break;
    case MacTable::Result::kMoved:
      moves_.fetch_add(1, std::memory_order_relaxed);
      if (learning.moves == kFlapping) tell({SegmentEvent::Kind::kFlapping, in, learning.from, source});
      // Ours comes back from a peer: what the TAP's side sends returns through that peer.
      if (learning.moves >= kLooping && (in == 0 || learning.from == 0)) {
        block(in == 0 ? learning.from : in, 0, now);
        return DropReason::kSegmentBlocked;
      }
      break;
    default:
      break;
  }
  return std::nullopt;
}

SegmentVerdict Segment::flood(SegmentPort in, Class kind, std::uint32_t frames, TimePoint now) {
  static constexpr DropReason kReasons[] = {DropReason::kSegmentUnknown, DropReason::kSegmentBroadcast,
                                            DropReason::kSegmentMulticast};
  const auto i = static_cast<std::size_t>(kind);
  if (!ports_[in].storm[i].take(frames, now) || !storm_[i].take(frames, now)) return drop(kReasons[i]);
  flooded_.fetch_add(frames, std::memory_order_relaxed);
  return {SegmentVerdict::Action::kFlood, DropReason::kInternal, 0};
}

std::optional<SegmentPort> Segment::own_probe(std::span<const std::uint8_t> frame) const {
  std::size_t type = 12;
  // A VLAN-aware bridge may have put a tag on it.
  while (frame.size() >= type + 4 && (load_be16(&frame[type]) == kVlan || load_be16(&frame[type]) == kServiceVlan)) {
    type += 4;
  }
  if (frame.size() < type + 20 || load_be16(&frame[type]) != kExperimental) return std::nullopt;
  const std::uint8_t* body = frame.data() + type + 2;
  if (std::memcmp(body, kProbeMagic, sizeof kProbeMagic) != 0 || load_be64(body + 8) != config_.nonce) return std::nullopt;
  const std::uint16_t port = load_be16(body + 16);
  return port < ports_.size() ? std::optional(port) : std::nullopt;
}

void Segment::probe_returned(SegmentPort sent_at, SegmentPort in, TimePoint now) {
  // One blocked end breaks the circle: where either is blocked already, that one stays.
  if (blocked(in, now)) return block(in, sent_at, now);
  if (blocked(sent_at, now)) return block(sent_at, in, now);
  // A peer before the TAP: the rest of the segment is better reached than none of it.
  if (in != 0) return block(in, sent_at, now);
  block(sent_at, in, now);
}

void Segment::block(SegmentPort port, SegmentPort other, TimePoint now) {
  const std::int64_t until = (now + config_.block_for).time_since_epoch().count();
  const bool was = blocked(port, now);
  ports_[port].blocked_until.store(until, std::memory_order_relaxed);
  if (was) return;
  loops_.fetch_add(1, std::memory_order_relaxed);
  macs_.forget(port);
  std::int64_t end = next_block_end_.load(std::memory_order_relaxed);
  while ((end == 0 || until < end) &&
         !next_block_end_.compare_exchange_weak(end, until, std::memory_order_relaxed)) {
  }
  tell({SegmentEvent::Kind::kLoop, port, other, {}});
}

void Segment::end_blocks(TimePoint now) {
  const std::int64_t at = now.time_since_epoch().count();
  next_block_end_.store(0, std::memory_order_relaxed);
  bool ended = false;
  std::int64_t next = 0;
  for (Port& port : ports_) {
    std::int64_t until = port.blocked_until.load(std::memory_order_relaxed);
    if (until != 0 && until <= at) ended |= port.blocked_until.compare_exchange_strong(until, 0, std::memory_order_relaxed);
    if (until > at && (next == 0 || until < next)) next = until;
  }
  std::int64_t none = 0;
  if (next != 0) next_block_end_.compare_exchange_strong(none, next, std::memory_order_relaxed);
  // While a peer was blocked, what is behind it was heard by way of the other link, on the TAP's side.
  if (ended) macs_.forget(0);
}

std::optional<SegmentPort> Segment::probe_due(TimePoint now) {
  if (config_.probe_every == Duration::zero()) return std::nullopt;
  std::int64_t due = next_probe_.load(std::memory_order_relaxed);
  const std::int64_t at = now.time_since_epoch().count();
  if (at < due) return std::nullopt;
  if (!next_probe_.compare_exchange_strong(due, at + config_.probe_every.count(), std::memory_order_relaxed)) {
    return std::nullopt;
  }
  return static_cast<SegmentPort>(probe_turn_.fetch_add(1, std::memory_order_relaxed) % ports_.size());
}

void Segment::write_probe(SegmentPort port, std::uint8_t* out) const {
  std::memset(out, 0, kProbeSize);
  std::memcpy(out, kProbeGroup, sizeof kProbeGroup);
  // Locally administered; the same of one port, so that bridges on the way need not learn it anew.
  out[6] = 0x02;
  for (std::size_t i = 0; i < 4; ++i) out[7 + i] = static_cast<std::uint8_t>(config_.nonce >> (8 * i));
  out[11] = static_cast<std::uint8_t>(port);
  store_be16(out + 12, kExperimental);
  std::memcpy(out + 14, kProbeMagic, sizeof kProbeMagic);
  store_be64(out + 22, config_.nonce);
  store_be16(out + 30, port);
}

SegmentStatus Segment::status(TimePoint now) {
  macs_.sweep(now);
  SegmentStatus out;
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    const std::int64_t until = ports_[i].blocked_until.load(std::memory_order_relaxed);
    const std::int64_t left = until - now.time_since_epoch().count();
    out.ports.push_back({macs_.count(static_cast<SegmentPort>(i)), Duration{std::max<std::int64_t>(0, left)}});
  }
  out.moves = moves_.load(std::memory_order_relaxed);
  out.flooded = flooded_.load(std::memory_order_relaxed);
  out.not_learned = not_learned_.load(std::memory_order_relaxed);
  out.loops = loops_.load(std::memory_order_relaxed);
  return out;
}

void Segment::tell(const SegmentEvent& event) {
  std::lock_guard guard(events_mutex_);
  const bool told = std::any_of(events_.begin(), events_.end(), [&](const SegmentEvent& e) {
    return e.kind == event.kind && e.port == event.port && e.mac.mac == event.mac.mac;
  });
  if (!told && events_.size() < kMaxEvents) events_.push_back(event);
}

std::vector<SegmentEvent> Segment::take_events() {
  std::lock_guard guard(events_mutex_);
  return std::exchange(events_, {});
}

}  // namespace greywire::gre
