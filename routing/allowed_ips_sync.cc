#include "routing/allowed_ips_sync.h"

#include <algorithm>

namespace greywire::routing {

void AllowedIpsSync::want(const LearnedChange& before, const LearnedChange& desired, TimePoint now) {
  if (before == desired) return;
  const auto [it, is_new] = waiting_.try_emplace(desired.prefix, Waiting{before, desired});
  it->second.desired = desired;
  if (!is_new) return;
  const bool at_once = order_.empty() && desired.action != LearnedChange::Action::kRemove;
  order_.push_back(desired.prefix);
  flush_at_ = std::min(flush_at_, at_once ? std::max(now, flushed_at_ + kFlushDelay) : now + kFlushDelay);
  if (order_.size() < kMaxBatch) return;
  flushed_at_ = now;
  flush();
}

void AllowedIpsSync::handle_expiry(TimePoint now) {
  if (now < flush_at_) return;
  flushed_at_ = now;
  flush();
}

void AllowedIpsSync::flush() {
  flush_at_ = kNever;
  batch_.clear();
  for (const Prefix& prefix : order_) {
    const Waiting& entry = waiting_.at(prefix);
    if (entry.desired == entry.applied) continue;
    if (entry.applied.action == LearnedChange::Action::kRemove) ++applied_;
    if (entry.desired.action == LearnedChange::Action::kRemove) --applied_;
    batch_.push_back(entry.desired);
  }
  order_.clear();
  waiting_.clear();
  if (!batch_.empty()) sink_.apply(batch_);
}

void AllowedIpsSync::apply(std::span<const LearnedChange> repairs) {
  for (; !repairs.empty(); repairs = repairs.subspan(std::min(repairs.size(), kMaxBatch))) {
    sink_.apply(repairs.first(std::min(repairs.size(), kMaxBatch)));
  }
}

}  // namespace greywire::routing
