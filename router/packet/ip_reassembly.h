// Puts the fragments of IPv4 and IPv6 packets together again, in bounded memory: one instance a peer, so that
// no peer can take another's. RFC 791 §3.2, RFC 815, RFC 8200 §4.5, RFC 5722 (overlaps), RFC 6946 (atomic
// fragments).
//
// The timeout is short on purpose. IPv4's identification has 16 bits: at a gigabit of 1500-byte packets it
// comes round in 0.8 s, and after the loss of one fragment the rest could be joined with those of another
// packet (RFC 4963). RFC 791's 15 s and RFC 8200's 60 s are of no use here: fragments of a tunnel leave
// together and arrive together.
//
// One thread at a time. Memory comes once, with the first fragment, and is kept.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "router/base/drop_reason.h"
#include "router/base/time.h"
#include "router/packet/ip_header.h"

namespace greywire {

struct ReassemblyLimits {
  std::size_t bytes = 256 * 1024;              // payload of unfinished packets, in units of 2 KiB
  std::size_t datagrams = 64;                  // unfinished packets at a time
  Duration timeout = std::chrono::seconds(1);  // from a packet's first fragment to its last
};

struct ReassemblyResult {
  // A complete packet, its header rewritten as if it had never been cut; empty while there is none. Valid
  // until the next call.
  std::span<std::uint8_t> packet;
  std::uint32_t fragments = 0;  // that `packet` was made of, duplicates included
  // Why the fragment handed in will not become part of a packet.
  std::optional<DropReason> drop;
  // Fragments taken earlier that are lost with this call: with `drop` (their packet was given up), by age, by
  // making room.
  std::uint32_t dropped_with = 0;
  std::uint32_t timed_out = 0;
  std::uint32_t evicted = 0;

  // Each fragment that is lost under exactly one reason.
  void count(DropCounters& drops) const {
    if (drop) drops.count(*drop, 1 + dropped_with);
    if (timed_out != 0) drops.count(DropReason::kFragmentTimeout, timed_out);
    if (evicted != 0) drops.count(DropReason::kFragmentMemory, evicted);
  }
};

class IpReassembly {
 public:
  explicit IpReassembly(const ReassemblyLimits& limits = {});
  ~IpReassembly();
  IpReassembly(IpReassembly&&) noexcept;
  IpReassembly& operator=(IpReassembly&&) noexcept;

  // Takes one fragment, copying what it needs. A packet that is no fragment, or makes no sense, is
  // kFragmentBad. An exact duplicate is ignored without a drop. After an overlap or a contradiction, what
  // still comes of that packet is dropped too, as kFragmentOverlap, until the timeout. When datagrams or
  // bytes run out, the oldest packet makes room.
  ReassemblyResult add(std::span<const std::uint8_t> fragment, TimePoint now);

  // Gives up what is too old. Only needed when no fragments come any more: add() does it too.
  ReassemblyResult expire(TimePoint now);

  // When expire() has something to do, or kNever.
  TimePoint next_expiry() const { return next_expiry_; }

  std::size_t pending() const { return pending_; }                           // unfinished packets
  std::size_t pending_bytes() const { return chunks_in_use_ * kChunkSize; }  // memory that they hold

 private:
  static constexpr std::size_t kChunkSize = 2048;
  static constexpr std::size_t kMaxFragments = 64;  // of one packet; 52 carry 64 KiB over a 1280-byte path
  static constexpr std::size_t kMaxChunks = 32;     // 64 KiB
  static constexpr std::size_t kMaxHeader = 256;    // IPv6 header with its unfragmentable extension headers

  struct Piece;
  struct Datagram;
  struct Fragment;
  static std::optional<DropReason> parse(std::span<const std::uint8_t> packet, Fragment& fragment);
  Datagram* find(const Fragment& fragment);
  Datagram& open(const Fragment& fragment, TimePoint now, ReassemblyResult& result);
  Datagram* oldest(const Datagram* keep, bool with_chunks);
  void evict(Datagram& datagram, ReassemblyResult& result);
  ReassemblyResult refuse(Datagram& datagram, DropReason reason, ReassemblyResult result);
  std::optional<DropReason> check(const Datagram& datagram, const Fragment& fragment, bool& duplicate) const;
  bool reserve(Datagram& datagram, const Fragment& fragment, ReassemblyResult& result);
  void store(Datagram& datagram, const Fragment& fragment);
  std::span<std::uint8_t> finish(Datagram& datagram);
  std::span<std::uint8_t> pass_atomic(const Fragment& fragment);
  void release_chunks(Datagram& datagram);
  void close(Datagram& datagram);
  void expire_into(TimePoint now, ReassemblyResult& result);
  void allocate();

  ReassemblyLimits limits_;
  std::vector<Datagram> datagrams_;
  std::vector<std::uint32_t> tags_;  // a hash of each datagram's key, 0: free
  std::vector<std::uint16_t> free_chunks_;
  std::unique_ptr<std::uint8_t[]> chunks_;
  std::unique_ptr<std::uint8_t[]> output_;
  std::size_t chunk_count_ = 0;
  std::size_t chunks_in_use_ = 0;
  std::size_t pending_ = 0;
  TimePoint next_expiry_ = kNever;
};

}  // namespace greywire
