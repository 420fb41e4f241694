// What a peer may announce. BGP is not trusted with identity: a peer gets a prefix only inside its configured
// ceiling, and never another's address or this site's own. Control thread only.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "router/base/ids.h"
#include "routing/decision.h"
#include "routing/peer_routing.h"

namespace greywire::routing {

class Policy {
 public:
  void set_peers(std::vector<PeerRouting> peers);
  // This site's own prefixes and addresses. A longer prefix inside one of them is its own as well; a shorter
  // one that covers it is not.
  void set_own(std::vector<Prefix> own) { own_ = std::move(own); }

  // kNone: admitted. kStatic: the peer has it by configuration. Else the reason to refuse it; the count of
  // prefixes is not looked at here. A default route passes only where a rule of the ceiling has length 0.
  Reason check(const Prefix& prefix, PeerId peer) const;

  const PeerRouting* find(PeerId peer) const;
  std::string_view name(PeerId peer) const;
  std::span<const PeerRouting> peers() const { return peers_; }

 private:
  std::vector<PeerRouting> peers_;
  std::unordered_map<PeerId, std::size_t> by_id_;
  std::unordered_map<Prefix, PeerId> configured_;  // overlay addresses and configured allowed-IPs
  std::vector<Prefix> own_;
};

// Counts a peer's accepted prefixes against its maximum. A peer that announces one too many is frozen: what
// it has stays, nothing is added, until everything that it announces fits again.
class PrefixLimit {
 public:
  explicit PrefixLimit(std::size_t maximum) : maximum_(maximum) {}

  void set_maximum(std::size_t maximum) { maximum_ = maximum; }
  bool has_room() const { return accepted_ < maximum_; }
  bool is_frozen() const { return frozen_; }

  void add_accepted() { ++accepted_; }
  void remove_accepted() { --accepted_; }
  void add_refused() {
    ++refused_;
    frozen_ = true;
  }
  void remove_refused() { --refused_; }

  // True once when the peer comes to be able to have all that it announces: what was refused is to be looked
  // at again.
  bool thaw();
  // True once when 80 % of the maximum are reached; again only after less than 60 % in between.
  bool warn();

  std::size_t accepted() const { return accepted_; }
  std::size_t refused() const { return refused_; }
  std::size_t maximum() const { return maximum_; }

 private:
  std::size_t maximum_;
  std::size_t accepted_ = 0;
  std::size_t refused_ = 0;
  bool frozen_ = false;
  bool warned_ = false;
};

}  // namespace greywire::routing
