// The packet engine of one site: a WireGuard device with its workers, sockets and TUN/TAP devices. The one place under
// router/ with threads and system calls.
//
// Threads: the protocol thread owns the WireGuard device, the book of allowed-IPs and what is published to workers; data
// workers own a queue of every device and a socket a family. Every public function may be called from any other
// thread (the control thread does) and returns once the protocol thread has done it.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "router/allowed_ips/allowed_ips_book.h"
#include "router/base/drop_reason.h"
#include "router/base/result.h"
#include "router/crypto/aead.h"
#include "router/engine/tun_device.h"
#include "router/engine/udp_socket.h"
#include "router/forwarder/capture_tap.h"
#include "router/forwarder/liveness.h"
#include "router/forwarder/path_counters.h"
#include "router/forwarder/tables.h"
#include "router/pmtu/path_search.h"
#include "router/wireguard/device_status.h"
#include "router/wireguard/timestamp.h"

namespace greywire::engine {

// What to tell a person of EngineEvents::keys_not_locked.
inline constexpr std::string_view kKeysNotLocked =
    "the system allows too little locked memory: keys may be written to swap. Allow more: LimitMEMLOCK=infinity in the "
    "unit, `ulimit -l unlimited`, or CAP_IPC_LOCK";

// Bytes of the largest super-frame a device should hand over. Less than the largest there is would make the kernel cut the
// trains of 64 KB that programs send by UDP_SEGMENT into single datagrams.
inline constexpr std::uint32_t kGsoMaxSize = 65536;

struct EngineOptions {
  unsigned workers = 0;             // 0: chosen by the number of cores
  std::optional<AeadProvider> aead;  // none: the fastest here
  std::string bind_device;          // underlay device or VRF, empty: none
  std::optional<wireguard::Timestamp> kept_timestamp;  // EngineEvents::keep_timestamp of an earlier run
};

// How the largest packet to a peer is found.
struct PathOptions {
  Mtu max;  // the largest underlay packet that is tried
  Duration raise_after = std::chrono::minutes(10);
  friend bool operator==(const PathOptions&, const PathOptions&) = default;
};

// What the site says about a peer beyond WireGuard's own settings.
struct PeerPolicy {
  bool strict = true;                     // WireGuard's source check; else `sources`
  std::vector<Prefix> sources;            // the ceiling
  std::vector<IpAddress> overlay;         // always this peer's, and nobody else's
  bool clamp_mss = false;
  OuterDscp dscp = OuterDscp::kZero;      // of outer headers, and those of GRE delivery
  Mtu inner_mtu{1420};                    // where `path` is none
  std::optional<PathOptions> path;        // path MTU discovery, by probes between the overlay addresses
  std::optional<LivenessConfig> liveness;  // probes to the first overlay address
};

struct TunnelOptions {
  gre::TunnelConfig config;
  PeerId peer;
  bool clamp_mss = false;
  bool tell_too_big = false;  // GRETAP only; see TunnelEntry
  bool check_sources = true;
  std::vector<Prefix> sources;  // beyond the peer's: the link's own subnets
};

// An L2 segment: one TAP over a GRETAP tunnel a peer, in the order of its ports from 1.
struct SegmentOptions {
  gre::SegmentConfig config;  // spokes: one for each tunnel; the nonce is chosen by the engine
  std::vector<TunnelOptions> tunnels;
};

struct TunnelTraffic {
  LinkId link;
  gre::SegmentPort port = 0;  // of a segment's peer
  std::uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
};

struct PathStatus {
  PeerId peer;
  Mtu inner;                       // the largest packet inside the tunnel, as the workers keep it
  std::optional<Family> underlay;  // of the endpoint in use; none: there is none
  struct Search {
    pmtu::PathState state;
    pmtu::PathReason reason;
    Mtu max, plpmtu, probed;  // underlay packets; probed 0: none was answered
    std::optional<TimePoint> changed_at;
    std::uint64_t black_holes = 0;
  };
  std::optional<Search> search;  // none: the MTU is fixed
};
struct PathTotals {
  std::uint64_t probes = 0;           // attempts, of two packets each
  std::uint64_t reports = 0;          // of routers, that quoted a packet of ours
  std::uint64_t reports_ignored = 0;  // that did not, or came too fast
  std::array<std::uint64_t, kPathEventCount> events{};  // by PathEvent
};

// Called on an engine thread: hand over and return at once.
struct EngineEvents {
  std::function<void(PeerId, bool alive)> liveness;
  std::function<void(std::uint32_t id, Duration round_trip)> pong;  // see Engine::ping
  std::function<void(PeerId)> path;  // paths() has something new about this peer
  std::function<void(const std::string& why)> no_icmp;  // routers' reports cannot be heard; probing does without
  std::function<void(LinkId)> link_gone;
  // From now on keys may reach swap: see KeyMemory. Once.
  std::function<void()> keys_not_locked;
  // To be kept for the next run: no initiation carries a greater stamp before the next call.
  std::function<void(const wireguard::Timestamp&)> keep_timestamp;
};

class Engine final : public wireguard::DeviceControl {
 public:
  static unsigned default_workers();
  Engine(const EngineOptions& options, EngineEvents events);
  ~Engine() override;  // stops the threads, closes sockets and devices
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  unsigned workers() const;
  std::string_view aead_name() const;

  // DeviceControl. The first set_listen_port opens the sockets.
  wireguard::DeviceStatus status() override;
  wireguard::DeviceStatus brief_status();  // without allowed-IPs, of which there may be 10^6
  int set_private_key(const PrivateKey& key) override;
  int set_listen_port(std::uint16_t port) override;
  int set_fwmark(std::uint32_t mark) override;
  int remove_peers(Origin origin) override;
  int change_peer(const wireguard::PeerChange& change) override;

  // Device::set_identities, Device::change_key; the latter is also false where nobody has the key `from`.
  void set_identities(const PrivateKey& key, const PrivateKey& previous);
  bool change_key(const PublicKey& from, const PublicKey& to);
  // Like set_listen_port, with the reason in words.
  Result<void> listen(std::uint16_t port);
  // Between the two no socket is open, no session lives and nothing is sent; set_listen_port only notes the port, once it
  // turned out to be free. As WireGuard does while its interface is down. resume() fails as listen() does, and leaves
  // the engine suspended.
  void suspend();
  Result<void> resume();
  std::optional<PeerId> find_peer(const PublicKey& key);
  // The largest inner packet for all peers, also those to come: the bare device follows its interface's MTU.
  void set_inner_mtu(Mtu mtu);
  // Where a peer may be, the best first. They are tried when it does not answer where it is, or is nowhere yet.
  void set_endpoints(PeerId peer, std::vector<Endpoint> candidates);
  // Handshakes with everybody who has an endpoint, now.
  void initiate_all();
  void initiate(PeerId peer);  // the same with one
  // An echo to the peer through the tunnel, by its overlay address; EngineEvents::pong comes with its answer. `size`: bytes of
  // the packet inside, at least as many as the echo takes; all above that is padding, which only the way there carries.
  Result<void> ping(PeerId peer, std::uint32_t id, std::size_t size);
  // Of all initiations so far: what to keep at an orderly end. Zero: there was none.
  wireguard::Timestamp greatest_timestamp();

  // Devices, made by TunDevice::open with workers() queues, or with one: then a single worker reads it, as a tunnel with
  // sequence numbers needs. Without a tunnel it is the plain one, gw0.
  LinkId add_link(TunDevice device, std::optional<TunnelOptions> tunnel);
  void remove_link(LinkId link);
  // Other options for a link that is there; its device, traffic counts and packets under way stay.
  void replace_tunnel(LinkId link, TunnelOptions tunnel);
  // The same for segments. What was learned is kept where the ports are the same peers'.
  LinkId add_segment(TunDevice device, SegmentOptions segment);
  void replace_segment(LinkId link, SegmentOptions segment);
  std::optional<gre::SegmentStatus> segment_status(LinkId link);
  std::vector<gre::SegmentEvent> take_segment_events(LinkId link);
  std::vector<gre::MacTable::Entry> segment_macs(LinkId link);
  Result<void> set_carrier(LinkId link, bool on);

  // This site's overlay addresses, and the prefixes behind it, which no peer's packets may come from.
  void set_own(std::vector<IpAddress> addresses, std::vector<Prefix> networks);
  void set_peer_policy(PeerId peer, PeerPolicy policy);
  // At most some thousand at a time: the protocol thread does nothing else meanwhile, about 1 us a route.
  void learn(std::vector<LearnedRoute> routes);
  // The peers behind a shared group, before learn() leads a prefix to it, and after the last one has left it. A peer that
  // does not answer the probe takes no traffic of its groups.
  void define_group(NextHopGroupId group, std::vector<WeightedPeer> members);
  void drop_group(NextHopGroupId group);
  // Every learned prefix that the workers look up, in the order of Prefix, and where it leads. As status(), it walks the table
  // on the calling thread, which is always the same one, and keeps no other waiting.
  void for_each_learned(const std::function<void(const Prefix&, RouteTarget)>& fn);
  // Who a packet to this address would go to; nothing where nobody, a discard where refused.
  RouteTarget lookup(const IpAddress& address);

  // Copies of packets on their way through; see CaptureTap.
  CaptureTap& tap();

  std::vector<TunnelTraffic> tunnel_traffic();
  std::uint64_t dropped(DropReason reason);
  std::vector<PathStatus> paths();
  PathTotals path_totals();

 private:
  class Protocol;
  std::unique_ptr<Protocol> protocol_;
};

}  // namespace greywire::engine
