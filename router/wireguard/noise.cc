#include "router/wireguard/noise.h"

#include <algorithm>
#include <cstring>

#include "router/crypto/handshake_aead.h"
#include "router/crypto/wipe.h"
#include "router/crypto/x25519.h"

namespace greywire::wireguard {
namespace {

constexpr char kConstruction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
constexpr char kIdentifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

std::span<const std::uint8_t> text_bytes(const char* text) {
  return {reinterpret_cast<const std::uint8_t*>(text), std::strlen(text)};
}

void mix_hash(Transcript& t, std::span<const std::uint8_t> bytes) { t.hash = blake2s_hash(t.hash, bytes); }

void mix_key(Transcript& t, std::span<const std::uint8_t> input) { kdf1(t.chaining_key, t.chaining_key, input); }

void mix_key(Transcript& t, SymmetricKey& key, std::span<const std::uint8_t> input) {
  kdf2(t.chaining_key, key.writable_bytes(), t.chaining_key, input);
}

void mix_psk(Transcript& t, SymmetricKey& key, const PresharedKey& psk) {
  Hash tau;
  kdf3(t.chaining_key, tau, key.writable_bytes(), t.chaining_key, psk.bytes());
  mix_hash(t, tau);
  wipe(tau);
}

bool mix_dh(Transcript& t, SymmetricKey& key, const PrivateKey& ours, const PublicKey& theirs) {
  SharedSecret shared;
  if (!x25519(shared, ours, theirs)) return false;
  mix_key(t, key, shared.bytes());
  return true;
}

// Encrypts into `out` (plaintext size + tag) and mixes the ciphertext.
void encrypt_and_hash(Transcript& t, const SymmetricKey& key, std::span<const std::uint8_t> plaintext,
                      std::span<std::uint8_t> out) {
  aead_seal(out, key.bytes(), 0, plaintext, t.hash);
  mix_hash(t, out);
}

bool decrypt_and_hash(Transcript& t, const SymmetricKey& key, std::span<const std::uint8_t> ciphertext,
                      std::span<std::uint8_t> out) {
  if (!aead_open(out, key.bytes(), 0, ciphertext, t.hash)) return false;
  mix_hash(t, ciphertext);
  return true;
}

// h and ck before the first token, with the responder's static key mixed in (the "<- s" premessage).
Transcript start(const PublicKey& responder_static) {
  static const Hash initial_chaining_key = blake2s_hash(text_bytes(kConstruction));
  static const Hash initial_hash = blake2s_hash(initial_chaining_key, text_bytes(kIdentifier));
  Transcript t;
  t.chaining_key = initial_chaining_key;
  t.hash = initial_hash;
  mix_hash(t, responder_static.bytes());
  return t;
}

TransportKeys split(const Transcript& t, bool initiator) {
  TransportKeys keys;
  auto& first = initiator ? keys.send : keys.receive;
  auto& second = initiator ? keys.receive : keys.send;
  kdf2(first.writable_bytes(), second.writable_bytes(), t.chaining_key, {});
  return keys;
}

PublicKey public_key_at(const std::uint8_t* bytes) {
  return PublicKey(std::span<const std::uint8_t, kKeySize>(bytes, kKeySize));
}

}  // namespace

Identity Identity::from(const PrivateKey& key) {
  Identity identity;
  if (key.is_zero()) return identity;
  identity.private_key = clamp(key);
  identity.public_key = derive_public_key(identity.private_key);
  return identity;
}

void HandshakeState::set_keys(const Identity& own, const PublicKey& remote) {
  forget_initiation();
  remote_static = remote;
  static_static.clear();
  usable = !own.empty() && x25519(static_static, own.private_key, remote);
  previous_static_static.clear();
  previous_usable = false;
}

void HandshakeState::set_previous(const Identity& previous) {
  previous_static_static.clear();
  previous_usable = !previous.empty() && x25519(previous_static_static, previous.private_key, remote_static);
}

void HandshakeState::forget_initiation() {
  initiation_pending = false;
  ephemeral.clear();
  sent.clear();
}

bool create_initiation(HandshakeState& peer, const Identity& own, std::uint32_t local_index, const Timestamp& now,
                       RandomSource& random, std::span<std::uint8_t, kInitiationSize> message) {
  if (own.empty() || !peer.usable_as(own.slot)) return false;
  std::uint8_t* m = message.data();
  std::memset(m, 0, kInitiationSize);
  store_type(m, MessageType::kInitiation);
  store_le32(m + initiation::kSender, local_index);
  Transcript t = start(peer.remote_static);
  SymmetricKey key;

  // e
  const PrivateKey ephemeral = generate_private_key(random);
  const PublicKey ephemeral_public = derive_public_key(ephemeral);
  std::memcpy(m + initiation::kEphemeral, ephemeral_public.data(), kKeySize);
  mix_key(t, ephemeral_public.bytes());
  mix_hash(t, ephemeral_public.bytes());
  // es
  if (!mix_dh(t, key, ephemeral, peer.remote_static)) return false;
  // s
  encrypt_and_hash(t, key, own.public_key.bytes(), message.subspan(initiation::kStatic, kKeySize + kTagSize));
  // ss
  mix_key(t, key, peer.static_static_as(own.slot).bytes());
  // {t}
  encrypt_and_hash(t, key, now, message.subspan(initiation::kTimestamp, kTimestampSize + kTagSize));

  peer.initiation_pending = true;
  peer.local_index = local_index;
  peer.sent_as = own.slot;
  peer.ephemeral = ephemeral;
  peer.sent = t;
  return true;
}

std::optional<OpenedInitiation> open_initiation(const Identity& own,
                                                std::span<const std::uint8_t, kInitiationSize> message) {
  if (own.empty()) return std::nullopt;
  const std::uint8_t* m = message.data();
  OpenedInitiation opened;
  opened.made_for = own.slot;
  opened.remote_index = load_le32(m + initiation::kSender);
  opened.remote_ephemeral = public_key_at(m + initiation::kEphemeral);
  Transcript t = start(own.public_key);
  SymmetricKey key;

  // e
  mix_key(t, opened.remote_ephemeral.bytes());
  mix_hash(t, opened.remote_ephemeral.bytes());
  // es
  if (!mix_dh(t, key, own.private_key, opened.remote_ephemeral)) return std::nullopt;
  // s
  if (!decrypt_and_hash(t, key, message.subspan(initiation::kStatic, kKeySize + kTagSize),
                        opened.remote_static.writable_bytes())) {
    return std::nullopt;
  }
  opened.transcript = t;
  return opened;
}

std::optional<DropReason> accept_initiation(HandshakeState& peer, const OpenedInitiation& opened,
                                            std::span<const std::uint8_t, kInitiationSize> message, TimePoint now,
                                            AcceptedInitiation& accepted) {
  if (!peer.usable_as(opened.made_for)) return DropReason::kBadHandshake;
  Transcript t = opened.transcript;
  SymmetricKey key;
  // ss
  mix_key(t, key, peer.static_static_as(opened.made_for).bytes());
  // {t}
  Timestamp stamp;
  if (!decrypt_and_hash(t, key, message.subspan(initiation::kTimestamp, kTimestampSize + kTagSize), stamp)) {
    return DropReason::kBadHandshake;
  }
  Timestamp& latest = peer.latest_timestamp_as(opened.made_for);
  if (std::memcmp(stamp.data(), latest.data(), kTimestampSize) <= 0) return DropReason::kHandshakeReplay;
  if (peer.last_initiation_accepted && now - *peer.last_initiation_accepted < kMinInitiationInterval) {
    return DropReason::kHandshakeFlood;
  }

  latest = stamp;
  peer.last_initiation_accepted = now;
  accepted.remote_ephemeral = opened.remote_ephemeral;
  accepted.remote_index = opened.remote_index;
  accepted.transcript = t;
  return std::nullopt;
}

std::optional<Established> create_response(const HandshakeState& peer, const AcceptedInitiation& accepted,
                                           std::uint32_t local_index, RandomSource& random,
                                           std::span<std::uint8_t, kResponseSize> message) {
  std::uint8_t* m = message.data();
  std::memset(m, 0, kResponseSize);
  store_type(m, MessageType::kResponse);
  store_le32(m + response::kSender, local_index);
  store_le32(m + response::kReceiver, accepted.remote_index);
  Transcript t = accepted.transcript;
  SymmetricKey key;

  // e
  const PrivateKey ephemeral = generate_private_key(random);
  const PublicKey ephemeral_public = derive_public_key(ephemeral);
  std::memcpy(m + response::kEphemeral, ephemeral_public.data(), kKeySize);
  mix_key(t, ephemeral_public.bytes());
  mix_hash(t, ephemeral_public.bytes());
  // ee
  if (!mix_dh(t, key, ephemeral, accepted.remote_ephemeral)) return std::nullopt;
  // se
  if (!mix_dh(t, key, ephemeral, peer.remote_static)) return std::nullopt;
  // psk
  mix_psk(t, key, peer.preshared_key);
  // {}
  encrypt_and_hash(t, key, {}, message.subspan(response::kEmpty, kTagSize));

  Established established;
  established.keys = split(t, false);
  established.local_index = local_index;
  established.remote_index = accepted.remote_index;
  return established;
}

std::optional<Established> consume_response(HandshakeState& peer, const Identity& own,
                                            std::span<const std::uint8_t, kResponseSize> message) {
  const std::uint8_t* m = message.data();
  if (!peer.initiation_pending || load_le32(m + response::kReceiver) != peer.local_index) return std::nullopt;
  const PublicKey remote_ephemeral = public_key_at(m + response::kEphemeral);
  Transcript t = peer.sent;
  SymmetricKey key;

  // e
  mix_key(t, remote_ephemeral.bytes());
  mix_hash(t, remote_ephemeral.bytes());
  // ee
  if (!mix_dh(t, key, peer.ephemeral, remote_ephemeral)) return std::nullopt;
  // se
  if (!mix_dh(t, key, own.private_key, remote_ephemeral)) return std::nullopt;
  // psk
  mix_psk(t, key, peer.preshared_key);
  // {}
  if (!decrypt_and_hash(t, key, message.subspan(response::kEmpty, kTagSize), {})) return std::nullopt;

  Established established;
  established.keys = split(t, true);
  established.local_index = peer.local_index;
  established.remote_index = load_le32(m + response::kSender);
  peer.forget_initiation();
  return established;
}

}  // namespace greywire::wireguard
