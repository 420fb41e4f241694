#include "router/wireguard/endpoint_race.h"

#include <algorithm>
#include <iterator>

namespace greywire::wireguard {
namespace {

bool holds(const std::vector<Endpoint>& list, const Endpoint& endpoint) {
  return std::find(list.begin(), list.end(), endpoint) != list.end();
}

}  // namespace

void EndpointRace::set_candidates(const std::vector<Endpoint>& candidates, TimePoint now) {
  candidates_.clear();
  for (const Endpoint& candidate : candidates) {
    if (candidates_.size() == kMaxCandidates) break;
    if (!holds(candidates_, candidate)) candidates_.push_back(candidate);
  }
  if (order_.empty()) return;
  for (const Endpoint& candidate : candidates_) {
    if (holds(order_, candidate)) continue;
    order_.push_back(candidate);
    if (next_at_ == kNever) next_at_ = now;
  }
}

Endpoint EndpointRace::begin(const Endpoint& current, bool working, unsigned attempt, TimePoint now) {
  order_.clear();
  if (current.port != 0) order_.push_back(current);
  if (!working || attempt > 1) {
    std::copy_if(candidates_.begin(), candidates_.end(), std::back_inserter(order_),
                 [&](const Endpoint& candidate) { return candidate != current; });
  }
  if (order_.empty()) return {};
  auto first = order_.begin() + static_cast<std::ptrdiff_t>((std::max(attempt, 1U) - 1) % order_.size());
  if (const auto found = std::find(order_.begin(), order_.end(), preferred_); found != order_.end()) first = found;
  preferred_ = {};
  std::rotate(order_.begin(), first, order_.end());
  taken_ = 0;
  return take_next(now);
}

Endpoint EndpointRace::take_next(TimePoint now) {
  const Endpoint next = order_[taken_++];
  next_at_ = taken_ < order_.size() ? now + kAttemptDelay : kNever;
  return next;
}

void EndpointRace::end() {
  order_.clear();
  next_at_ = kNever;
}

}  // namespace greywire::wireguard
