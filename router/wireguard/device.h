// A WireGuard device without input and output: identity, peers, handshakes, sessions and timers. Bytes and `now` go
// in, datagrams come out through Outbox. One owner, the protocol thread; workers share PeerData, Session and IndexTable.
//
// Whitepaper: §5.4 (messages), §6 (timers); §5.3 (denial of service) is HandshakeGate's, before it. Allowed-IPs are not
// known here: they belong to the forwarder, which decides what is given to whom.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "router/base/drop_reason.h"
#include "router/base/quiescence.h"
#include "router/base/random_source.h"
#include "router/crypto/aead.h"
#include "router/wireguard/constants.h"
#include "router/wireguard/index_table.h"
#include "router/wireguard/peer.h"
#include "router/wireguard/timestamp.h"

namespace greywire::wireguard {

// Where datagrams go. `ds_field` is that of the outer header. The bytes are valid during the call.
class Outbox {
 public:
  virtual ~Outbox() = default;
  virtual void send(const Route& route, std::span<const std::uint8_t> datagram, std::uint8_t ds_field) = 0;
  // The peer's endpoint is another one than when this was called last.
  virtual void endpoint_changed(const Peer& /*peer*/) {}
};

struct Now {
  TimePoint boot;
  WallTime wall;
};

class Device {
 public:
  Device(QuiescentDomain& domain, RandomSource& random, Aead& aead, Outbox& outbox);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const IndexTable& index_table() const { return index_table_; }
  DropCounters& drops() { return drops_; }
  // Whether all keys so far are in memory that is never swapped (see KeyMemory).
  bool keys_locked() const {
    return session_memory_->locked() && peer_memory_.locked();
  }
  TimestampSource& timestamps() { return timestamps_; }

  // Configuration. A change of identity ends every session and handshake; a peer with our own key is removed.
  void set_private_key(const PrivateKey& key);
  // The key is exchanged without a pause: `previous` is accepted beside `key` until it is given no more, zeros for none. A
  // handshake that is not answered under one is tried under the other. Sessions made under either go on, others end.
  void set_identities(const PrivateKey& key, const PrivateKey& previous, Now now);
  const Identity& identity() const { return *identity_; }
  const Identity& previous_identity() const { return *previous_identity_; }  // empty: none
  // The same peer under another key: its sessions go on until they are renewed; initiate() begins with that. False where
  // another peer has that key already.
  bool change_key(Peer& peer, const PublicKey& key);
  Peer& add_peer(const PublicKey& key, Origin origin);  // the existing one when there is one
  Peer* find(const PublicKey& key);
  Peer* find(PeerId id);
  const std::map<PeerId, KeyMemory::Ptr<Peer>>& peers() const { return peers_; }
  // The caller has already unpublished the peer from what workers read.
  void remove_peer(PeerId id);
  void set_preshared_key(Peer& peer, const PresharedKey& key) { peer.handshake.preshared_key = key; }
  void set_endpoint(Peer& peer, const Endpoint& endpoint);
  void set_persistent_keepalive(Peer& peer, std::uint16_t seconds, Now now);
  // Where the peer may be, the best first. Its endpoint stays as it is while there is one; handshakes that it does not
  // answer try the others (EndpointRace).
  void set_endpoints(Peer& peer, const std::vector<Endpoint>& candidates, Now now);
  // The peer does not answer under its endpoint: a handshake now, over all candidates.
  void doubt_endpoint(Peer& peer, Now now);
  // An address of ours is gone: no peer answers from it any more, routing chooses until the next packet comes in.
  void forget_source(const IpAddress& local);

  // While stopped nothing is sent and no timer runs. stop() ends every session and handshake and drops what waits, as
  // the kernel does when its interface goes down; start() calls whom packets wait for, or a persistent keepalive.
  void stop();
  void start(Now now);

  // A datagram that is no transport data, and that a HandshakeGate let through: mac1 and mac2 are not looked at here.
  void receive_handshake(std::span<const std::uint8_t> datagram, const Route& from, Now now);
  // Transport data for a session that does not exist came from there. Where that is the endpoint of a peer without a
  // session, the peer may still use one that we lost in a restart, and talk into it until its own timers find out: a
  // handshake is started. The datagram is not authentic, so nothing else follows from it; whoever forges one gets no
  // more than an initiation to the endpoint that is known already, and one each Rekey-Timeout.
  void unknown_session_used(const Endpoint& from, Now now);
  // A worker asked for it (PeerData::request).
  // Returns what it asked for, bits of Attention.
  std::uint32_t attend(PeerId id, Now now);
  // A handshake now, whatever waits: at start, or when a link needs the peer.
  void initiate(Peer& peer, Now now) {
    start_handshake(peer, now, false);
    reschedule(peer, now.boot);
  }
  // Seals and sends a packet of our own, as probes are. False, with a handshake on its way, when there is no session.
  bool send_packet(Peer& peer, std::span<const std::uint8_t> packet, std::uint8_t ds_field, Now now);
  // The same for a probe of the path: padded with zeros to `padded` bytes inside, beyond the peer's MTU where need be.
  // Starts no handshake.
  bool send_padded(Peer& peer, std::span<const std::uint8_t> packet, std::size_t padded, Now now);
  // Called whenever a session of a peer becomes the one to send under.
  void on_session(std::function<void(PeerId)> told) { session_told_ = std::move(told); }

  // Does what is due. Nothing is, before next_deadline().
  void advance(Now now);
  TimePoint next_deadline() const { return deadlines_.empty() ? kNever : deadlines_.begin()->first; }

 private:
  void reschedule(Peer& peer, TimePoint now);
  void receive_initiation(std::span<const std::uint8_t> datagram, const Route& from, Now now);
  void receive_response(std::span<const std::uint8_t> datagram, const Route& from, Now now);
  void receive_cookie_reply(std::span<const std::uint8_t> datagram, const Route& from, Now now);

  void start_handshake(Peer& peer, Now now, bool retry);
  const Identity& identity_of(IdentitySlot slot) const {
    return slot == IdentitySlot::kOwn ? *identity_ : *previous_identity_;
  }
  void send_initiation(Peer& peer, IdentitySlot as, Now now);
  void send_initiation_to(Peer& peer, const Endpoint& remote, Now now);
  void handshake_complete(Peer& peer, Now now);
  void advance_peer(Peer& peer, Now now);
  void give_up(Peer& peer, Now now);
  void send_keepalive(Peer& peer, Now now);
  void seal_and_send(Peer& peer, Session& session, std::span<const std::uint8_t> packet, std::uint8_t ds_field,
                     Now now);
  void send_handshake_message(Peer& peer, std::span<std::uint8_t> message, Now now);

  // Sends what waits under `session` and then publishes it to the workers.
  void begin_sending(Peer& peer, Session& session, Now now);
  Session& install(Peer& peer, const Established& established, IdentitySlot as, bool initiator, Now now);
  void promote_next(Peer& peer, Now now);
  void retire(SessionPtr session);
  void erase_keys(Peer& peer);
  void forget_initiation(Peer& peer);
  Duration draw_jitter();

  QuiescentDomain& domain_;
  RandomSource& random_;
  Aead& aead_;
  Outbox& outbox_;
  DropCounters drops_;
  std::function<void(PeerId)> session_told_;

  // Workers may hold sessions until the domain lets go of them, so their memory outlives the device's own end.
  std::shared_ptr<KeyMemory> session_memory_;
  IndexTable index_table_;
  TimestampSource timestamps_;
  KeyMemory::Ptr<Identity> identity_;  // these two in a session's slot each
  KeyMemory::Ptr<Identity> previous_identity_;
  bool stopped_ = false;
  std::uint32_t last_peer_id_ = 0;
  // Peers hold preshared keys, DH results and running handshakes.
  KeyMemory peer_memory_{sizeof(Peer)};
  std::map<PeerId, KeyMemory::Ptr<Peer>> peers_;
  std::unordered_map<PublicKey, Peer*> by_key_;
  std::set<std::pair<TimePoint, PeerId>> deadlines_;
  std::vector<std::uint8_t> scratch_;
};

}  // namespace greywire::wireguard
