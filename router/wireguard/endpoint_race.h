// Which of a peer's endpoints an initiation goes to, and when: RFC 8305 for a handshake of one packet. Each attempt sends
// one initiation, byte for byte the same, to one endpoint after the other while nobody answers; the peer takes whichever
// copy comes first, and its response moves the peer's endpoint, as roaming does. The next attempt starts with another
// endpoint, so that a way which leads only there, and not back, costs one Rekey-Timeout.
//
// Spec compliance: the whitepaper knows one endpoint a peer. Towards the peer nothing differs: copies of an initiation
// are what a network may make of it too.
//
// Pure; protocol thread.
#pragma once

#include <cstddef>
#include <vector>

#include "router/base/ip_address.h"
#include "router/base/time.h"

namespace greywire::wireguard {

class EndpointRace {
 public:
  static constexpr Duration kAttemptDelay = std::chrono::milliseconds(250);  // RFC 8305 §8
  static constexpr std::size_t kMaxCandidates = 16;

  // Where the peer may be, the best first; those beyond kMaxCandidates and repetitions are left out. New ones join an
  // attempt that is under way at once.
  void set_candidates(const std::vector<Endpoint>& candidates, TimePoint now);
  const std::vector<Endpoint>& candidates() const { return candidates_; }

  // A new initiation, the `attempt`th (from 1) since a handshake was asked for. `current` is the peer's endpoint: the
  // first attempt starts with it, and stays with it where it is `working`. Returns who gets the initiation now.
  Endpoint begin(const Endpoint& current, bool working, unsigned attempt, TimePoint now);
  // Who gets a copy, to be asked once next_at() is reached.
  TimePoint next_at() const { return next_at_; }  // kNever: nobody else
  Endpoint take_next(TimePoint now);
  // It was answered, or will not be.
  void end();
  // A cookie reply came from there: somebody is at home, so the next attempt starts there.
  void prefer(const Endpoint& endpoint) { preferred_ = endpoint; }

 private:
  std::vector<Endpoint> candidates_;
  std::vector<Endpoint> order_;  // of this attempt; empty: none is under way
  std::size_t taken_ = 0;
  TimePoint next_at_ = kNever;
  Endpoint preferred_;  // port 0: none
};

}  // namespace greywire::wireguard
