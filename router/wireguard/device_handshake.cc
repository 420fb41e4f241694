// Handshake messages that come in: whitepaper §5.4.2 to §5.4.7.
#include "router/wireguard/device.h"

namespace greywire::wireguard {
void Device::receive_handshake(std::span<const std::uint8_t> datagram, const Route& from, Now now) {
  if (datagram.size() < kMinTransportSize) return drops_.count(DropReason::kTooShort);
  switch (load_le32(datagram.data())) {
    case static_cast<std::uint32_t>(MessageType::kInitiation):
      if (datagram.size() == kInitiationSize) return receive_initiation(datagram, from, now);
      break;
    case static_cast<std::uint32_t>(MessageType::kResponse):
      if (datagram.size() == kResponseSize) return receive_response(datagram, from, now);
      break;
    case static_cast<std::uint32_t>(MessageType::kCookieReply):
      if (datagram.size() == kCookieReplySize) return receive_cookie_reply(datagram, from, now);
      break;
    default: return drops_.count(DropReason::kBadType);
  }
  drops_.count(DropReason::kBadLength);
}

void Device::receive_initiation(std::span<const std::uint8_t> datagram, const Route& from, Now now) {
  const auto message = datagram.first<kInitiationSize>();
  // mac1 says which identity it was made for.
  const bool for_previous = !previous_identity_->empty() && ReceiverKeys(previous_identity_->public_key).mac1_valid(message);
  const auto opened = open_initiation(for_previous ? *previous_identity_ : *identity_, message);
  if (!opened) return drops_.count(DropReason::kBadHandshake);
  Peer* peer = find(opened->remote_static);
  if (peer == nullptr) return drops_.count(DropReason::kUnknownPeer);
  AcceptedInitiation accepted;
  if (const auto drop = accept_initiation(peer->handshake, *opened, message, now.boot, accepted)) {
    return drops_.count(*drop);
  }
  peer->shared->rx_bytes.fetch_add(datagram.size(), std::memory_order_relaxed);
  if (peer->shared->roam(from)) outbox_.endpoint_changed(*peer);
  peer->shared->any_received(now.boot);

  std::array<std::uint8_t, kResponseSize> reply;
  const std::uint32_t index = index_table_.reserve(peer->id, random_);
  const auto established = create_response(peer->handshake, accepted, index, random_, reply);
  if (!established) {
    index_table_.free(index);
    return drops_.count(DropReason::kBadHandshake);
  }
  install(*peer, *established, opened->made_for, false, now);
  send_handshake_message(*peer, reply, now);
  reschedule(*peer, now.boot);
}

void Device::receive_response(std::span<const std::uint8_t> datagram, const Route& from, Now now) {
  PeerId owner;
  if (!index_table_.owner_of(load_le32(datagram.data() + response::kReceiver), owner)) {
    return drops_.count(DropReason::kUnknownIndex);
  }
  Peer* peer = find(owner);
  if (peer == nullptr) return drops_.count(DropReason::kUnknownIndex);
  const IdentitySlot as = peer->handshake.sent_as;
  const auto established = consume_response(peer->handshake, identity_of(as), datagram.first<kResponseSize>());
  if (!established) return drops_.count(DropReason::kBadHandshake);
  peer->shared->rx_bytes.fetch_add(datagram.size(), std::memory_order_relaxed);
  if (peer->shared->roam(from)) outbox_.endpoint_changed(*peer);
  peer->shared->any_received(now.boot);
  peer->race.end();
  Session& session = install(*peer, *established, as, true, now);
  handshake_complete(*peer, now);
  begin_sending(*peer, session, now);
  reschedule(*peer, now.boot);
}

void Device::receive_cookie_reply(std::span<const std::uint8_t> datagram, const Route& from, Now now) {
  PeerId owner;
  if (!index_table_.owner_of(load_le32(datagram.data() + cookie_reply::kReceiver), owner)) {
    return drops_.count(DropReason::kUnknownIndex);
  }
  Peer* peer = find(owner);
  if (peer == nullptr || !peer->authenticator.consume_cookie_reply(datagram.first<kCookieReplySize>(), now.boot)) {
    return drops_.count(DropReason::kBadHandshake);
  }
  peer->race.prefer(from.remote);
  peer->shared->rx_bytes.fetch_add(datagram.size(), std::memory_order_relaxed);
}

void Device::send_handshake_message(Peer& peer, std::span<std::uint8_t> message, Now now) {
  peer.authenticator.add_macs(message, now.boot);
  peer.shared->tx_bytes.fetch_add(message.size(), std::memory_order_relaxed);
  peer.shared->any_sent(now.boot);
  outbox_.send(peer.shared->route(), message, kHandshakeDsField);
}

}  // namespace greywire::wireguard
