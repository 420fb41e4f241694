#include "router/allowed_ips/allowed_ips_book.h"

namespace greywire {

template <class Change>
void AllowedIpsBook::change(const Prefix& prefix, Change&& fn) {
  const auto it = slots_.find(prefix);
  const Slot before = it == slots_.end() ? Slot{} : it->second;
  Slot after = before;
  fn(after);
  if (!after.fixed && !after.learned && !after.discard) {
    if (it != slots_.end()) slots_.erase(it);
  } else {
    slots_[prefix] = after;
  }
  index(prefix, before, after);
  touch(prefix, after);
}

void AllowedIpsBook::index(const Prefix& prefix, const Slot& before, const Slot& after) {
  for (const auto& peer : {before.fixed, before.learned}) {
    if (!peer || peer == after.fixed || peer == after.learned) continue;
    const auto it = by_peer_.find(*peer);
    if (it == by_peer_.end()) continue;
    it->second.erase(prefix);
    if (it->second.empty()) by_peer_.erase(it);
  }
  for (const auto& peer : {after.fixed, after.learned}) {
    if (peer) by_peer_[*peer].insert(prefix);
  }
}

void AllowedIpsBook::touch(const Prefix& prefix, const Slot& slot) {
  RouteTarget target = kNone;
  if (slot.fixed) {
    target = RouteTarget::of(NextHopGroupId{slot.fixed->value});
  } else if (slot.discard) {
    target = kDiscard;
  } else if (slot.learned) {
    target = RouteTarget::of(NextHopGroupId{slot.learned->value});
  }
  updates_.push_back({prefix, target});
}

void AllowedIpsBook::assign(const Prefix& prefix, PeerId peer, Origin origin) {
  const auto it = slots_.find(prefix);
  if (origin == Origin::kWg && it != slots_.end() && it->second.fixed && it->second.origin == Origin::kConfig) return;
  change(prefix, [&](Slot& slot) {
    slot.fixed = peer;
    slot.origin = origin;
  });
}

void AllowedIpsBook::remove(const Prefix& prefix, PeerId peer, Origin origin) {
  const auto it = slots_.find(prefix);
  if (it == slots_.end() || it->second.fixed != peer) return;
  if (origin == Origin::kWg && it->second.origin == Origin::kConfig) return;
  change(prefix, [](Slot& slot) { slot.fixed.reset(); });
}

void AllowedIpsBook::remove_fixed(PeerId peer, std::optional<Origin> origin) {
  const auto it = by_peer_.find(peer);
  if (it == by_peer_.end()) return;
  const std::vector<Prefix> prefixes(it->second.begin(), it->second.end());
  for (const Prefix& prefix : prefixes) {
    const Slot& slot = slots_.at(prefix);
    if (slot.fixed == peer && (!origin || slot.origin == *origin)) remove(prefix, peer, slot.origin);
  }
}

void AllowedIpsBook::remove_peer(PeerId peer) {
  remove_fixed(peer, std::nullopt);
  const auto it = by_peer_.find(peer);
  if (it == by_peer_.end()) return;
  const std::vector<Prefix> prefixes(it->second.begin(), it->second.end());
  for (const Prefix& prefix : prefixes) {
    change(prefix, [](Slot& slot) { slot.learned.reset(); });
  }
}

void AllowedIpsBook::learn(std::span<const LearnedRoute> routes) {
  for (const LearnedRoute& route : routes) {
    change(route.prefix, [&](Slot& slot) {
      slot.discard = route.action == LearnedRoute::Action::kRefused;
      slot.learned.reset();
      if (route.action == LearnedRoute::Action::kToPeer) slot.learned = route.peer;
    });
  }
}

void AllowedIpsBook::flush() {
  if (updates_.empty()) return;
  table_.apply(updates_);
  updates_.clear();
}

std::vector<AllowedIpsBook::Entry> AllowedIpsBook::entries(PeerId peer) const {
  std::vector<Entry> out;
  const auto it = by_peer_.find(peer);
  if (it == by_peer_.end()) return out;
  for (const Prefix& prefix : it->second) {
    const Slot& slot = slots_.at(prefix);
    if (slot.fixed == peer) {
      out.push_back({prefix, slot.origin});
    } else if (!slot.fixed && slot.learned == peer) {
      out.push_back({prefix, Origin::kLearned});
    }
  }
  return out;
}

std::optional<PeerId> AllowedIpsBook::owner(const Prefix& prefix) const {
  const auto it = slots_.find(prefix);
  if (it == slots_.end()) return std::nullopt;
  return it->second.fixed ? it->second.fixed : it->second.learned;
}

}  // namespace greywire
