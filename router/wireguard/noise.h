// Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s as WireGuard uses it (whitepaper §5.4.1 to §5.4.5): pure functions over a
// peer's handshake state. They work on locals and commit to the state only once a message has authenticated.
//
// The initiator's and the responder's progress are kept apart, so that two ends that start at the same moment both
// finish. Messages are whole datagrams; the macs at their end belong to cookie.h.
// Protocol thread only. A false return or an empty optional means: drop the message, nothing has changed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "router/base/drop_reason.h"
#include "router/base/random_source.h"
#include "router/base/time.h"
#include "router/crypto/blake2s.h"
#include "router/crypto/keys.h"
#include "router/wireguard/messages.h"
#include "router/wireguard/session.h"
#include "router/wireguard/timestamp.h"

namespace greywire::wireguard {

// A static key pair of this device. Without one (zero) no handshake is made or answered.
struct Identity {
  PrivateKey private_key;
  PublicKey public_key;
  IdentitySlot slot = IdentitySlot::kOwn;
  static Identity from(const PrivateKey& key);
  bool empty() const { return private_key.is_zero(); }
};

// The symmetric state of a running handshake.
struct Transcript {
  Hash hash{};
  Hash chaining_key{};
  ~Transcript() { clear(); }
  Transcript() = default;
  Transcript(const Transcript&) = default;
  Transcript& operator=(const Transcript&) = default;
  void clear() { wipe(hash), wipe(chaining_key); }
};

// What a peer's handshakes need and leave. `static_static` is DH(ours, theirs), worked out once for each identity; where it
// is all zero the peer's key is one of low order, and no message to or from that peer passes.
struct HandshakeState {
  PublicKey remote_static;
  PresharedKey preshared_key;
  SharedSecret static_static;
  SharedSecret previous_static_static;
  bool usable = false;
  bool previous_usable = false;

  // The initiation that we sent and that waits for its response.
  bool initiation_pending = false;
  std::uint32_t local_index = 0;  // of the pending initiation
  IdentitySlot sent_as = IdentitySlot::kOwn;  // under which the last one was made
  PrivateKey ephemeral;
  Transcript sent;

  // The greatest stamp accepted from the peer, in initiations for either identity, and when one was last accepted. Who has
  // stolen the previous key can forge what is for it, and must not keep the peer from calling with the new one.
  Timestamp latest_timestamp{};
  Timestamp previous_latest_timestamp{};
  std::optional<TimePoint> last_initiation_accepted;

  void set_keys(const Identity& own, const PublicKey& remote);  // forgets the previous identity's
  void set_previous(const Identity& previous);                  // after set_keys
  bool usable_as(IdentitySlot slot) const { return slot == IdentitySlot::kOwn ? usable : previous_usable; }
  Timestamp& latest_timestamp_as(IdentitySlot slot) {
    return slot == IdentitySlot::kOwn ? latest_timestamp : previous_latest_timestamp;
  }
  const SharedSecret& static_static_as(IdentitySlot slot) const {
    return slot == IdentitySlot::kOwn ? static_static : previous_static_static;
  }
  void forget_initiation();  // wipes what waits for a response
};

// An initiation after its first half: we know who it claims to come from, and that it was made for our key.
struct OpenedInitiation {
  IdentitySlot made_for = IdentitySlot::kOwn;
  PublicKey remote_static;
  PublicKey remote_ephemeral;
  std::uint32_t remote_index = 0;
  Transcript transcript;
};

// What the responder needs between accepting an initiation and sending its response.
struct AcceptedInitiation {
  PublicKey remote_ephemeral;
  std::uint32_t remote_index = 0;
  Transcript transcript;
};

struct Established {
  TransportKeys keys;
  std::uint32_t local_index = 0;
  std::uint32_t remote_index = 0;
};

// `message` has kInitiationSize bytes; the macs are left zero.
bool create_initiation(HandshakeState& peer, const Identity& own, std::uint32_t local_index, const Timestamp& now,
                       RandomSource& random, std::span<std::uint8_t, kInitiationSize> message);

std::optional<OpenedInitiation> open_initiation(const Identity& own,
                                                std::span<const std::uint8_t, kInitiationSize> message);
// Second half, with the peer whose key it is. On success the peer's time stamp is committed.
std::optional<DropReason> accept_initiation(HandshakeState& peer, const OpenedInitiation& opened,
                                            std::span<const std::uint8_t, kInitiationSize> message, TimePoint now,
                                            AcceptedInitiation& accepted);

// `message` has kResponseSize bytes; the macs are left zero.
std::optional<Established> create_response(const HandshakeState& peer, const AcceptedInitiation& accepted,
                                           std::uint32_t local_index, RandomSource& random,
                                           std::span<std::uint8_t, kResponseSize> message);

std::optional<Established> consume_response(HandshakeState& peer, const Identity& own,
                                            std::span<const std::uint8_t, kResponseSize> message);

}  // namespace greywire::wireguard
