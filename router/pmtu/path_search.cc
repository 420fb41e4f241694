#include "router/pmtu/path_search.h"

#include <algorithm>
#include <array>

namespace greywire::pmtu {
namespace {

using namespace std::chrono_literals;

constexpr Mtu kBasePlpmtu{1280};

// Paths that are common: Ethernet, PPPoE, tunnels over either. The next one above the middle of what is left is tried.
constexpr std::array<std::uint32_t, 8> kCommonSizes = {1420, 1440, 1452, 1460, 1472, 1480, 1492, 1500};

// How long behind the small answer the large one may still come: they travel in one flow, the large one first.
Duration reordering_margin(Duration round_trip) { return 10ms + round_trip / 4; }

}  // namespace

std::string_view path_state_name(PathState state) {
  switch (state) {
    case PathState::kBase: return "base";
    case PathState::kSearching: return "searching";
    case PathState::kSearchComplete: return "complete";
    case PathState::kError: return "error";
    case PathState::kUnprobeable: return "unprobeable";
  }
  return "";
}

std::string_view path_reason_text(PathReason reason) {
  switch (reason) {
    case PathReason::kAssumed: return "assumed until a probe tells";
    case PathReason::kConfirmed: return "a probe of this size was answered";
    case PathReason::kBlackHole: return "larger packets were not answered";
    case PathReason::kReported: return "a router said so and a probe agreed";
    case PathReason::kRaised: return "the path became larger";
    case PathReason::kInterface: return "the interface to the peer takes no more";
    case PathReason::kMoved: return "the peer is at another endpoint";
    case PathReason::kTooSmall: return "not even the base size is answered";
  }
  return "";
}

PathLimits path_limits(Family underlay, Mtu max) {
  PathLimits limits;
  limits.min = std::min(underlay == Family::kV4 ? Mtu{576} : Mtu{1280}, max);
  limits.base = std::clamp(kBasePlpmtu, limits.min, max);
  limits.max = max;
  return limits;
}

PathSearch::Step PathSearch::advance(TimePoint now) {
  Step step;
  if (in_flight() && attempt_deadline() <= now) judge_attempt(now);
  if (raise_at_ <= now) raise(now);
  if (watch_at_ <= now) {
    watch_at_ = kNever;
    step.watch = true;
  }
  if (!in_flight() && next_at_ <= now) step.send = begin(now);
  return step;
}

TimePoint PathSearch::next_deadline() const {
  const TimePoint attempt = in_flight() ? attempt_deadline() : next_at_;
  return std::min({attempt, raise_at_, watch_at_});
}

TimePoint PathSearch::attempt_deadline() const {
  if (small_answered_ != kNever) return small_answered_ + reordering_margin(round_trip_.value_or(0ns));
  const Duration timeout = round_trip_ ? std::max<Duration>(*round_trip_ * 3, 100ms) : kFirstTimeout;
  return sent_ + std::min(kMaxTimeout, timeout * (1U << silences_));
}

// RFC 8899 §5.3.2 leaves the order open.
std::uint32_t PathSearch::next_size() const {
  if (state_ == PathState::kSearchComplete || state_ == PathState::kUnprobeable) return plpmtu_.bytes;
  if (hint_ > low_ && hint_ < high_) return hint_;
  if (high_ > limits_.max.bytes) return limits_.max.bytes;
  if (state_ == PathState::kBase && limits_.base.bytes < high_) return limits_.base.bytes;
  if (beside_low_) return low_ + 1;
  const std::uint32_t low = std::max(low_, limits_.min.bytes);
  const std::uint32_t middle = low + (high_ - low) / 2;
  for (const std::uint32_t common : kCommonSizes) {
    if (common < high_ && common >= middle) return common;
  }
  return middle;
}

PathSearch::Attempt PathSearch::begin(TimePoint now) {
  const std::uint32_t size = next_size();
  if (size != target_) failures_ = 0;
  target_ = size;
  sent_ = now;
  small_answered_ = kNever;
  next_at_ = kNever;
  const Attempt attempt{next_id_, Mtu{size}};
  past_[(next_id_ / 2) % kRemembered] = {next_id_, size, now};
  next_id_ += 2;
  return attempt;
}

void PathSearch::judge_attempt(TimePoint now) {
  const bool small_came = small_answered_ != kNever;
  const bool confirming = state_ == PathState::kSearchComplete;
  next_at_ = confirming && hint_ == 0 ? std::max(now, sent_ + kBlackHoleSpacing) : now;
  sent_ = kNever;
  if (!small_came) {
    if (++silences_ < kMaxSilences) return;
    silences_ = 0;
    next_at_ = kNever;  // until the peer is heard, or something large is sent
    if (!ever_heard_) set(PathState::kUnprobeable, plpmtu_.bytes, reason_, now);
    if (state_ == PathState::kUnprobeable) {
      raise_at_ = now + limits_.raise_after;
    } else {
      watch_at_ = now + kConfirmInterval;
    }
    return;
  }
  silences_ = 0;
  if (++failures_ >= (confirming ? kBlackHoleProbes : kMaxProbes)) size_failed(target_, now);
}

void PathSearch::answered(std::uint32_t id, TimePoint now) {
  const Sent& sent = past_[(id / 2) % kRemembered];
  if (sent.id == 0 || sent.id != (id & ~1U)) return;
  measure(now - sent.at);
  ever_heard_ = true;
  if (state_ == PathState::kUnprobeable) set(PathState::kBase, plpmtu_.bytes, reason_, now);
  const bool current = in_flight() && sent.id + 2 == next_id_;
  if (id % 2 == 1) {
    if (current) small_answered_ = now;
    return;
  }
  silences_ = 0;
  if (current) sent_ = kNever;
  size_passed(sent.size, now);
}

void PathSearch::refused(std::uint32_t id, TimePoint now) {
  if (!in_flight() || id + 2 != next_id_) return;
  sent_ = kNever;
  next_at_ = now;
  size_failed(target_, now);
  cause_ = PathReason::kInterface;
  if (reason_ == PathReason::kBlackHole) reason_ = cause_;
}

void PathSearch::size_passed(std::uint32_t size, TimePoint now) {
  if (target_ == size) failures_ = 0;
  if (state_ == PathState::kSearchComplete && size <= plpmtu_.bytes) {
    if (size == plpmtu_.bytes) {
      hint_ = 0;  // a report that was wrong, or forged
      next_at_ = kNever;
      watch_at_ = now + kConfirmInterval;
    }
    return;
  }
  if (high_ <= size) high_ = limits_.max.bytes + 1;  // it was only late
  const bool by_hint = size == hint_;
  if (by_hint) hint_ = 0;
  if (size > low_) low_ = size;
  beside_low_ = by_hint;
  next_at_ = now;
  if (by_hint) cause_ = PathReason::kReported;
  // The size assumed at the start stands until it fails.
  const bool assumed = low_ < plpmtu_.bytes && plpmtu_.bytes < high_;
  set(PathState::kSearching, assumed ? plpmtu_.bytes : low_, assumed ? reason_ : cause_, now);
  if (low_ + 1 >= high_ || low_ >= limits_.max.bytes) complete(now);
}

void PathSearch::size_failed(std::uint32_t size, TimePoint now) {
  high_ = std::min(high_, size);
  failures_ = 0;
  target_ = 0;
  if (hint_ >= high_) hint_ = 0;
  next_at_ = now;
  if (state_ == PathState::kSearchComplete) {
    ++black_holes_;
    low_ = 0;
    raise_at_ = kNever;
    watch_at_ = kNever;
  }
  if (state_ == PathState::kSearching) {
    if (plpmtu_.bytes >= high_) set(state_, low_, cause_, now);
    if (size == low_ + 1) complete(now);
    return;
  }
  if (state_ != PathState::kError) {
    cause_ = PathReason::kBlackHole;
    if (size > limits_.base.bytes) return set(PathState::kBase, limits_.base.bytes, cause_, now);
    low_ = 0;
    set(PathState::kError, limits_.min.bytes, PathReason::kTooSmall, now);
  }
  if (high_ > limits_.min.bytes + 1) return;
  next_at_ = kNever;
  raise_at_ = now + limits_.raise_after;
}

void PathSearch::complete(TimePoint now) {
  set(PathState::kSearchComplete, low_, reason_, now);
  hint_ = 0;
  beside_low_ = false;
  next_at_ = kNever;
  watch_at_ = now + kConfirmInterval;
  raise_at_ = low_ < limits_.max.bytes ? now + limits_.raise_after : kNever;
}

void PathSearch::raise(TimePoint now) {
  raise_at_ = kNever;
  watch_at_ = kNever;
  high_ = limits_.max.bytes + 1;
  next_at_ = can_probe_ ? now : kNever;
  target_ = 0;
  if (state_ == PathState::kSearchComplete) {
    beside_low_ = true;  // after the largest
    cause_ = PathReason::kRaised;
    set(PathState::kSearching, plpmtu_.bytes, reason_, now);
  } else if (state_ == PathState::kUnprobeable) {
    set(PathState::kUnprobeable, limits_.max.bytes, PathReason::kAssumed, now);
    if (!can_probe_) raise_at_ = now + limits_.raise_after;
  }
}

void PathSearch::reported(Mtu mtu, TimePoint now) {
  if (mtu < limits_.min || mtu >= plpmtu_) return;
  if (state_ == PathState::kUnprobeable) {
    raise_at_ = now + limits_.raise_after;
    return set(PathState::kUnprobeable, mtu.bytes, PathReason::kReported, now);
  }
  hint_ = mtu.bytes;
  if (state_ != PathState::kSearchComplete || in_flight()) return;
  next_at_ = now;
  watch_at_ = kNever;
}

void PathSearch::large_packet_sent(TimePoint now) {
  if (!can_probe_ || in_flight() || next_at_ != kNever) return;
  next_at_ = now;
  watch_at_ = kNever;
}

void PathSearch::heard(TimePoint now) {
  const bool waits_for_raise = state_ == PathState::kError && raise_at_ != kNever;
  if (!can_probe_ || in_flight() || next_at_ != kNever || state_ == PathState::kSearchComplete || waits_for_raise) return;
  next_at_ = now;
}

void PathSearch::give_up_probing(TimePoint now) {
  can_probe_ = false;
  next_at_ = sent_ = watch_at_ = kNever;
  if (raise_at_ == kNever) raise_at_ = now + limits_.raise_after;
  set(PathState::kUnprobeable, plpmtu_.bytes, reason_, now);
}

void PathSearch::moved(const PathLimits& limits, TimePoint now) {
  const std::uint64_t black_holes = black_holes_;
  const std::uint32_t next_id = next_id_ + 2 * kRemembered;  // answers from the old path mean nothing
  *this = PathSearch(limits);
  black_holes_ = black_holes;
  next_id_ = next_id;
  next_at_ = now;
  reason_ = PathReason::kMoved;
  changed_at_ = now;
}

void PathSearch::set(PathState state, std::uint32_t plpmtu, PathReason reason, TimePoint now) {
  state_ = state;
  if (plpmtu != plpmtu_.bytes) changed_at_ = now;
  if (plpmtu != plpmtu_.bytes || reason_ == PathReason::kAssumed || reason_ == PathReason::kMoved) reason_ = reason;
  plpmtu_ = Mtu{plpmtu};
}

void PathSearch::measure(Duration round_trip) {
  round_trip_ = round_trip_ ? (*round_trip_ * 7 + round_trip) / 8 : round_trip;
}

}  // namespace greywire::pmtu
