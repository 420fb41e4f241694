// The routes of one kernel table that a daemon or a person put there, by prefix and metric; of each prefix the one with the
// lowest metric goes to the listener, which is what the kernel follows.
//
// What the kernel does not tell is found by dumps: begin_dump(), the records, end_dump(), which takes out what was not among
// them. Changes may come between the records. A record that a change overtook is passed over: both are in the order of one
// socket, and the record was made before it was queued.
//
// Routes with a next hop object are spelled out here when the kernel does not, and follow the object's changes.
//
// Some 90 bytes a route. Control thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "router/base/time.h"
#include "routing/kernel_routes/codec.h"
#include "routing/next_hop_sets.h"
#include "routing/route.h"

namespace greywire::routing::kernel {

// Which routes are taken, by who put them there (rtm_protocol).
struct Filter {
  std::uint32_t table = kMainTable;
  // None: everybody but the kernel itself (connected routes, router advertisements, redirects, DHCP).
  std::vector<std::uint8_t> protocols;
  std::vector<std::uint8_t> never;  // our own, whatever stands above

  bool takes(const KernelRoute& route) const;
};

class KernelTable {
 public:
  KernelTable(Filter filter, RouteSourceListener& listener) : filter_(std::move(filter)), listener_(listener) {}

  void begin_dump();
  void dumped(KernelRoute route, TimePoint now);
  // `complete`: what was not among the records is gone.
  void end_dump(bool complete, TimePoint now);

  // RTM_NEWROUTE as it happens, with the flags of its header (NLM_F_REPLACE and so on), and RTM_DELROUTE.
  void changed(KernelRoute route, unsigned flags, TimePoint now);
  void removed(KernelRoute route, TimePoint now);
  void next_hop_changed(NextHopObject object, TimePoint now);
  void next_hop_removed(std::uint32_t id);

  // True once after a change that leaves open what the kernel has now: dump again.
  bool take_doubt();

  std::size_t size() const { return routes_.size(); }  // prefixes
  std::uint64_t skipped() const { return skipped_; }    // routes that the filter leaves out

 private:
  struct Entry {
    std::uint32_t metric = 0;
    std::uint32_t object = 0;  // 0: none
    NextHopSetId next_hops;
    std::uint32_t seen : 31 = 0;  // dump in which it was there
    std::uint32_t ambiguous : 1 = 0;  // the kernel has several with this metric
  };
  struct Routes {
    Entry best;
    std::unique_ptr<std::vector<Entry>> others;  // by metric; null: none
  };
  using Key = std::pair<Prefix, std::uint32_t>;

  Entry* find(const Prefix& prefix, std::uint32_t metric);
  void set(KernelRoute& route, TimePoint now);
  void erase(const Prefix& prefix, std::uint32_t metric, TimePoint now);
  bool same(const Entry& entry, const KernelRoute& route) const;
  void announce(const Prefix& prefix, const Routes& routes, TimePoint now);
  void append(std::uint32_t object, std::uint64_t weight, std::vector<NextHop>& out) const;
  void use(std::uint32_t object);
  void release(const Entry& entry);
  void touch(const KernelRoute& route);

  const Filter filter_;
  RouteSourceListener& listener_;
  std::unordered_map<Prefix, Routes> routes_;
  NextHopSets sets_;
  std::unordered_map<std::uint32_t, NextHopObject> objects_;
  std::unordered_map<std::uint32_t, std::size_t> users_;  // of each object, known or not
  bool dumping_ = false;
  std::set<Key> touched_;  // changed during the dump
  std::set<std::uint32_t> seen_objects_;  // in this dump
  std::uint32_t dump_ = 0;
  bool doubt_ = false;
  std::uint64_t skipped_ = 0;
  Route route_;  // scratch
};

}  // namespace greywire::routing::kernel
