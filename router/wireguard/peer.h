// A WireGuard peer as the protocol thread owns it: handshakes, sessions, timers. Workers see only its PeerData.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "router/base/ids.h"
#include "router/base/time.h"
#include "router/crypto/key_memory.h"
#include "router/wireguard/cookie.h"
#include "router/wireguard/endpoint_race.h"
#include "router/wireguard/noise.h"
#include "router/wireguard/peer_data.h"
#include "router/wireguard/session.h"

namespace greywire::wireguard {

using SessionPtr = KeyMemory::Ptr<Session>;

struct Peer {
  Peer(PeerId peer_id, Origin from) : id(peer_id), origin(from), shared(std::make_unique<PeerData>(peer_id)) {}

  const PeerId id;
  Origin origin;
  std::unique_ptr<PeerData> shared;  // retired through the domain, as workers may hold it

  HandshakeState handshake;
  IdentitySlot identity = IdentitySlot::kOwn;  // of ours under which the last handshake completed
  bool knows_own = false;  // that was kOwn, since the device has the identity that it has
  // Keys that the peer had before, the last ones, and the greatest stamp that came under each: one that comes back takes no
  // initiation of its first time again.
  struct LeftKey {
    PublicKey key;
    Timestamp latest{};
  };
  static constexpr std::size_t kLeftKeys = 4;
  std::vector<LeftKey> left_keys;
  MessageAuthenticator authenticator;

  // The initiation that waits for its response, with its MACs, and where else it goes meanwhile.
  EndpointRace race;
  std::array<std::uint8_t, kInitiationSize> initiation{};
  bool endpoint_doubted = false;  // until a handshake completes: every candidate is tried in the first attempt

  // The three of the whitepaper's §6: `next` is a responder's session that waits for its first packet.
  SessionPtr previous;
  SessionPtr current;
  SessionPtr next;

  std::uint16_t persistent_keepalive = 0;  // seconds
  WallTime last_handshake;
  std::uint64_t handshakes = 0;  // that completed
  Timestamp last_timestamp_sent{};  // of our initiations to it; zero: none

  // Timers; kNever when they do not run.
  TimePoint retransmit_at = kNever;
  TimePoint erase_keys_at = kNever;
  TimePoint keepalive_at = kNever;  // persistent keepalive that is due although nothing was ever sent
  std::optional<TimePoint> last_initiation_sent;
  unsigned attempts = 0;
  Duration jitter{};                  // drawn for each initiation
  bool last_minute_handshake = false;  // the early renewal on receipt happens once a session

  TimePoint deadline = kNever;  // as it stands in the device's order of deadlines

  const PublicKey& public_key() const { return handshake.remote_static; }
  bool has_session() const { return current || next || previous; }
  // When this peer needs advance() next, from its timers and the stamps that workers left. While it has a session it
  // is looked at every few seconds, since workers leave stamps without a word.
  TimePoint next_deadline(TimePoint now) const;
};

}  // namespace greywire::wireguard
