// Finds the largest packet that a path carries and notices when that changes, without relying on ICMP: datagram packetization
// layer path MTU discovery, RFC 8899, for one peer at one endpoint. Sizes are those of whole underlay packets, IP header
// included. Pure: time and what happened come in, probes and the next deadline come out. Protocol thread.
//
// An attempt is a pair: a probe of the size in question and, behind it, a small one. Only "the small one was answered and
// the large one was not" speaks against the size; where neither was answered the path is silent, whatever the size. So
// neither loss nor a dead peer is taken for a black hole, and a failed attempt costs a round trip instead of a time-out.
//
// Spec compliance: RFC 8899 §5.1.2 sets MAX_PROBES to 3. We take 5 while searching, and 8 over most of a second before a
// size that was confirmed is given up: queues that count bytes drop the large of a pair more often than the small one, and
// at 5% random loss 3 would make a false black hole once in 1,500 checks, 8 once in 280 million. §5.2 starts at BASE_PLPMTU; we start at the largest size, assumed, and test it at once,
// because this is what a device's MTU is set to before: nothing is lost where it is right, and half a second where not.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "router/base/ids.h"
#include "router/base/ip_address.h"
#include "router/base/time.h"

namespace greywire::pmtu {

// RFC 8899 §5.2. kUnprobeable is its Disabled: nobody answers probes, so a fixed size and reports of routers are all there is.
enum class PathState : std::uint8_t { kBase, kSearching, kSearchComplete, kError, kUnprobeable };
std::string_view path_state_name(PathState state);  // "base", "searching", "complete", "error", "unprobeable"

// Why the size is what it is.
enum class PathReason : std::uint8_t { kAssumed, kConfirmed, kBlackHole, kReported, kRaised, kInterface, kMoved, kTooSmall };
std::string_view path_reason_text(PathReason reason);  // a few plain words

struct PathLimits {
  Mtu min;   // MIN_PLPMTU: 576 over IPv4 (RFC 1122 §3.3.2), 1280 over IPv6 (RFC 8200 §5)
  Mtu base;  // BASE_PLPMTU
  Mtu max;   // MAX_PLPMTU: the underlay's MTU
  Duration raise_after = std::chrono::minutes(10);  // PMTU_RAISE_TIMER, RFC 8899 §5.1.1
};
PathLimits path_limits(Family underlay, Mtu max);  // BASE_PLPMTU 1280, or less where the largest is

class PathSearch {
 public:
  static constexpr unsigned kMaxProbes = 5;         // MAX_PROBES of the search
  static constexpr unsigned kBlackHoleProbes = 8;   // ... before a confirmed size is given up
  static constexpr Duration kBlackHoleSpacing = std::chrono::milliseconds(100);  // between those; none after a report
  static constexpr unsigned kMaxSilences = 6;       // attempts without any answer before the search waits for the peer
  static constexpr Duration kConfirmInterval = std::chrono::milliseconds(500);  // while large packets are sent
  static constexpr Duration kFirstTimeout = std::chrono::seconds(1);     // PROBE_TIMER before a round trip is known
  static constexpr Duration kMaxTimeout = std::chrono::seconds(3);

  explicit PathSearch(const PathLimits& limits) : limits_(limits), plpmtu_(limits.max), high_(limits.max.bytes + 1) {}

  PathState state() const { return state_; }
  Mtu plpmtu() const { return plpmtu_; }  // what to use now: PLPMTU
  Mtu probed() const { return Mtu{low_}; }  // the largest size that was answered; 0: none yet
  PathReason reason() const { return reason_; }
  std::optional<TimePoint> changed_at() const { return changed_at_; }
  std::uint64_t black_holes() const { return black_holes_; }  // a size that had been confirmed went silent
  const PathLimits& limits() const { return limits_; }

  // Two probes with the numbers `id` and `id` + 1; the first makes an underlay packet of `size`, the second a small one.
  struct Attempt {
    std::uint32_t id = 0;
    Mtu size;
  };
  struct Step {
    std::optional<Attempt> send;
    bool watch = false;  // call large_packet_sent() once, when the next large packet goes out
  };
  // At or after next_deadline(). The first attempt is due at once.
  Step advance(TimePoint now);
  TimePoint next_deadline() const;

  // The probe with this number was answered; late answers count too.
  void answered(std::uint32_t id, TimePoint now);
  // The system refused to send the large one: larger than its interface's MTU.
  void refused(std::uint32_t id, TimePoint now);
  // A router says that one of our packets was too big (RFC 8899 §4.6). A hint: the size in use is tested, then this one.
  // To be called with reports that quote a packet of ours only.
  void reported(Mtu mtu, TimePoint now);
  // A datagram for which the size matters went out: the size in use is confirmed, at most once each kConfirmInterval.
  void large_packet_sent(TimePoint now);
  // The peer was heard, after a pause perhaps: a search that waited goes on.
  void heard(TimePoint now);
  // There is nobody to be probed: kUnprobeable from now on.
  void give_up_probing(TimePoint now);
  // Another endpoint, or other limits: everything learned is void.
  void moved(const PathLimits& limits, TimePoint now);

 private:
  bool in_flight() const { return sent_ != kNever; }
  TimePoint attempt_deadline() const;
  std::uint32_t next_size() const;
  Attempt begin(TimePoint now);
  void judge_attempt(TimePoint now);
  void size_passed(std::uint32_t size, TimePoint now);
  void size_failed(std::uint32_t size, TimePoint now);
  void set(PathState state, std::uint32_t plpmtu, PathReason reason, TimePoint now);
  void complete(TimePoint now);
  void raise(TimePoint now);
  void measure(Duration round_trip);

  PathLimits limits_;
  PathState state_ = PathState::kBase;
  PathReason reason_ = PathReason::kAssumed;
  PathReason cause_ = PathReason::kConfirmed;  // the reason of what the search under way finds
  Mtu plpmtu_;
  std::optional<TimePoint> changed_at_;
  std::uint64_t black_holes_ = 0;

  // low_ is known to pass (0: nothing is), high_ known not to (beyond the largest: nothing is).
  std::uint32_t low_ = 0;
  std::uint32_t high_;
  std::uint32_t hint_ = 0;     // of a router, not tested yet
  bool beside_low_ = false;    // test low_ + 1 next: low_ is likely the answer
  bool ever_heard_ = false;
  bool can_probe_ = true;

  // The attempt under way, its predecessors' sizes by number, and what became of this size so far.
  static constexpr unsigned kRemembered = 8;
  struct Sent {
    std::uint32_t id = 0;
    std::uint32_t size = 0;
    TimePoint at{};
  };
  Sent past_[kRemembered];
  std::uint32_t next_id_ = 2;
  std::uint32_t target_ = 0;
  TimePoint sent_ = kNever;
  TimePoint small_answered_ = kNever;
  unsigned failures_ = 0;
  unsigned silences_ = 0;

  TimePoint next_at_{};           // of the next attempt; kNever while nothing is due
  TimePoint raise_at_ = kNever;
  TimePoint watch_at_ = kNever;   // when to ask for the next large packet
  std::optional<Duration> round_trip_;
};

}  // namespace greywire::pmtu
