// Where packets are copied to while somebody captures: those of one peer, as they are inside the tunnel or as datagrams
// outside, or those of one link. One tap an engine, for as long as it lives; one capture at a time.
//
// Workers ask wanted() once a batch, one relaxed load, and do nothing else while it is off. While it is on they copy under a
// mutex into a bounded buffer; what does not fit is counted and lost, and the packet itself goes on unhindered.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "router/base/ids.h"
#include "router/base/time.h"
#include "router/wireguard/peer_data.h"

namespace greywire {

enum class CaptureWhat : std::uint8_t { kNothing, kInner, kOuter, kLink };

struct CapturedPacket {
  TimePoint at;
  bool outbound = false;
  std::uint32_t original_size = 0;  // of which `bytes` are the first kSnapLength at most
  std::span<const std::uint8_t> bytes;
};

class CaptureTap {
 public:
  static constexpr std::size_t kBuffer = 8 * 1024 * 1024;  // bytes that wait for the reader
  static constexpr std::uint32_t kSnapLength = 65535;

  // Which packets: a token for the rest of the batch, 0 for none.
  std::uint64_t wanted() const { return wanted_.load(std::memory_order_relaxed); }
  static bool inner_of(std::uint64_t wanted, PeerId peer) { return wanted == token(CaptureWhat::kInner, peer.value); }
  static bool outer_of(std::uint64_t wanted, PeerId peer) { return wanted == token(CaptureWhat::kOuter, peer.value); }
  static bool of_link(std::uint64_t wanted, LinkId link) { return wanted == token(CaptureWhat::kLink, link.value); }

  // Workers, with the token of their batch.
  void add(std::uint64_t wanted, bool outbound, std::span<const std::uint8_t> packet, TimePoint now);
  // A plaintext of a WireGuard message: without its padding.
  void add_inner(std::uint64_t wanted, bool outbound, std::span<const std::uint8_t> padded, TimePoint now);
  // A datagram, with the IP and UDP header that it has on the underlay (TTL, identification and checksums are not known: the
  // IPv4 checksum is right, UDP's is 0, and an address of ours that the kernel has not told is all zeros).
  void add_outer(std::uint64_t wanted, bool outbound, std::span<const std::uint8_t> datagram, const wireguard::Route& route,
                 std::uint16_t own_port, TimePoint now);

  // Any other thread. False: another capture runs.
  bool start(CaptureWhat what, std::uint32_t id);
  void stop();
  // Waits for packets, but no longer than this or stop(), and hands each to `fn`. `lost`: since start(). One reader; `scratch`
  // is his, and its memory is used again and again.
  void take(std::chrono::milliseconds wait, std::vector<std::uint8_t>& scratch, const std::function<void(const CapturedPacket&)>& fn, std::uint64_t& lost);

 private:
  struct Head {
    std::int64_t at;
    std::uint32_t size;
    std::uint32_t original;
    std::uint32_t outbound;
    std::uint32_t unused = 0;
  };
  static std::uint64_t token(CaptureWhat what, std::uint32_t id) { return static_cast<std::uint64_t>(what) << 32 | id; }
  void append(std::uint64_t wanted, bool outbound, std::span<const std::uint8_t> head, std::span<const std::uint8_t> packet,
              TimePoint now);

  std::atomic<std::uint64_t> wanted_{0};
  std::mutex mutex_;
  std::condition_variable some_;
  std::vector<std::uint8_t> buffer_;
  std::uint64_t lost_ = 0;
};

}  // namespace greywire
