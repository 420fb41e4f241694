// The protocol thread of an Engine: the inside of engine.h. It owns the WireGuard device (handshakes, timers), the book of
// allowed-IPs, liveness probes and everything that is published to the workers. Handshakes cost some 200 us of X25519
// each, so they never run on a data worker; calls of the control side go first.
#pragma once

#include <atomic>
#include <exception>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <thread>
#include <type_traits>
#include <vector>

#include "router/crypto/system_random.h"
#include "router/engine/engine.h"
#include "router/engine/icmp_socket.h"
#include "router/engine/published.h"
#include "router/engine/worker.h"
#include "router/pmtu/icmp_report.h"
#include "router/wireguard/device.h"

namespace greywire::engine {

class Engine::Protocol final : private wireguard::Outbox {
 public:
  Protocol(const EngineOptions& options, EngineEvents events);
  ~Protocol() override;

  // Runs `fn(*this)` on the protocol thread and waits for it.
  template <class Fn>
  auto call(Fn&& fn) -> std::invoke_result_t<Fn, Protocol&> {
    using R = std::invoke_result_t<Fn, Protocol&>;
    if (std::this_thread::get_id() == thread_.get_id()) return fn(*this);
    std::promise<R> done;
    published_.inbox.call([&] {
      try {
        if constexpr (std::is_void_v<R>) {
          fn(*this);
          done.set_value();
        } else {
          done.set_value(fn(*this));
        }
      } catch (...) {
        done.set_exception(std::current_exception());
      }
    });
    return done.get_future().get();
  }

  unsigned worker_count() const { return static_cast<unsigned>(workers_.size()); }
  AeadProvider provider() const { return provider_; }
  CaptureTap& tap() { return published_.tap; }

  // The rest runs on the protocol thread; see Engine for each.
  wireguard::DeviceStatus status();
  int set_private_key(const PrivateKey& key);
  void set_identities(const PrivateKey& key, const PrivateKey& previous);
  bool change_key(const PublicKey& from, const PublicKey& to);
  int set_fwmark(std::uint32_t mark);
  int remove_peers(Origin origin);
  int change_peer(const wireguard::PeerChange& change);
  Result<void> listen(std::uint16_t port);
  void suspend();
  Result<void> resume();
  std::optional<PeerId> find_peer(const PublicKey& key);
  void set_inner_mtu(Mtu mtu);
  void set_endpoints(PeerId peer, const std::vector<Endpoint>& candidates);
  void initiate_all();
  void initiate(PeerId peer);
  Result<void> ping(PeerId peer, std::uint32_t number, std::size_t padded);
  wireguard::Timestamp greatest_timestamp() { return device_.timestamps().greatest(); }
  LinkId add_link(TunDevice device, const std::optional<TunnelOptions>& tunnel);
  void remove_link(LinkId link);
  void replace_tunnel(LinkId link, const TunnelOptions& tunnel);
  LinkId add_segment(TunDevice device, const SegmentOptions& segment);
  void replace_segment(LinkId link, const SegmentOptions& segment);
  std::optional<gre::SegmentStatus> segment_status(LinkId link);
  std::vector<gre::SegmentEvent> take_segment_events(LinkId link);
  std::vector<gre::MacTable::Entry> segment_macs(LinkId link);
  Result<void> set_carrier(LinkId link, bool on);
  void set_own(std::vector<IpAddress> addresses, const std::vector<Prefix>& networks);
  void set_peer_policy(PeerId peer, PeerPolicy policy);
  void learn(std::span<const LearnedRoute> routes);
  RouteTarget lookup(const IpAddress& address) const;
  void define_group(NextHopGroupId id, std::vector<WeightedPeer> members);
  void drop_group(NextHopGroupId id);
  // Whose prefix is fixed, and who is in each group.
  struct Owners {
    std::map<Prefix, AllowedIpsBook::Fixed> fixed;
    std::map<NextHopGroupId, std::vector<PeerId>> groups;
  };
  Owners owners() const;
  // `fn` on the calling thread, always the same one, with what the workers look up.
  template <class Fn>
  void read_routes(Fn&& fn) {
    control_reader_.online();
    fn(*routes_.root().load(std::memory_order_seq_cst));
    control_reader_.offline();
  }
  std::vector<TunnelTraffic> tunnel_traffic() const;
  std::uint64_t dropped(DropReason reason);
  std::vector<PathStatus> paths() const;
  PathTotals path_totals() const;

 private:
  struct PeerPath {
    PeerPath(const PathOptions& with, const pmtu::PathSearch& fresh, const Endpoint& at_remote)
        : options(with), search(fresh), remote(at_remote) {}
    PathOptions options;
    pmtu::PathSearch search;
    Endpoint remote;       // to which the search belongs; port 0: none yet
    TimePoint at = kNever;  // as it stands in path_deadlines_
    std::optional<pmtu::PathState> told;
  };
  struct PeerState {
    PeerPolicy policy;
    Endpoint published;  // as it stands in tables_.endpoints; port 0: nowhere
    std::optional<Liveness> liveness;
    TimePoint probe_at = kNever;
    std::optional<PeerPath> path;  // none: the MTU is fixed
    std::shared_ptr<PeerReassembly> reassembly;
  };
  struct LinkState {
    std::shared_ptr<TunDevice> device;
    std::optional<TunnelOptions> options;
    std::shared_ptr<const TunnelEntry> tunnel;
    std::optional<SegmentOptions> segment_options;
    std::shared_ptr<const SegmentEntry> segment;
  };

  // wireguard::Outbox
  void endpoint_changed(const wireguard::Peer& peer) override;
  void send(const wireguard::Route& route, std::span<const std::uint8_t> datagram, std::uint8_t ds_field) override;

  void run();
  void take_in();
  void wait();
  void advance_liveness(wireguard::Now now);
  void send_probe(wireguard::Peer& peer, PeerState& state, std::uint64_t sequence, wireguard::Now now);
  void probe_answered(const ProbeReply& reply, TimePoint now);
  std::shared_ptr<TunnelEntry> make_tunnel(LinkId link, const TunnelOptions& options) const;
  std::shared_ptr<SegmentEntry> make_segment(LinkId link, const SegmentOptions& options,
                                                   const SegmentEntry* old) const;
  void attach(LinkId link, const std::shared_ptr<TunDevice>& device);  // to the workers
  void forget_macs_of(PeerId id);
  // Our address and the peer's that probes go between; nothing where there are none.
  std::optional<std::pair<IpAddress, IpAddress>> probe_ends(const PeerState& state) const;
  std::size_t write_probe(const PeerState& state, std::uint64_t sequence, TimePoint now, std::span<std::uint8_t> out) const;

  // protocol_path.cc
  void configure_path(PeerId id, PeerState& state);
  void schedule_path(PeerId id, PeerState& state, TimePoint not_before);
  void advance_paths(wireguard::Now now);
  void advance_path(wireguard::Peer& peer, PeerState& state, wireguard::Now now);
  void send_path_probe(wireguard::Peer& peer, const PeerState& state, std::uint32_t id, std::size_t padded,
                       wireguard::Now now);
  bool path_probe_answered(const ProbeReply& reply, TimePoint now);
  void path_heard(PeerId id, TimePoint now);
  void path_attention(PeerId id, std::uint32_t wanted, TimePoint now);
  void follow_endpoint(PeerId id, PeerState& state, TimePoint now);
  void apply_path(PeerId id, PeerState& state);
  void open_icmp();
  Result<void> take_senders(UnderlaySockets& sockets);
  void read_icmp(TimePoint now);
  bool take_report(const pmtu::TooBigReport& report, TimePoint now);
  void drop_peer(PeerId id);
  void rebuild_entry(PeerId id);
  void forget_gone_groups();
  void rebuild_group(NextHopGroupId id);
  void rebuild_groups_of(PeerId peer);
  void publish_endpoint(PeerState& state, Endpoint at);
  void disown(const IpAddress& address, PeerId owner);
  void publish();
  void publish_receiver_keys();
  static wireguard::Now now();

  const AeadProvider provider_;
  const EngineOptions options_;
  EngineEvents events_;
  SystemRandom random_;
  Published published_;
  std::unique_ptr<Aead> aead_;
  AllowedIpsTable routes_;
  AllowedIpsBook book_;
  wireguard::Device device_;

  std::uint16_t port_ = 0;
  bool suspended_ = false;
  std::uint32_t fwmark_ = 0;
  Mtu default_inner_mtu_{1420};
  std::optional<UdpSocket> send_v4_, send_v6_;
  bool confirms_ = false;     // what is sent goes to somebody who answers: SendTrain::confirmed
  bool sends_first_ = false;  // from sockets of this thread's own
  std::map<PeerId, PeerState> peers_;
  std::set<std::pair<TimePoint, PeerId>> probes_;
  std::set<std::pair<TimePoint, PeerId>> path_deadlines_;
  std::vector<IcmpSocket> icmp_;
  PathTotals path_totals_;  // without the workers' part
  TimePoint reports_window_{};
  unsigned reports_read_ = 0;
  int send_error_ = 0;  // of the last datagram that the protocol thread sent
  std::map<LinkId, LinkState> links_;
  std::uint32_t next_link_ = 1;
  std::map<NextHopGroupId, std::vector<WeightedPeer>> groups_;
  // Which no worker can meet any more. Shared, since the last are told when the domain goes, after all else.
  std::shared_ptr<std::vector<NextHopGroupId>> gone_groups_ = std::make_shared<std::vector<NextHopGroupId>>();
  QuiescentDomain::Reader& control_reader_;
  std::vector<IpAddress> own_overlay_;
  ForwardingTables tables_;  // as published last, but for links and what else publish() fills in
  bool endpoints_changed_ = false;  // in tables_, not published yet
  bool told_unlocked_ = false;
  Inbox::Contents inbox_;

  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace greywire::engine
