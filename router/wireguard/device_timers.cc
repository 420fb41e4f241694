// When handshakes start, are repeated and given up, keepalives, and the end of keys: whitepaper §6.
#include "router/wireguard/device.h"

namespace greywire::wireguard {

std::uint32_t Device::attend(PeerId id, Now now) {
  Peer* peer = find(id);
  if (peer == nullptr) return 0;
  const std::uint32_t wanted = peer->shared->attention.exchange(0, std::memory_order_acq_rel);
  const auto asks = [&](Attention what) { return (wanted & static_cast<std::uint32_t>(what)) != 0; };
  if (asks(Attention::kRoamed)) outbox_.endpoint_changed(*peer);
  if (asks(Attention::kConfirmed) && peer->next && peer->next->confirmed.load(std::memory_order_acquire)) {
    promote_next(*peer, now);
  }
  if (asks(Attention::kStaged) && peer->current && !peer->current->expired(now.boot)) {
    begin_sending(*peer, *peer->current, now);
  } else if (asks(Attention::kStaged)) {
    start_handshake(*peer, now, false);
  }
  if (asks(Attention::kHandshake)) {
    const Session* current = peer->current.get();
    const bool on_send = current == nullptr || current->expired(now.boot) || current->wants_rekey_on_send(now.boot);
    const bool on_receive = !on_send && current->wants_rekey_on_receive(now.boot) && !peer->last_minute_handshake;
    if (on_receive) peer->last_minute_handshake = true;
    if (on_send || on_receive) start_handshake(*peer, now, false);
  }
  reschedule(*peer, now.boot);
  return wanted;
}

void Device::unknown_session_used(const Endpoint& from, Now now) {
  for (auto& [id, peer] : peers_) {
    if (!peer->shared->has_endpoint() || peer->shared->route().remote != from) continue;
    const bool has_session = (peer->current && !peer->current->expired(now.boot)) ||
                             (peer->next && !peer->next->expired(now.boot));
    if (has_session || peer->retransmit_at != kNever) continue;
    start_handshake(*peer, now, false);
    reschedule(*peer, now.boot);
  }
}

void Device::start_handshake(Peer& peer, Now now, bool retry) {
  if (!retry) peer.attempts = 0;
  if (stopped_ || !peer.shared->has_endpoint() || (!peer.handshake.usable && !peer.handshake.previous_usable)) return;
  if (peer.last_initiation_sent && now.boot - *peer.last_initiation_sent < kRekeyTimeout) {
    // Too soon after the last one: what asked for it is served once Rekey-Timeout has passed.
    if (peer.retransmit_at == kNever) peer.retransmit_at = *peer.last_initiation_sent + kRekeyTimeout + peer.jitter;
    return;
  }
  // While the key is being exchanged the peer may know either: what was not answered is tried under the other.
  IdentitySlot as = peer.identity;
  if (peer.handshake.initiation_pending) {
    as = peer.handshake.sent_as == IdentitySlot::kOwn ? IdentitySlot::kPrevious : IdentitySlot::kOwn;
  }
  send_initiation(peer, peer.handshake.usable_as(as) ? as : IdentitySlot::kOwn, now);
}

void Device::send_initiation(Peer& peer, IdentitySlot as, Now now) {
  forget_initiation(peer);
  std::array<std::uint8_t, kInitiationSize> message;
  const std::uint32_t index = index_table_.reserve(peer.id, random_);
  const Timestamp stamp = timestamps_.next(now.wall, peer.last_timestamp_sent);
  if (!create_initiation(peer.handshake, identity_of(as), index, stamp, random_, message)) {
    index_table_.free(index);
    return;
  }
  peer.last_timestamp_sent = stamp;
  ++peer.attempts;
  peer.jitter = draw_jitter();
  peer.last_initiation_sent = now.boot;
  peer.retransmit_at = now.boot + kRekeyTimeout + peer.jitter;
  peer.authenticator.add_macs(message, now.boot);
  peer.initiation = message;
  // Rekeying a session that works is between the two ends of it; who is not heard any more may be elsewhere.
  const auto heard = PeerData::time_of(peer.shared->last_received.load(std::memory_order_relaxed));
  const bool working = peer.current && !peer.current->expired(now.boot) && !peer.endpoint_doubted &&
                       now.boot - heard < kKeepaliveTimeout + kRekeyTimeout;
  send_initiation_to(peer, peer.race.begin(peer.shared->route().remote, working, peer.attempts, now.boot), now);
}

void Device::send_initiation_to(Peer& peer, const Endpoint& remote, Now now) {
  Route route = peer.shared->route();
  if (route.remote != remote) route = Route{remote, {}, 0, false};
  peer.shared->tx_bytes.fetch_add(peer.initiation.size(), std::memory_order_relaxed);
  peer.shared->any_sent(now.boot);
  outbox_.send(route, peer.initiation, kHandshakeDsField);
}

void Device::handshake_complete(Peer& peer, Now now) {
  peer.retransmit_at = kNever;
  peer.attempts = 0;
  peer.last_minute_handshake = false;
  peer.identity = peer.current->made_under;
  peer.knows_own = peer.identity == IdentitySlot::kOwn;
  peer.last_handshake = now.wall;
  ++peer.handshakes;
}

void Device::advance(Now now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now.boot) {
    const PeerId id = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    Peer& peer = *find(id);
    peer.deadline = kNever;
    advance_peer(peer, now);
    reschedule(peer, now.boot);
  }
  domain_.reclaim();
}

void Device::advance_peer(Peer& peer, Now now) {
  PeerData& shared = *peer.shared;
  if (peer.erase_keys_at <= now.boot) erase_keys(peer);
  if (peer.race.next_at() <= now.boot) send_initiation_to(peer, peer.race.take_next(now.boot), now);
  if (peer.retransmit_at <= now.boot) {
    peer.retransmit_at = kNever;
    if (peer.attempts > kMaxHandshakeAttempts) {
      give_up(peer, now);
    } else {
      shared.clear_source();
      start_handshake(peer, now, true);
    }
  }
  const auto unanswered = shared.unanswered_since.load(std::memory_order_relaxed);
  if (unanswered != 0 &&
      PeerData::time_of(unanswered) + kKeepaliveTimeout + kRekeyTimeout + peer.jitter <= now.boot) {
    shared.unanswered_since.store(0, std::memory_order_relaxed);
    shared.clear_source();
    start_handshake(peer, now, false);
  }
  const auto owed = shared.keepalive_owed_since.load(std::memory_order_relaxed);
  if (owed != 0 && PeerData::time_of(owed) + kKeepaliveTimeout <= now.boot) {
    shared.keepalive_owed_since.store(0, std::memory_order_relaxed);
    send_keepalive(peer, now);
  }
  const auto traffic = PeerData::time_of(shared.last_traffic.load(std::memory_order_relaxed));
  const bool persistent_due =
      peer.persistent_keepalive != 0 && traffic != TimePoint{} &&
      traffic + std::chrono::seconds(peer.persistent_keepalive) <= now.boot;
  if (persistent_due || peer.keepalive_at <= now.boot) {
    peer.keepalive_at = kNever;
    send_keepalive(peer, now);
    // Without an endpoint nothing was sent; look again an interval later all the same.
    shared.last_traffic.store(PeerData::stamp(now.boot), std::memory_order_relaxed);
  }
}

void Device::give_up(Peer& peer, Now now) {
  drops_.count(DropReason::kNoSession, peer.shared->clear_staged());
  peer.attempts = 0;
  forget_initiation(peer);
  if (peer.erase_keys_at == kNever && peer.has_session()) peer.erase_keys_at = now.boot + kEraseKeysAfter;
}

}  // namespace greywire::wireguard
