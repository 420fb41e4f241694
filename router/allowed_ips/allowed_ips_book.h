// Who owns which prefix, and since when it says so: the owner thread's book over an AllowedIpsTable. A prefix may be
// fixed to a peer (configuration or `wg`) and learned from routing at once; the fixed one leads. Changes gather until
// flush() gives them to the table as one batch.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "router/allowed_ips/allowed_ips_table.h"

namespace greywire {

struct LearnedRoute {
  enum class Action : std::uint8_t { kToPeer, kRefused, kWithdrawn };
  Prefix prefix;
  Action action = Action::kWithdrawn;
  PeerId peer;  // kToPeer only
};

class AllowedIpsBook {
 public:
  explicit AllowedIpsBook(AllowedIpsTable& table) : table_(table) {}

  struct Entry {
    Prefix prefix;
    Origin origin;
  };

  // Fixes a prefix to a peer; it moves from another. What the configuration fixed, `wg` cannot move.
  void assign(const Prefix& prefix, PeerId peer, Origin origin);
  // Only if that peer has it fixed; what the configuration fixed, `wg` cannot remove.
  void remove(const Prefix& prefix, PeerId peer, Origin origin);
  void remove_fixed(PeerId peer, std::optional<Origin> origin);  // all of one origin, or all
  void remove_peer(PeerId peer);                               // learned ones too
  void learn(std::span<const LearnedRoute> routes);
  void flush();

  // What leads to this peer; sorted.
  std::vector<Entry> entries(PeerId peer) const;
  std::optional<PeerId> owner(const Prefix& prefix) const;  // fixed or learned

 private:
  struct Slot {
    std::optional<PeerId> fixed;
    Origin origin = Origin::kWg;
    std::optional<PeerId> learned;
    bool discard = false;  // learned but refused: nobody's
  };
  void touch(const Prefix& prefix, const Slot& slot);
  void index(const Prefix& prefix, const Slot& before, const Slot& after);
  template <class Change>
  void change(const Prefix& prefix, Change&& fn);

  AllowedIpsTable& table_;
  std::map<Prefix, Slot> slots_;
  std::unordered_map<PeerId, std::set<Prefix>> by_peer_;
  std::vector<AllowedIpsUpdate> updates_;
};

}  // namespace greywire
