// An L2 segment: one TAP that is a learning switch (IEEE 802.1Q §8) over any number of GRETAP peers. It says what becomes
// of a frame and sends none itself. Ports: 0 is the TAP, the peers count from 1.
//
// - Split horizon: a frame from one peer never goes to another, because in a full mesh that one gets it directly
//   (RFC 4762 §4.4). Peers marked as spokes are outside the mesh: frames between them and anybody pass.
// - Storm control: broadcast, multicast and frames to unknown addresses have limits a port and, four times those, in all.
// - Loops: each port gets a probe frame of ours now and then; one that comes back shows a loop, as does an address that
//   goes to and fro between the TAP and a peer. Then the peer's port is blocked for a while, and as long as probes return.
//   When that ends, what was learned on the TAP's side is forgotten: it may be behind the peer again.
//
// Pure, time is handed in. Any thread; no locks for what is known, see mac_table.h. Memory comes at the start.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "router/base/drop_reason.h"
#include "router/gre/mac_table.h"
#include "router/gre/storm_limit.h"

namespace greywire::gre {

struct FixedMac {
  MacAddress mac;
  SegmentPort port = 0;
  friend bool operator==(const FixedMac&, const FixedMac&) = default;
};

struct SegmentConfig {
  std::vector<bool> spokes;  // a peer each, in the order of their ports
  MacLimits macs;
  std::uint32_t broadcast = 1000;  // frames a second from one port; 0: no limit
  std::uint32_t multicast = 4000;
  std::uint32_t unknown = 1000;
  bool forward_bpdus = false;  // those of STP and PVST+; other link-local protocols never pass
  std::vector<FixedMac> fixed;
  Duration block_for = std::chrono::seconds(60);
  Duration probe_every = std::chrono::seconds(1);  // one port after the other; 0: no probes
  std::uint64_t nonce = 0;  // tells our probes from others', and seeds the table
  friend bool operator==(const SegmentConfig&, const SegmentConfig&) = default;
};

struct SegmentVerdict {
  enum class Action : std::uint8_t { kDrop, kSend, kFlood } action = Action::kDrop;
  DropReason reason = DropReason::kInternal;  // kDrop
  SegmentPort to = 0;                         // kSend
};

// Something that a person should know.
struct SegmentEvent {
  enum class Kind : std::uint8_t {
    kLoop,      // `port` was blocked until `until`
    kFlapping,  // `mac` keeps moving between `port` and `other`
    kMacLimit,  // `port` has more addresses than it may
  } kind = Kind::kLoop;
  SegmentPort port = 0;
  SegmentPort other = 0;
  MacKey mac;
};

struct SegmentPortStatus {
  std::size_t macs = 0;
  Duration blocked_for{0};  // 0: it is not
};
struct SegmentStatus {
  std::vector<SegmentPortStatus> ports;
  std::uint64_t moves = 0;
  std::uint64_t flooded = 0;  // frames that went to more than one port's choice
  std::uint64_t not_learned = 0;
  std::uint64_t loops = 0;
};

class Segment {
 public:
  explicit Segment(const SegmentConfig& config);

  std::size_t ports() const { return ports_.size(); }

  // What becomes of a frame that came in at `in`; a super-frame counts as `frames`.
  SegmentVerdict receive(SegmentPort in, std::span<const std::uint8_t> frame, std::uint32_t frames, TimePoint now);
  // Whether a frame that is flooded goes from `in` to `out`.
  bool floods(SegmentPort in, SegmentPort out, TimePoint now) const {
    return in != out && may_pass(in, out) && !blocked(out, now);
  }

  // The port that should get a probe now; to be asked with each frame. write_probe() makes it: kProbeSize bytes.
  static constexpr std::size_t kProbeSize = 60;
  std::optional<SegmentPort> probe_due(TimePoint now);
  void write_probe(SegmentPort port, std::uint8_t* out) const;

  void forget(SegmentPort port) { macs_.forget(port); }  // the peer is gone: its addresses may be elsewhere
  SegmentStatus status(TimePoint now);
  std::vector<MacTable::Entry> macs(TimePoint now) const { return macs_.entries(now); }
  std::vector<SegmentEvent> take_events();  // since the last call, each kind and port once; at most kMaxEvents

  static constexpr unsigned kFlapping = 5;  // moves of one address, each within 10 s of the one before
  static constexpr unsigned kLooping = 10;
  static constexpr std::size_t kMaxEvents = 32;

 private:
  enum class Class : std::uint8_t { kUnknown, kBroadcast, kMulticast };
  struct Port {
    bool spoke = false;
    std::atomic<std::int64_t> blocked_until{0};
    std::array<StormLimit, 3> storm;  // by Class
  };

  bool may_pass(SegmentPort in, SegmentPort out) const {
    return in == 0 || out == 0 || ports_[in].spoke || ports_[out].spoke;
  }
  bool blocked(SegmentPort port, TimePoint now) const {
    return ports_[port].blocked_until.load(std::memory_order_relaxed) > now.time_since_epoch().count();
  }
  std::optional<DropReason> learn(SegmentPort in, const MacKey& source, TimePoint now);
  SegmentVerdict flood(SegmentPort in, Class kind, std::uint32_t frames, TimePoint now);
  std::optional<SegmentPort> own_probe(std::span<const std::uint8_t> frame) const;
  void probe_returned(SegmentPort sent_at, SegmentPort in, TimePoint now);
  void block(SegmentPort port, SegmentPort other, TimePoint now);
  void end_blocks(TimePoint now);
  void tell(const SegmentEvent& event);

  const SegmentConfig config_;
  std::vector<Port> ports_;
  MacTable macs_;
  std::array<StormLimit, 3> storm_;
  std::atomic<std::int64_t> next_probe_{0};
  std::atomic<std::int64_t> next_block_end_{0};  // 0: nothing is blocked
  std::atomic<std::uint32_t> probe_turn_{0};
  std::atomic<std::uint64_t> moves_{0}, flooded_{0}, not_learned_{0}, loops_{0};
  std::mutex events_mutex_;  // for what a person should know: now and then
  std::vector<SegmentEvent> events_;
};

}  // namespace greywire::gre
