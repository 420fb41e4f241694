// All routes as learned, with all their paths, and what was decided about each: some 90 bytes a route.
//
// Mark and sweep for a resync: mark_stale() when the stream breaks, upserts of the next dump make routes
// fresh again, and what stays stale is swept, at once or when its time is over. A stale route stands as
// before until then.
//
// Control thread only. Entry pointers stay valid until their prefix is erased or swept.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "router/base/time.h"
#include "routing/decision.h"
#include "routing/next_hop_sets.h"
#include "routing/route.h"

namespace greywire::routing {

class RouteTable {
 public:
  struct Entry {
    NextHopSetId next_hops;
    Decision decision;
    TimePoint held_until = kNever;  // kNever: fresh
    bool audited = false;           // for the audit alone

    bool is_stale() const { return held_until != kNever; }
  };
  enum class Upsert : std::uint8_t { kAdded, kChanged, kUnchanged };
  struct Upserted {
    Entry* entry;
    Upsert what;
  };

  // Makes the route fresh, too. Order of next hops does not count as a change.
  Upserted upsert(Route&& route);
  void erase(const Prefix& prefix);

  // Every fresh route gets stale, to be held until then; those that are stale already keep their earlier
  // time.
  void mark_stale(TimePoint held_until);
  // What is stale is held no longer than until then.
  void hold_at_most(TimePoint until);
  // Takes out what is stale: everything, or what is due by now. Returns what was taken.
  struct Swept {
    Prefix prefix;
    Decision decision;
  };
  std::vector<Swept> sweep_stale();
  std::vector<Swept> sweep_due(TimePoint now);
  TimePoint next_sweep() const { return next_sweep_; }  // kNever when nothing is stale

  Entry* find(const Prefix& prefix);
  const Entry* find(const Prefix& prefix) const;
  std::span<const NextHop> next_hops(const Entry& entry) const { return sets_[entry.next_hops]; }
  std::size_t size() const { return entries_.size(); }
  std::size_t stale() const { return stale_; }

  // `visit(const Prefix&, Entry&)` in no order; it must not add or erase.
  template <class Visit>
  void for_each(Visit&& visit) {
    for (auto& [prefix, entry] : entries_) visit(prefix, entry);
  }
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const auto& [prefix, entry] : entries_) visit(prefix, entry);
  }

 private:
  std::unordered_map<Prefix, Entry> entries_;
  NextHopSets sets_;
  std::size_t stale_ = 0;
  TimePoint next_sweep_ = kNever;
};

}  // namespace greywire::routing
