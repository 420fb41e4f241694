// A whole site without a system: WireGuard device, allowed-IPs, forwarder, as the engine puts them together,
// on one thread and with time handed in. What it sends and delivers stays in vectors until somebody takes it.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "router/allowed_ips/allowed_ips_book.h"
#include "router/forwarder/inbound.h"
#include "router/forwarder/outbound.h"
#include "router/wireguard/device.h"
#include "router/wireguard/handshake_gate.h"
#include "tests/sim/seed.h"

namespace greywire::test {

using Bytes = std::vector<std::uint8_t>;
using namespace std::chrono_literals;

inline TimePoint at(Duration since_start) {
  return TimePoint{1000s + since_start};
}
inline WallTime wall_at(TimePoint boot) {
  const auto ns = boot.time_since_epoch().count();
  return {1'700'000'000 + ns / 1'000'000'000, static_cast<std::uint32_t>(ns % 1'000'000'000)};
}
inline wireguard::Now now_at(TimePoint boot) {
  return {boot, wall_at(boot)};
}
inline Prefix prefix(std::string_view text) {
  return Prefix::parse(text).value();
}
inline IpAddress address(std::string_view text) {
  return IpAddress::parse(text).value();
}
inline Endpoint endpoint(std::string_view text) {
  return Endpoint::parse(text).value();
}

struct PeerSetup {
  std::optional<Endpoint> endpoint;
  std::vector<Prefix> allowed_ips;
  bool strict = true;
  std::vector<Prefix> sources;  // the ceiling where not strict
  std::vector<IpAddress> overlay;
  bool clamp_mss = false;
  std::uint32_t inner_mtu = 1420;
  std::uint16_t keepalive = 0;
  bool reassembles = true;
};

struct TunnelSetup {
  LinkId link;
  PeerId peer;
  gre::TunnelConfig config;
  bool clamp_mss = false;
  bool check_sources = false;
  std::vector<Prefix> sources = {};
};

struct SentDatagram {
  Endpoint to;
  Bytes bytes;
  std::uint8_t ds_field = 0;
  unsigned type() const { return bytes.empty() ? 0 : bytes[0]; }
};

struct DeliveredFrame {
  LinkId link;
  VirtioNetHeader header;
  Bytes bytes;
  std::size_t packets = 0;
};

class Site final : public wireguard::Outbox, public ForwarderSink {
 public:
  // `trains`: with a provider that takes plaintexts in two places and sums (TrainAead).
  explicit Site(std::uint64_t seed, bool trains = false);
  ~Site() override;

  // Configuration.
  PublicKey public_key() const { return device.identity().public_key; }
  PeerId add_peer(const PublicKey& key, const PeerSetup& setup, TimePoint now);
  void remove_peer(PeerId id);
  void add_tunnel(const TunnelSetup& setup);
  // One TAP over several GRETAP tunnels; `link` of each is that of the segment.
  std::shared_ptr<gre::Segment> add_segment(LinkId link, const gre::SegmentConfig& config,
                                            const std::vector<TunnelSetup>& tunnels);
  void tell_too_big(LinkId link);  // the tunnel's frames that do not fit are sent back
  void set_own_overlay(std::vector<IpAddress> addresses);
  void set_own_networks(const std::vector<Prefix>& networks);
  void set_listen_port(std::uint16_t port);
  void publish();
  wireguard::Peer& peer(PeerId id) { return *device.find(id); }
  wireguard::PeerData& shared(PeerId id) { return *device.find(id)->shared; }
  PeerEntry& entry(PeerId id) { return *entries_.at(id); }

  // What happens to it. `from` is the sender as this site sees it.
  void receive(std::span<const std::uint8_t> datagram, const Endpoint& from, TimePoint now,
               std::uint8_t ds_field = 0);
  // Datagrams in one batch, as recvmmsg hands them over.
  void receive_batch(const std::vector<SentDatagram>& datagrams, const Endpoint& from, TimePoint now);
  void frame(LinkId link, Bytes bytes, TimePoint now, const VirtioNetHeader& header = {});
  void frame_batch(LinkId link, std::vector<Bytes> frames, TimePoint now);
  void send_probe(PeerId to, const IpAddress& source, const IpAddress& destination, std::uint64_t sequence,
                  TimePoint now);
  void initiate(PeerId id, TimePoint now);
  void advance(TimePoint now);
  TimePoint next_deadline() const { return device.next_deadline(); }

  // What came of it.
  std::vector<SentDatagram> take_sent() { return std::exchange(sent_, {}); }
  std::vector<DeliveredFrame> take_delivered() { return std::exchange(delivered_, {}); }
  std::vector<ProbeReply> take_probe_replies() { return std::exchange(probe_replies_, {}); }
  std::uint64_t drops(DropReason reason) const {
    return worker_drops.get(reason) + device_drops_->get(reason);
  }
  std::uint64_t all_drops() const;
  std::map<std::string, std::uint64_t> drop_report() const;  // what is not zero

  // Behaviour of the surroundings.
  bool device_takes_frames = true;
  bool handshake_queue_full = false;
  bool under_load = false;
  std::uint64_t probe_nonce = 0;

  SeededRandom random;
  QuiescentDomain domain;
  QuiescentDomain::Reader& reader;
  std::unique_ptr<Aead> aead;
  wireguard::Device device;
  AllowedIpsTable routes;
  AllowedIpsBook book;
  DropCounters worker_drops;
  Outbound outbound;
  std::unique_ptr<Inbound> inbound;
  wireguard::HandshakeGate gate;

 private:
  void send(const wireguard::Route& route, std::span<const std::uint8_t> datagram,
            std::uint8_t ds_field) override;
  void endpoint_changed(const wireguard::Peer& peer) override;
  void send(std::span<const SealedTrain> trains) override;
  bool write(LinkId link, const MergedFrame& frame) override;
  void attention(PeerId peer) override { attention_.push_back(peer); }
  bool handshake(std::span<const std::uint8_t> datagram, const wireguard::Route& from) override;
  void unknown_session(const Endpoint& from) override { unknown_sessions_.push_back(from); }
  void probe_reply(const ProbeReply& reply) override { probe_replies_.push_back(reply); }
  void settle(TimePoint now);  // the protocol thread's part
  void note_counter(std::span<const std::uint8_t> datagram);

  std::unique_ptr<ForwardingTables> tables_;
  std::map<PeerId, std::shared_ptr<PeerEntry>> entries_;
  std::map<LinkId, std::shared_ptr<TunnelEntry>> tunnels_;
  std::map<LinkId, std::shared_ptr<SegmentEntry>> segments_;
  std::vector<IpAddress> own_overlay_;
  std::shared_ptr<const PrefixSet> own_networks_;
  std::map<IpAddress, PeerId> overlay_owners_;
  std::map<PeerId, Endpoint> endpoints_;
  std::uint16_t listen_port_ = 0;
  DropCounters* device_drops_ = nullptr;

  std::deque<PeerId> attention_;
  std::vector<Endpoint> unknown_sessions_;
  std::deque<std::pair<Bytes, wireguard::Route>> handshakes_;
  TimePoint received_at_;
  std::vector<SentDatagram> sent_;
  std::vector<DeliveredFrame> delivered_;
  std::vector<ProbeReply> probe_replies_;
  std::set<std::pair<std::uint32_t, std::uint64_t>>
      used_counters_;  // receiver index and counter: never twice
};

// Carries everything that either has sent to the other at once, until both are silent.
inline void exchange(Site& a, const Endpoint& a_at, Site& b, const Endpoint& b_at, TimePoint now);

}  // namespace greywire::test

#include "tests/sim/site_impl.h"  // IWYU pragma: export
