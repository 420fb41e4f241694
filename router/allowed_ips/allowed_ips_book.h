// Who owns which prefix, and since when it says so: the owner thread's book over an AllowedIpsTable. A prefix may be
// fixed to a peer (configuration or `wg`) and learned from routing at once; the fixed one leads. Changes gather until
// flush() gives them to the table as one batch.
//
// A learned prefix costs nothing here: the table itself says where it leads, so that 10^6 of them take what the trie
// takes. What asks for all that a peer has therefore walks the whole table, some 60 ms at 10^6.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "router/allowed_ips/allowed_ips_table.h"

namespace greywire {

struct LearnedRoute {
  enum class Action : std::uint8_t { kToPeer, kRefused, kWithdrawn, kToGroup };
  Prefix prefix;
  Action action = Action::kWithdrawn;
  PeerId peer;           // kToPeer only
  NextHopGroupId group{};  // kToGroup only: one of several peers

  RouteTarget target() const;
};

class AllowedIpsBook {
 public:
  explicit AllowedIpsBook(AllowedIpsTable& table) : table_(table) {}

  struct Entry {
    Prefix prefix;
    Origin origin;
  };
  struct Fixed {
    PeerId peer;
    Origin origin = Origin::kWg;
  };
  // The peers of a group that was defined for kToGroup; called for such groups only.
  using Members = std::function<std::span<const PeerId>(NextHopGroupId)>;

  // Fixes a prefix to a peer; it moves from another. What the configuration fixed, `wg` cannot move.
  void assign(const Prefix& prefix, PeerId peer, Origin origin);
  // Only if that peer has it fixed; what the configuration fixed, `wg` cannot remove.
  void remove(const Prefix& prefix, PeerId peer, Origin origin);
  void remove_fixed(PeerId peer, std::optional<Origin> origin);  // all of one origin, or all
  // Learned ones too, but for those of a group, which has other peers. Flushes.
  void remove_peer(PeerId peer);
  void learn(std::span<const LearnedRoute> routes);
  void flush();

  // What leads to each peer; sorted. Any thread that may read the root.
  static std::unordered_map<PeerId, std::vector<Entry>> entries(const AllowedIpsRoot& root,
                                                                const std::map<Prefix, Fixed>& fixed,
                                                                const Members& members);
  std::vector<Entry> entries(PeerId peer);  // without those of groups. Flushes
  std::optional<PeerId> owner(const Prefix& prefix);  // fixed or learned; not of a group
  const std::map<Prefix, Fixed>& fixed() const { return fixed_; }

 private:
  RouteTarget learned(const Prefix& prefix);
  void fix(const Prefix& prefix, std::optional<Fixed> fixed);

  AllowedIpsTable& table_;
  std::map<Prefix, Fixed> fixed_;
  std::map<Prefix, RouteTarget> shadowed_;  // learned where fixed_ leads
  std::unordered_map<PeerId, std::set<Prefix>> fixed_by_peer_;
  std::vector<AllowedIpsUpdate> updates_;
  std::unordered_map<Prefix, RouteTarget> waiting_;  // the first `indexed_` of updates_
  std::size_t indexed_ = 0;
};

}  // namespace greywire
