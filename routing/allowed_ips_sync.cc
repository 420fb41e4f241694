#include "routing/allowed_ips_sync.h"

namespace greywire::routing {

void AllowedIpsSync::want(const LearnedChange& desired, TimePoint now) {
  const bool is_removal = desired.action == LearnedChange::Action::kRemove;
  auto it = entries_.find(desired.prefix);
  if (it == entries_.end()) {
    if (is_removal) return;
    it = entries_.try_emplace(desired.prefix).first;
  }
  auto& entry = it->second;
  entry.desired = {desired.action, desired.action == LearnedChange::Action::kPeer ? desired.peer : PeerId{}};
  if (entry.dirty || entry.desired == entry.applied) return;
  entry.dirty = true;
  dirty_.push_back(desired.prefix);
  if (flush_at_ == kNever) flush_at_ = now + kFlushDelay;
  if (dirty_.size() >= kMaxBatch) flush();
}

void AllowedIpsSync::handle_expiry(TimePoint now) {
  if (now >= flush_at_) flush();
}

void AllowedIpsSync::flush() {
  flush_at_ = kNever;
  batch_.clear();
  for (const auto& prefix : dirty_) {
    const auto it = entries_.find(prefix);
    auto& entry = it->second;
    entry.dirty = false;
    if (entry.desired != entry.applied) {
      batch_.push_back({prefix, entry.desired.action, entry.desired.peer});
      const bool was_there = entry.applied.action != LearnedChange::Action::kRemove;
      const bool is_there = entry.desired.action != LearnedChange::Action::kRemove;
      if (is_there && !was_there) ++applied_;
      if (was_there && !is_there) --applied_;
      entry.applied = entry.desired;
    }
    if (entry.applied.action == LearnedChange::Action::kRemove) entries_.erase(it);
  }
  dirty_.clear();
  if (!batch_.empty()) sink_.apply(batch_);
}

std::vector<LearnedChange> AllowedIpsSync::audit(std::span<const LearnedChange> actual) const {
  std::vector<LearnedChange> repairs;
  std::unordered_map<Prefix, Target> found;
  for (const auto& change : actual) {
    found[change.prefix] = {change.action,
                            change.action == LearnedChange::Action::kPeer ? change.peer : PeerId{}};
    const auto it = entries_.find(change.prefix);
    if (it == entries_.end() || it->second.applied.action == LearnedChange::Action::kRemove) {
      repairs.push_back({change.prefix, LearnedChange::Action::kRemove, {}});
    }
  }
  for (const auto& [prefix, entry] : entries_) {
    if (entry.applied.action == LearnedChange::Action::kRemove) continue;
    const auto it = found.find(prefix);
    if (it == found.end() || it->second != entry.applied) {
      repairs.push_back({prefix, entry.applied.action, entry.applied.peer});
    }
  }
  return repairs;
}

}  // namespace greywire::routing
