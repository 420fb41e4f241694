// The definitions of site.h, which includes this.
#pragma once

#include "router/crypto/x25519.h"
#include "router/forwarder/probe.h"
#include "router/packet/icmp.h"
#include "tests/sim/site.h"
#include "tests/sim/train_aead.h"

namespace greywire::test {

inline Site::Site(std::uint64_t seed, bool trains)
    : random(seed),
      reader(domain.add_reader()),
      aead(trains ? std::make_unique<TrainAead>() : make_aead(AeadProvider::kSodium)),
      device(domain, random, *aead, *this),
      routes(domain),
      book(routes),
      outbound(*aead, *this, worker_drops),
      gate(random, worker_drops) {
  probe_nonce = std::uint64_t{random.next_u32()} << 32 | random.next_u32();
  inbound = std::make_unique<Inbound>(*aead, *this, outbound, worker_drops, probe_nonce);
  device_drops_ = &device.drops();
  device.set_private_key(generate_private_key(random));
  tables_ = std::make_unique<ForwardingTables>();
  publish();
  reader.online();
}

inline Site::~Site() {
  reader.offline();
}

inline PeerId Site::add_peer(const PublicKey& key, const PeerSetup& setup, TimePoint now) {
  auto& added = device.add_peer(key, Origin::kConfig);
  auto entry = std::make_shared<PeerEntry>();
  entry->shared = added.shared.get();
  entry->strict = setup.strict;
  entry->sources = PrefixSet(setup.sources);
  entry->clamp_mss = setup.clamp_mss;
  for (const auto& a : setup.overlay) {
    overlay_owners_[a] = added.id;
    (a.is_v4() ? entry->overlay_v4 : entry->overlay_v6) = a;
  }
  if (setup.reassembles) entry->reassembly = std::make_shared<PeerReassembly>();
  added.shared->inner_mtu = setup.inner_mtu;
  entries_[added.id] = entry;
  publish();
  if (setup.endpoint) device.set_endpoint(added, *setup.endpoint);
  for (const auto& p : setup.allowed_ips) book.assign(p, added.id, Origin::kConfig);
  book.flush();
  if (setup.keepalive != 0) device.set_persistent_keepalive(added, setup.keepalive, now_at(now));
  return added.id;
}

inline void Site::remove_peer(PeerId id) {
  book.remove_peer(id);
  book.flush();
  entries_.erase(id);
  endpoints_.erase(id);
  std::erase_if(overlay_owners_, [&](const auto& owner) { return owner.second == id; });
  publish();
  device.remove_peer(id);
}

inline void Site::add_tunnel(const TunnelSetup& setup) {
  auto tunnel =
      std::make_shared<TunnelEntry>(TunnelId{setup.link.value}, setup.link, setup.peer, setup.config);
  tunnel->clamp_mss = setup.clamp_mss;
  tunnel->check_sources = setup.check_sources;
  tunnel->sources = PrefixSet(setup.sources);
  tunnels_[setup.link] = tunnel;
  entries_.at(setup.peer)->tunnels.push_back(tunnel);
  publish();
}

inline std::shared_ptr<gre::Segment> Site::add_segment(LinkId link, const gre::SegmentConfig& config,
                                                       const std::vector<TunnelSetup>& tunnels) {
  auto segment = std::make_shared<SegmentEntry>();
  segment->state = std::make_shared<gre::Segment>(config);
  for (const TunnelSetup& setup : tunnels) {
    auto tunnel = std::make_shared<TunnelEntry>(TunnelId{link.value}, link, setup.peer, setup.config);
    tunnel->clamp_mss = setup.clamp_mss;
    tunnel->segment_port = static_cast<gre::SegmentPort>(segment->tunnels.size() + 1);
    entries_.at(setup.peer)->tunnels.push_back(tunnel);
    segment->tunnels.push_back(std::move(tunnel));
  }
  segments_[link] = segment;
  publish();
  return segment->state;
}

inline void Site::tell_too_big(LinkId link) {
  tunnels_.at(link)->tell_too_big = true;
}

inline void Site::set_own_overlay(std::vector<IpAddress> addresses) {
  own_overlay_ = std::move(addresses);
  publish();
}

inline void Site::set_own_networks(const std::vector<Prefix>& networks) {
  own_networks_ = std::make_shared<PrefixSet>(networks);
  publish();
}

inline void Site::set_listen_port(std::uint16_t port) {
  listen_port_ = port;
  publish();
}

inline void Site::publish() {
  auto tables = std::make_unique<ForwardingTables>();
  std::size_t links = 1;
  if (!tunnels_.empty()) links = std::max<std::size_t>(links, tunnels_.rbegin()->first.value + 1);
  if (!segments_.empty()) links = std::max<std::size_t>(links, segments_.rbegin()->first.value + 1);
  tables->links.resize(links);
  tables->links[0].present = true;
  for (const auto& [link, tunnel] : tunnels_) tables->links[link.value] = {true, tunnel, nullptr};
  for (const auto& [link, segment] : segments_) tables->links[link.value] = {true, nullptr, segment};
  for (const auto& [id, entry] : entries_) {
    if (tables->peers.size() <= id.value) tables->peers.resize(id.value + 1);
    tables->peers[id.value] = std::make_shared<const PeerEntry>(*entry);
  }
  for (const auto& [a, owner] : overlay_owners_) tables->overlay_owners[a] = owner;
  for (const auto& a : own_overlay_) tables->overlay_owners[a] = PeerId{0xffffffff};
  tables->own_overlay = own_overlay_;
  tables->own_networks = own_networks_;
  tables->listen_port = listen_port_;
  for (const auto& [id, where] : endpoints_) ++tables->endpoints[where];
  tables_ = std::move(tables);
}

inline void Site::receive(std::span<const std::uint8_t> datagram, const Endpoint& from, TimePoint now,
                          std::uint8_t ds_field) {
  Bytes copy(datagram.begin(), datagram.end());
  received_at_ = now;
  inbound->begin(*tables_, *routes.root().load(), device.index_table(), now);
  inbound->message(copy, 0, wireguard::Route{from, {}, 0, false}, ds_field);
  inbound->finish();
  settle(now);
}

inline void Site::receive_batch(const std::vector<SentDatagram>& datagrams, const Endpoint& from,
                                TimePoint now) {
  std::vector<Bytes> copies;
  for (const auto& d : datagrams) copies.push_back(d.bytes);
  received_at_ = now;
  inbound->begin(*tables_, *routes.root().load(), device.index_table(), now);
  for (std::size_t i = 0; i < copies.size(); ++i) {
    inbound->message(copies[i], 0, wireguard::Route{from, {}, 0, false}, datagrams[i].ds_field);
  }
  inbound->finish();
  settle(now);
}

inline void Site::frame(LinkId link, Bytes bytes, TimePoint now, const VirtioNetHeader& header) {
  outbound.frame(*tables_, *routes.root().load(), link, header, bytes, now);
  settle(now);
}

inline void Site::frame_batch(LinkId link, std::vector<Bytes> frames, TimePoint now) {
  for (Bytes& bytes : frames) outbound.frame(*tables_, *routes.root().load(), link, {}, bytes, now);
  settle(now);
}

inline void Site::send_probe(PeerId to, const IpAddress& source, const IpAddress& destination,
                             std::uint64_t sequence, TimePoint now) {
  std::array<std::uint8_t, 256> packet;
  const auto payload = encode_probe({probe_nonce, sequence, now});
  const std::size_t size =
      write_echo_request(packet, source, destination, 1, static_cast<std::uint16_t>(sequence), payload);
  ASSERT_GT(size, 0U);
  device.send_packet(peer(to), std::span(packet).first(size), 0, now_at(now));
  settle(now);
}

inline void Site::initiate(PeerId id, TimePoint now) {
  device.initiate(peer(id), now_at(now));
  settle(now);
}

inline void Site::advance(TimePoint now) {
  device.advance(now_at(now));
  settle(now);
}

inline void Site::settle(TimePoint now) {
  outbound.flush(now);
  reader.quiescent();
  for (const Endpoint& from : std::exchange(unknown_sessions_, {}))
    device.unknown_session_used(from, now_at(now));
  while (!attention_.empty() || !handshakes_.empty()) {
    if (!attention_.empty()) {
      const PeerId id = attention_.front();
      attention_.pop_front();
      device.attend(id, now_at(now));
    } else {
      const auto [bytes, from] = handshakes_.front();
      handshakes_.pop_front();
      device.receive_handshake(bytes, from, now_at(now));
    }
  }
  domain.reclaim();
}

inline std::uint64_t Site::all_drops() const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kDropReasonCount; ++i) sum += drops(static_cast<DropReason>(i));
  return sum;
}

inline std::map<std::string, std::uint64_t> Site::drop_report() const {
  std::map<std::string, std::uint64_t> report;
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    const auto reason = static_cast<DropReason>(i);
    if (drops(reason) != 0) report[std::string(drop_reason_name(reason))] = drops(reason);
  }
  return report;
}

inline void Site::note_counter(std::span<const std::uint8_t> datagram) {
  if (datagram[0] != 4) return;
  const bool fresh =
      used_counters_.emplace(load_le32(datagram.data() + 4), load_le64(datagram.data() + 8)).second;
  EXPECT_TRUE(fresh) << "a nonce was used twice";
}

inline void Site::send(const wireguard::Route& route, std::span<const std::uint8_t> datagram,
                       std::uint8_t ds_field) {
  EXPECT_NE(route.remote.port, 0) << "sent to nowhere";
  note_counter(datagram);
  sent_.push_back({route.remote, Bytes(datagram.begin(), datagram.end()), ds_field});
}

inline void Site::endpoint_changed(const wireguard::Peer& peer) {
  endpoints_[peer.id] = peer.shared->route().remote;
  publish();
}

inline void Site::send(std::span<const SealedTrain> trains) {
  for (const SealedTrain& train : trains) {
    const std::uint32_t limit = 16 + train.peer->inner_mtu.load() + 16;
    std::uint32_t count = 0;
    for (std::uint32_t offset = 0; offset < train.size; offset += train.segment_size, ++count) {
      const std::uint32_t size = std::min<std::uint32_t>(train.segment_size, train.size - offset);
      EXPECT_LE(size, limit) << "a datagram past the path MTU";
      note_counter({train.bytes + offset, size});
      sent_.push_back({train.peer->route().remote, Bytes(train.bytes + offset, train.bytes + offset + size),
                       train.ds_field});
    }
    EXPECT_EQ(count, train.count);
  }
}

inline bool Site::write(LinkId link, const MergedFrame& frame) {
  if (!device_takes_frames) return false;
  DeliveredFrame out{link, frame.header, {}, frame.packets};
  for (std::size_t i = 0; i < frame.part_count; ++i) {
    const auto* bytes = static_cast<const std::uint8_t*>(frame.parts[i].iov_base);
    out.bytes.insert(out.bytes.end(), bytes, bytes + frame.parts[i].iov_len);
  }
  EXPECT_EQ(out.bytes.size(), frame.bytes);
  delivered_.push_back(std::move(out));
  return true;
}

inline bool Site::handshake(std::span<const std::uint8_t> datagram, const wireguard::Route& from) {
  using Outcome = wireguard::HandshakeGate::Outcome;
  std::array<std::uint8_t, wireguard::kCookieReplySize> reply;
  const std::array keys{wireguard::ReceiverKeys(public_key()), wireguard::ReceiverKeys(device.previous_identity().public_key)};
  const Outcome outcome = gate.judge(datagram, from.remote, keys, under_load, received_at_, reply);
  if (outcome == Outcome::kCookieReply) send(from, reply, wireguard::kHandshakeDsField);
  if (outcome == Outcome::kCookieReply || outcome == Outcome::kDropped) return true;
  if (handshake_queue_full) return false;
  handshakes_.emplace_back(Bytes(datagram.begin(), datagram.end()), from);
  return true;
}

inline void exchange(Site& a, const Endpoint& a_at, Site& b, const Endpoint& b_at, TimePoint now) {
  for (;;) {
    const auto from_a = a.take_sent();
    const auto from_b = b.take_sent();
    if (from_a.empty() && from_b.empty()) return;
    for (const auto& d : from_a) {
      if (d.to == b_at) b.receive(d.bytes, a_at, now, d.ds_field);
    }
    for (const auto& d : from_b) {
      if (d.to == a_at) a.receive(d.bytes, b_at, now, d.ds_field);
    }
  }
}

}  // namespace greywire::test
