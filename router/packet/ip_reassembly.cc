#include "router/packet/ip_reassembly.h"

#include <algorithm>
#include <cstring>

#include "router/base/byte_order.h"
#include "router/packet/checksum.h"

namespace greywire {

struct IpReassembly::Fragment {
  const std::uint8_t* packet = nullptr;
  Family family = Family::kV4;
  std::uint8_t protocol = 0;  // IPv4: part of the key. IPv6: what the Fragment header says comes next
  std::uint8_t ecn = 0;
  bool more = false;
  std::uint32_t identification = 0;
  std::uint32_t offset = 0;
  std::uint32_t size = 0;       // of the payload
  std::size_t header_size = 0;  // of what stays before the payload: no Fragment header
  std::size_t payload_at = 0;
  std::size_t next_header_at = 0;  // IPv6: offset of the Next Header byte that says 44
  std::array<std::uint8_t, 32> addresses{};
  std::uint32_t tag = 0;
};

struct IpReassembly::Piece {
  std::uint16_t offset = 0;
  std::uint16_t size = 0;
};

struct IpReassembly::Datagram {
  bool refused = false;  // an overlap was seen: its memory is free, what still comes is dropped
  Family family = Family::kV4;
  std::uint8_t protocol = 0;
  std::uint8_t ecn_seen = 0;  // a bit an ECN value
  std::uint32_t identification = 0;
  std::array<std::uint8_t, 32> addresses{};
  TimePoint deadline;
  std::uint32_t fragments = 0;  // taken, duplicates included
  std::uint32_t total = 0;      // payload bytes, known when the last fragment is there, else 0
  std::uint32_t received = 0;   // payload bytes
  std::uint32_t highest = 0;    // end of the furthest piece
  std::size_t header_size = 0;  // 0 until the first fragment is there
  std::array<std::uint8_t, kMaxHeader> header;
  std::size_t piece_count = 0;
  std::array<Piece, kMaxFragments> pieces;  // sorted, none overlaps
  std::array<std::uint16_t, kMaxChunks> chunks;
  std::size_t chunk_count = 0;
};

namespace {

constexpr std::uint32_t kMaxPacket = 65535;

std::uint32_t hash_key(const std::uint8_t* addresses, std::uint32_t identification, std::uint32_t protocol) {
  std::uint64_t h = identification * 0x9e3779b97f4a7c15ULL + protocol;
  for (std::size_t at = 0; at < 32; at += 8) {
    h ^= load_le64(addresses + at);
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 32;
  }
  return static_cast<std::uint32_t>(h) | 1;  // 0 marks a free slot
}

}  // namespace

IpReassembly::IpReassembly(const ReassemblyLimits& limits) : limits_(limits) {}
IpReassembly::~IpReassembly() = default;
IpReassembly::IpReassembly(IpReassembly&&) noexcept = default;
IpReassembly& IpReassembly::operator=(IpReassembly&&) noexcept = default;

void IpReassembly::allocate() {
  chunk_count_ = std::clamp<std::size_t>(limits_.bytes / kChunkSize, 1, 65535);
  datagrams_.resize(std::max<std::size_t>(1, limits_.datagrams));
  tags_.assign(datagrams_.size(), 0);
  chunks_ = std::make_unique_for_overwrite<std::uint8_t[]>(chunk_count_ * kChunkSize);
  output_ = std::make_unique_for_overwrite<std::uint8_t[]>(kMaxHeader + kMaxPacket);
  free_chunks_.reserve(chunk_count_);
  for (std::size_t i = chunk_count_; i-- > 0;) free_chunks_.push_back(static_cast<std::uint16_t>(i));
}

std::optional<DropReason> IpReassembly::parse(std::span<const std::uint8_t> packet, Fragment& fragment) {
  IpPacketInfo ip;
  if (!parse_ip(packet, ip)) return DropReason::kFragmentBad;
  const std::uint8_t* p = packet.data();
  fragment.packet = p;
  fragment.family = ip.family;
  fragment.ecn = ip.ds_field & kEcnMask;
  if (ip.family == Family::kV4) {
    if (!ip.is_fragment) return DropReason::kFragmentBad;
    const std::uint16_t field = load_be16(p + 6);
    fragment.protocol = ip.protocol;
    fragment.more = (field & 0x2000) != 0;
    fragment.offset = (field & 0x1fffU) * 8U;
    fragment.identification = load_be16(p + 4);
    fragment.header_size = fragment.payload_at = ip.header_size;
    std::memcpy(fragment.addresses.data(), p + 12, 8);
  } else {
    std::size_t at = kIpv6HeaderSize;
    std::size_t next_header_at = 6;
    while (p[next_header_at] != kProtocolFragment) {
      const std::uint8_t next = p[next_header_at];
      const bool skippable =
          next == kProtocolHopByHop || next == kProtocolRouting || next == kProtocolDestinationOptions;
      if (!skippable || at + 8 > ip.total_size) return DropReason::kFragmentBad;
      next_header_at = at;
      at += (p[at + 1] + 1U) * 8U;
      if (at > kMaxHeader) return DropReason::kFragmentBad;
    }
    if (at + 8 > ip.total_size) return DropReason::kFragmentBad;
    const std::uint16_t field = load_be16(p + at + 2);
    fragment.protocol = p[at];
    fragment.more = (field & 1) != 0;
    fragment.offset = field & 0xfff8U;
    fragment.identification = load_be32(p + at + 4);
    fragment.header_size = at;
    fragment.payload_at = at + 8;
    fragment.next_header_at = next_header_at;
    std::memcpy(fragment.addresses.data(), p + 8, 32);
  }
  fragment.size = static_cast<std::uint32_t>(ip.total_size - fragment.payload_at);
  if (fragment.size == 0 || (fragment.more && fragment.size % 8 != 0)) return DropReason::kFragmentBad;
  // RFC 791 counts the header in the total length, RFC 8200 all but the fixed header.
  const std::size_t counted =
      ip.family == Family::kV4 ? fragment.header_size : fragment.header_size - kIpv6HeaderSize;
  if (counted + fragment.offset + fragment.size > kMaxPacket) return DropReason::kFragmentBad;
  // RFC 8200 §4.5: the key of IPv6 does not have the protocol.
  const std::uint32_t key_protocol = ip.family == Family::kV4 ? fragment.protocol | 0x100U : 0;
  fragment.tag = hash_key(fragment.addresses.data(), fragment.identification, key_protocol);
  return std::nullopt;
}

IpReassembly::Datagram* IpReassembly::find(const Fragment& fragment) {
  for (std::size_t i = 0; i < tags_.size(); ++i) {
    if (tags_[i] != fragment.tag) continue;
    Datagram& d = datagrams_[i];
    if (d.family == fragment.family && d.identification == fragment.identification &&
        (d.family == Family::kV6 || d.protocol == fragment.protocol) && d.addresses == fragment.addresses) {
      return &d;
    }
  }
  return nullptr;
}

void IpReassembly::release_chunks(Datagram& datagram) {
  for (std::size_t i = 0; i < datagram.chunk_count; ++i) free_chunks_.push_back(datagram.chunks[i]);
  chunks_in_use_ -= datagram.chunk_count;
  datagram.chunk_count = 0;
}

void IpReassembly::close(Datagram& datagram) {
  release_chunks(datagram);
  tags_[static_cast<std::size_t>(&datagram - datagrams_.data())] = 0;
  --pending_;
  if (pending_ == 0) next_expiry_ = kNever;
}

void IpReassembly::expire_into(TimePoint now, ReassemblyResult& result) {
  if (now < next_expiry_) return;
  next_expiry_ = kNever;
  TimePoint next = kNever;
  for (std::size_t i = 0; i < tags_.size(); ++i) {
    if (tags_[i] == 0) continue;
    Datagram& d = datagrams_[i];
    if (d.deadline > now) {
      next = std::min(next, d.deadline);
      continue;
    }
    result.timed_out += d.fragments;
    close(d);
  }
  next_expiry_ = next;
}

// The oldest packet but `keep`, or nothing.
IpReassembly::Datagram* IpReassembly::oldest(const Datagram* keep, bool with_chunks) {
  Datagram* found = nullptr;
  for (std::size_t i = 0; i < tags_.size(); ++i) {
    Datagram& d = datagrams_[i];
    if (tags_[i] == 0 || &d == keep || (with_chunks && d.chunk_count == 0)) continue;
    if (found == nullptr || d.deadline < found->deadline) found = &d;
  }
  return found;
}

void IpReassembly::evict(Datagram& datagram, ReassemblyResult& result) {
  result.evicted += datagram.fragments;
  close(datagram);
}

IpReassembly::Datagram& IpReassembly::open(const Fragment& fragment, TimePoint now,
                                           ReassemblyResult& result) {
  if (pending_ == datagrams_.size()) evict(*oldest(nullptr, false), result);
  const auto slot = static_cast<std::size_t>(std::find(tags_.begin(), tags_.end(), 0U) - tags_.begin());
  tags_[slot] = fragment.tag;
  Datagram& d = datagrams_[slot];
  d.refused = false;
  d.family = fragment.family;
  d.protocol = fragment.protocol;
  d.ecn_seen = 0;
  d.identification = fragment.identification;
  d.addresses = fragment.addresses;
  d.deadline = now + limits_.timeout;
  d.fragments = d.total = d.received = d.highest = 0;
  d.header_size = d.piece_count = d.chunk_count = 0;
  ++pending_;
  next_expiry_ = std::min(next_expiry_, d.deadline);
  return d;
}

std::optional<DropReason> IpReassembly::check(const Datagram& datagram, const Fragment& fragment,
                                              bool& duplicate) const {
  const std::uint32_t end = fragment.offset + fragment.size;
  for (std::size_t i = 0; i < datagram.piece_count; ++i) {
    const Piece& piece = datagram.pieces[i];
    if (piece.offset == fragment.offset && piece.size == fragment.size) {
      // The same bytes cannot be the last and not the last.
      if (fragment.more == (datagram.total == end)) return DropReason::kFragmentBad;
      duplicate = true;
      return std::nullopt;
    }
    if (piece.offset < end && fragment.offset < std::uint32_t{piece.offset} + piece.size) {
      return DropReason::kFragmentOverlap;
    }
  }
  if (datagram.total != 0 && (!fragment.more || end > datagram.total)) return DropReason::kFragmentBad;
  if (!fragment.more && datagram.highest > end) return DropReason::kFragmentBad;
  if (datagram.piece_count == kMaxFragments) return DropReason::kFragmentMemory;
  return std::nullopt;
}

// Memory up to the fragment's end, taken from the oldest packets when there is none left.
bool IpReassembly::reserve(Datagram& datagram, const Fragment& fragment, ReassemblyResult& result) {
  const std::size_t needed = (fragment.offset + fragment.size + kChunkSize - 1) / kChunkSize;
  if (needed > chunk_count_) return false;
  while (datagram.chunk_count < needed) {
    if (free_chunks_.empty()) {
      Datagram* victim = oldest(&datagram, true);
      if (victim == nullptr) return false;
      evict(*victim, result);
      continue;
    }
    datagram.chunks[datagram.chunk_count++] = free_chunks_.back();
    free_chunks_.pop_back();
    ++chunks_in_use_;
  }
  return true;
}

void IpReassembly::store(Datagram& datagram, const Fragment& fragment) {
  const std::uint8_t* from = fragment.packet + fragment.payload_at;
  std::uint32_t at = fragment.offset;
  const std::uint32_t end = fragment.offset + fragment.size;
  while (at < end) {
    const std::size_t within = at % kChunkSize;
    const std::size_t n = std::min<std::size_t>(kChunkSize - within, end - at);
    std::memcpy(chunks_.get() + datagram.chunks[at / kChunkSize] * kChunkSize + within, from, n);
    from += n;
    at += static_cast<std::uint32_t>(n);
  }
  std::size_t place = datagram.piece_count++;
  for (; place > 0 && datagram.pieces[place - 1].offset > fragment.offset; --place) {
    datagram.pieces[place] = datagram.pieces[place - 1];
  }
  datagram.pieces[place] = {static_cast<std::uint16_t>(fragment.offset),
                            static_cast<std::uint16_t>(fragment.size)};
  datagram.received += fragment.size;
  datagram.highest = std::max(datagram.highest, end);
  datagram.ecn_seen |= static_cast<std::uint8_t>(1U << fragment.ecn);
  if (!fragment.more) datagram.total = end;
  if (fragment.offset != 0) return;
  datagram.header_size = fragment.header_size;
  std::memcpy(datagram.header.data(), fragment.packet, fragment.header_size);
  if (fragment.family == Family::kV6) datagram.header[fragment.next_header_at] = fragment.protocol;
}

std::span<std::uint8_t> IpReassembly::finish(Datagram& datagram) {
  const std::size_t header = datagram.header_size;
  const std::size_t size = header + datagram.total;
  std::uint8_t* out = output_.get();
  std::memcpy(out, datagram.header.data(), header);
  for (std::uint32_t at = 0; at < datagram.total; at += kChunkSize) {
    const std::size_t n = std::min<std::size_t>(kChunkSize, datagram.total - at);
    std::memcpy(out + header + at, chunks_.get() + datagram.chunks[at / kChunkSize] * kChunkSize, n);
  }
  // RFC 3168 §5.3: one mark marks the packet.
  const bool marked = (datagram.ecn_seen & 1U << kEcnCe) != 0;
  if (datagram.family == Family::kV4) {
    if (marked) out[1] |= kEcnCe;
    store_be16(out + 2, static_cast<std::uint16_t>(size));
    store_be16(out + 6, 0);
    store_be16(out + 10, 0);
    store_be16(out + 10, checksum_finish(checksum_add(out, header, 0)));
  } else {
    if (marked) out[1] |= kEcnCe << 4;
    store_be16(out + 4, static_cast<std::uint16_t>(size - kIpv6HeaderSize));
  }
  return {out, size};
}

// RFC 6946: the first and last fragment at once has nothing to do with others of the same identification.
std::span<std::uint8_t> IpReassembly::pass_atomic(const Fragment& fragment) {
  std::uint8_t* out = output_.get();
  std::memcpy(out, fragment.packet, fragment.header_size);
  std::memcpy(out + fragment.header_size, fragment.packet + fragment.payload_at, fragment.size);
  const std::size_t size = fragment.header_size + fragment.size;
  out[fragment.next_header_at] = fragment.protocol;
  store_be16(out + 4, static_cast<std::uint16_t>(size - kIpv6HeaderSize));
  return {out, size};
}

ReassemblyResult IpReassembly::refuse(Datagram& datagram, DropReason reason, ReassemblyResult result) {
  result.drop = reason;
  result.dropped_with = datagram.fragments;
  datagram.fragments = 0;
  datagram.refused = true;
  release_chunks(datagram);
  return result;
}

ReassemblyResult IpReassembly::add(std::span<const std::uint8_t> packet, TimePoint now) {
  ReassemblyResult result;
  expire_into(now, result);
  Fragment fragment;
  result.drop = parse(packet, fragment);
  if (result.drop) return result;
  if (datagrams_.empty()) allocate();
  if (fragment.family == Family::kV6 && fragment.offset == 0 && !fragment.more) {
    result.packet = pass_atomic(fragment);
    result.fragments = 1;
    return result;
  }
  Datagram* found = find(fragment);
  Datagram& datagram = found != nullptr ? *found : open(fragment, now, result);
  if (datagram.refused) {
    result.drop = DropReason::kFragmentOverlap;
    return result;
  }
  bool duplicate = false;
  if (const auto reason = check(datagram, fragment, duplicate)) return refuse(datagram, *reason, result);
  if (!duplicate) {
    if (!reserve(datagram, fragment, result)) return refuse(datagram, DropReason::kFragmentMemory, result);
    store(datagram, fragment);
  }
  ++datagram.fragments;
  if (datagram.total == 0 || datagram.received != datagram.total) return result;
  // RFC 3168 §5.3: a mark beside a fragment that cannot be marked is no honest packet.
  constexpr unsigned kContradiction = 1U << kEcnCe | 1U << kEcnNotEct;
  const bool contradiction = (datagram.ecn_seen & kContradiction) == kContradiction;
  const std::uint32_t counted = datagram.family == Family::kV4
                                    ? static_cast<std::uint32_t>(datagram.header_size)
                                    : static_cast<std::uint32_t>(datagram.header_size - kIpv6HeaderSize);
  if (contradiction || counted + datagram.total > kMaxPacket) {
    result.drop = DropReason::kFragmentBad;
    result.dropped_with = datagram.fragments - 1;
  } else {
    result.packet = finish(datagram);
    result.fragments = datagram.fragments;
  }
  close(datagram);
  return result;
}

ReassemblyResult IpReassembly::expire(TimePoint now) {
  ReassemblyResult result;
  expire_into(now, result);
  return result;
}

}  // namespace greywire
