#include "router/wireguard/peer.h"

#include <algorithm>

#include "router/wireguard/constants.h"

namespace greywire::wireguard {
namespace {

// Workers leave stamps without a word. Looking at a peer with a session this often finds each stamp before the shortest
// time-out that it starts (10 s) can run out, so those are kept to the moment.
constexpr Duration kStampInterval = 5s;

}  // namespace

TimePoint Peer::next_deadline(TimePoint now) const {
  TimePoint at = std::min({retransmit_at, erase_keys_at, keepalive_at, race.next_at()});
  if (has_session()) at = std::min(at, now + kStampInterval);
  const auto owed = shared->keepalive_owed_since.load(std::memory_order_relaxed);
  const auto unanswered = shared->unanswered_since.load(std::memory_order_relaxed);
  const auto traffic = shared->last_traffic.load(std::memory_order_relaxed);
  if (owed != 0) at = std::min(at, PeerData::time_of(owed) + kKeepaliveTimeout);
  if (unanswered != 0) {
    at = std::min(at, PeerData::time_of(unanswered) + kKeepaliveTimeout + kRekeyTimeout + jitter);
  }
  if (persistent_keepalive != 0 && traffic != 0) {
    at = std::min(at, PeerData::time_of(traffic) + std::chrono::seconds(persistent_keepalive));
  }
  return at;
}

}  // namespace greywire::wireguard
