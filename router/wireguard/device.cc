#include "router/wireguard/device.h"

#include <algorithm>

#include "router/wireguard/transport.h"

namespace greywire::wireguard {

// Sessions come from locked memory: the replay window lives beside the keys.
Device::Device(QuiescentDomain& domain, RandomSource& random, Aead& aead, Outbox& outbox)
    : domain_(domain),
      random_(random),
      aead_(aead),
      outbox_(outbox),
      session_memory_(std::make_shared<KeyMemory>(sizeof(Session))),
      index_table_(domain),
      identity_(session_memory_->make<Identity>()),
      previous_identity_(session_memory_->make<Identity>()),
      scratch_(pmtu::datagram_size(pmtu::kMaxMtu.bytes + pmtu::kPaddingUnit)) {}

Device::~Device() {
  while (!peers_.empty()) remove_peer(peers_.begin()->first);
}

void Device::set_private_key(const PrivateKey& key) {
  const Identity identity = Identity::from(key);
  if (identity.private_key == identity_->private_key) return;
  *identity_ = identity;
  *previous_identity_ = {};
  for (auto& [id, peer] : peers_) {
    erase_keys(*peer);
    peer->retransmit_at = kNever;
    peer->last_initiation_sent.reset();
    peer->handshake.set_keys(*identity_, peer->public_key());
    peer->handshake.last_initiation_accepted.reset();
    peer->identity = IdentitySlot::kOwn;
  }
}

void Device::set_identities(const PrivateKey& key, const PrivateKey& previous, Now now) {
  const Identity fresh = Identity::from(key);
  Identity old = Identity::from(previous);
  if (old.private_key == fresh.private_key) old = {};
  old.slot = IdentitySlot::kPrevious;
  if (fresh.private_key == identity_->private_key && old.private_key == previous_identity_->private_key) return;
  // What an identity of before is now; nothing where it is gone.
  const auto now_is = [&](IdentitySlot before) -> std::optional<IdentitySlot> {
    const PrivateKey& used = identity_of(before).private_key;
    if (!fresh.empty() && used == fresh.private_key) return IdentitySlot::kOwn;
    if (!old.empty() && used == old.private_key) return IdentitySlot::kPrevious;
    return std::nullopt;
  };
  const bool same_own = now_is(IdentitySlot::kOwn) == IdentitySlot::kOwn;
  for (auto& [id, peer] : peers_) {
    const bool had_session = peer->has_session();
    forget_initiation(*peer);
    peer->last_initiation_sent.reset();
    for (SessionPtr* session : {&peer->previous, &peer->current, &peer->next}) {
      if (!*session) continue;
      if (const auto slot = now_is((*session)->made_under)) {
        (*session)->made_under = *slot;
      } else {
        retire(std::move(*session));
      }
    }
    HandshakeState& handshake = peer->handshake;
    Timestamp latest[2] = {};
    for (const IdentitySlot before : {IdentitySlot::kOwn, IdentitySlot::kPrevious}) {
      if (const auto slot = now_is(before)) latest[static_cast<int>(*slot)] = handshake.latest_timestamp_as(before);
    }
    handshake.latest_timestamp = latest[0];
    handshake.previous_latest_timestamp = latest[1];
    handshake.last_initiation_accepted.reset();
    handshake.set_keys(fresh, peer->public_key());
    handshake.set_previous(old);
    peer->identity = now_is(peer->identity).value_or(IdentitySlot::kOwn);
    peer->knows_own = (same_own && peer->knows_own) || (peer->current && peer->current->made_under == IdentitySlot::kOwn);
    if (had_session && !peer->has_session()) peer->retransmit_at = now.boot;
    reschedule(*peer, now.boot);
  }
  *identity_ = fresh;
  *previous_identity_ = old;
}

bool Device::change_key(Peer& peer, const PublicKey& key) {
  const PublicKey left = peer.public_key();
  if (key == left) return true;
  if (find(key) != nullptr) return false;
  by_key_.erase(left);
  by_key_[key] = &peer;
  forget_initiation(peer);
  HandshakeState& handshake = peer.handshake;
  if (peer.left_keys.size() == Peer::kLeftKeys) peer.left_keys.erase(peer.left_keys.begin());
  peer.left_keys.push_back({left, std::max(handshake.latest_timestamp, handshake.previous_latest_timestamp)});
  handshake.set_keys(*identity_, key);
  handshake.set_previous(*previous_identity_);
  handshake.latest_timestamp = handshake.previous_latest_timestamp = {};
  for (const auto& before : peer.left_keys) {
    if (before.key == key) handshake.latest_timestamp = handshake.previous_latest_timestamp = before.latest;
  }
  handshake.last_initiation_accepted.reset();
  peer.authenticator.set_remote(key);
  peer.last_initiation_sent.reset();
  return true;
}

Peer& Device::add_peer(const PublicKey& key, Origin origin) {
  if (Peer* existing = find(key)) return *existing;
  const PeerId id{last_peer_id_++};
  auto peer = peer_memory_.make<Peer>(id, origin);
  peer->handshake.set_keys(*identity_, key);
  peer->handshake.set_previous(*previous_identity_);
  peer->authenticator.set_remote(key);
  peer->jitter = draw_jitter();
  Peer& added = *peer;
  by_key_[key] = &added;
  peers_[id] = std::move(peer);
  return added;
}

Peer* Device::find(const PublicKey& key) {
  const auto it = by_key_.find(key);
  return it == by_key_.end() ? nullptr : it->second;
}

Peer* Device::find(PeerId id) {
  const auto it = peers_.find(id);
  return it == peers_.end() ? nullptr : it->second.get();
}

void Device::remove_peer(PeerId id) {
  const auto it = peers_.find(id);
  if (it == peers_.end()) return;
  Peer& peer = *it->second;
  forget_initiation(peer);
  erase_keys(peer);
  timestamps_.forget(peer.last_timestamp_sent);
  drops_.count(DropReason::kPeerDisabled, peer.shared->clear_staged());
  deadlines_.erase({peer.deadline, id});
  by_key_.erase(peer.public_key());
  std::shared_ptr<PeerData> shared = std::move(peer.shared);
  peers_.erase(it);
  domain_.retire([shared]() mutable { shared.reset(); });
}

void Device::set_endpoint(Peer& peer, const Endpoint& endpoint) {
  if (peer.shared->has_endpoint() && peer.shared->route().remote == endpoint) return;
  Route route;
  route.remote = endpoint;
  peer.shared->set_route(route);
  outbox_.endpoint_changed(peer);
}

void Device::set_endpoints(Peer& peer, const std::vector<Endpoint>& candidates, Now now) {
  peer.race.set_candidates(candidates, now.boot);
  if (!peer.shared->has_endpoint() && !candidates.empty()) {
    set_endpoint(peer, candidates.front());
    if (peer.shared->has_staged()) start_handshake(peer, now, false);
  }
  reschedule(peer, now.boot);
}

void Device::doubt_endpoint(Peer& peer, Now now) {
  peer.endpoint_doubted = true;
  start_handshake(peer, now, false);
  reschedule(peer, now.boot);
}

void Device::forget_source(const IpAddress& local) {
  for (auto& [id, peer] : peers_) {
    const Route route = peer->shared->route();
    if (route.has_local && route.local == local) peer->shared->clear_source();
  }
}

void Device::stop() {
  stopped_ = true;
  for (auto& [id, peer] : peers_) {
    erase_keys(*peer);
    drops_.count(DropReason::kNoSession, peer->shared->clear_staged());
    peer->shared->clear_source();
    peer->shared->unanswered_since.store(0, std::memory_order_relaxed);
    peer->shared->keepalive_owed_since.store(0, std::memory_order_relaxed);
    peer->retransmit_at = kNever;
    peer->keepalive_at = kNever;
    peer->last_initiation_sent.reset();
    deadlines_.erase({peer->deadline, id});
    peer->deadline = kNever;
  }
}

void Device::start(Now now) {
  if (!stopped_) return;
  stopped_ = false;
  for (auto& [id, peer] : peers_) {
    if (peer->persistent_keepalive != 0 || peer->shared->has_staged()) start_handshake(*peer, now, false);
    reschedule(*peer, now.boot);
  }
}

void Device::set_persistent_keepalive(Peer& peer, std::uint16_t seconds, Now now) {
  const bool switched_on = peer.persistent_keepalive == 0 && seconds != 0;
  peer.persistent_keepalive = seconds;
  peer.keepalive_at = switched_on ? now.boot : kNever;
  reschedule(peer, now.boot);
}

bool Device::send_packet(Peer& peer, std::span<const std::uint8_t> packet, std::uint8_t ds_field, Now now) {
  Session* session = peer.current.get();
  if (session == nullptr || session->expired(now.boot)) {
    start_handshake(peer, now, false);
    reschedule(peer, now.boot);
    return false;
  }
  seal_and_send(peer, *session, packet, ds_field, now);
  peer.shared->data_sent(now.boot);
  if (session->wants_rekey_on_send(now.boot)) start_handshake(peer, now, false);
  reschedule(peer, now.boot);
  return true;
}

bool Device::send_padded(Peer& peer, std::span<const std::uint8_t> packet, std::size_t padded, Now now) {
  Session* session = peer.current.get();
  std::uint64_t counter = 0;
  if (session == nullptr || !session->claim_counters(1, now.boot, counter)) return false;
  const std::size_t size = seal_padded(aead_, *session, counter, packet, padded, scratch_.data());
  peer.shared->tx_bytes.fetch_add(size, std::memory_order_relaxed);
  peer.shared->data_sent(now.boot);
  outbox_.send(peer.shared->route(), {scratch_.data(), size}, 0);
  return true;
}

void Device::send_keepalive(Peer& peer, Now now) {
  Session* session = peer.current.get();
  if (session == nullptr || session->expired(now.boot)) {
    start_handshake(peer, now, false);
    return;
  }
  seal_and_send(peer, *session, {}, 0, now);
  peer.shared->any_sent(now.boot);
  if (session->wants_rekey_on_send(now.boot)) start_handshake(peer, now, false);
}

void Device::seal_and_send(Peer& peer, Session& session, std::span<const std::uint8_t> packet,
                           std::uint8_t ds_field, Now now) {
  std::uint64_t counter = 0;
  if (!session.claim_counters(1, now.boot, counter)) {
    drops_.count(DropReason::kNoSession);
    return;
  }
  const std::size_t size = seal_packet(aead_, session, counter, packet,
                                       peer.shared->inner_mtu.load(std::memory_order_relaxed), scratch_.data());
  peer.shared->tx_bytes.fetch_add(size, std::memory_order_relaxed);
  outbox_.send(peer.shared->route(), {scratch_.data(), size}, ds_field);
}

void Device::begin_sending(Peer& peer, Session& session, Now now) {
  bool sent = false;
  for (;;) {
    const auto staged = peer.shared->take_staged_or_publish(&session);
    if (staged.empty()) break;
    for (const auto& packet : staged) seal_and_send(peer, session, packet.bytes, packet.ds_field, now);
    peer.shared->data_sent(now.boot);
    sent = true;
  }
  // The initiator confirms the keys even when it has nothing to say.
  if (!sent && session.initiator) send_keepalive(peer, now);
  if (session_told_) session_told_(peer.id);
}

Session& Device::install(Peer& peer, const Established& established, IdentitySlot as, bool initiator, Now now) {
  SessionPtr made = session_memory_->make<Session>(*peer.shared, established.keys, established.local_index,
                                                   established.remote_index, initiator, now.boot);
  Session& session = *made;
  session.made_under = as;
  if (initiator) {
    if (peer.next) {
      retire(std::move(peer.previous));
      retire(std::move(peer.current));
      peer.previous = std::move(peer.next);
    } else {
      retire(std::move(peer.previous));
      peer.previous = std::move(peer.current);
    }
    peer.current = std::move(made);
    session.confirmed.store(true, std::memory_order_relaxed);
  } else {
    retire(std::move(peer.next));
    retire(std::move(peer.previous));
    peer.next = std::move(made);
  }
  index_table_.publish(&session);
  peer.erase_keys_at = now.boot + kEraseKeysAfter;
  peer.last_minute_handshake = false;
  peer.endpoint_doubted = false;
  return session;
}

void Device::promote_next(Peer& peer, Now now) {
  retire(std::move(peer.previous));
  peer.previous = std::move(peer.current);
  peer.current = std::move(peer.next);
  handshake_complete(peer, now);
  // Workers go on with the old session until the staged packets are out.
  begin_sending(peer, *peer.current, now);
}

void Device::retire(SessionPtr session) {
  if (!session) return;
  Session* current = session.get();
  session->peer.current.compare_exchange_strong(current, nullptr, std::memory_order_seq_cst);
  index_table_.free(session->local_index);
  // std::function copies, a unique_ptr does not.
  std::shared_ptr<Session> last(session.release(), [memory = session_memory_](Session* s) {
    SessionPtr::deleter_type{memory.get()}(s);
  });
  domain_.retire([last]() mutable { last.reset(); });
}

void Device::erase_keys(Peer& peer) {
  retire(std::move(peer.previous));
  retire(std::move(peer.current));
  retire(std::move(peer.next));
  forget_initiation(peer);
  peer.erase_keys_at = kNever;
}

void Device::forget_initiation(Peer& peer) {
  if (peer.handshake.initiation_pending) index_table_.free(peer.handshake.local_index);
  peer.race.end();
  peer.handshake.forget_initiation();
}

Duration Device::draw_jitter() { return Duration{random_.next_u32() % kRekeyTimeoutJitter.count()}; }

void Device::reschedule(Peer& peer, TimePoint now) {
  if (stopped_) return;
  const TimePoint at = peer.next_deadline(now);
  if (at == peer.deadline) return;
  deadlines_.erase({peer.deadline, peer.id});
  peer.deadline = at;
  if (at != kNever) deadlines_.emplace(at, peer.id);
}

}  // namespace greywire::wireguard
