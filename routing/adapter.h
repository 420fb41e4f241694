// The routing adapter: learned routes → next hop → peer → policy → allowed-IPs. Pure: time is handed in, what
// results goes to an AllowedIpsSink, what people should read to RoutingEvents.
//
// When the source goes away. zebra gives no withdrawals when it stops, and a zebra that restarts alone comes
// back with an empty BGP table although every BGP session is up: bgpd does not replay its routes (FRR up
// to 10.7). So:
//   - When the stream breaks, every route is held: it stands as before, for `hold_time` from then on.
//   - A route that is announced again is fresh; a withdrawn one goes at once.
//   - At the end of a dump, what is still held goes after `settle_time` if at least as many routes came back: a zebra of FRR
//     10 that was killed has a successor that announces first what it understands of the routes left in the kernel, which
//     is not all, and bgpd's after that. A dump that is emptier is suspicious, and the rest stays held until its time is over.
//   - When the source was only asked for everything again, what it does not repeat is swept at once.
// hold_time is 240 s: bgpd looks for a lost zebra every 10 s, after three failures every 60 s, and its own
// peers may wait for their ConnectRetry timer of 120 s; the rest is for start-up. A held entry costs little:
// the kernel's route is gone or wrong with zebra anyhow, and it alone decides what reaches the overlay
// device.
//
// Control thread only.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "routing/allowed_ips_sync.h"
#include "routing/next_hops.h"
#include "routing/peer_groups.h"
#include "routing/policy.h"
#include "routing/route.h"
#include "routing/route_table.h"

namespace greywire::routing {

// One plain line a call. An alert is something that a person should act on.
class RoutingEvents {
 public:
  virtual ~RoutingEvents() = default;
  virtual void notice(std::string_view line) = 0;
  virtual void alert(std::string_view line) = 0;
};

struct RouteStatus {
  Prefix prefix;
  std::vector<NextHop> next_hops;
  Decision decision;
  std::string peer_name;     // of all who get it, or who announced it; empty without a peer
  std::string refused_peer;  // accepted from others, refused from this one; empty: nobody
  bool held = false;      // from before the source was lost
};

struct PeerRouteCounts {
  PeerId peer;
  std::string name;
  std::size_t accepted = 0;
  std::size_t over_maximum = 0;
  std::size_t maximum = 0;
};

struct RoutingStatus {
  SourceState source = SourceState::kDown;
  std::string release;  // "FRR 8.2 to 9.0"; empty while not known
  std::string detail;   // why the source is down
  std::size_t routes = 0, accepted = 0, refused = 0, unresolved = 0, ignored = 0, held = 0;
  std::uint64_t not_taken = 0;  // beyond AdapterOptions::max_routes
  std::uint64_t audits = 0, repaired = 0;  // what was not as the source, the policy or the decisions have it
  std::vector<PeerRouteCounts> peers;
};

struct AdapterOptions {
  Duration hold_time = std::chrono::seconds(240);
  // Routes beyond so many are not taken at all: a bound on memory, some 130 bytes a route with the engine's part. A full
  // table of both families has 1.3 million.
  std::size_t max_routes = 2'500'000;
  // Asks the source for all its routes again. Called from tick().
  std::function<void()> resync;
  Duration settle_time = std::chrono::seconds(30);  // bgpd looks for a lost zebra every 10
};

class RoutingAdapter final : public RouteSourceListener {
 public:
  // Both outlive the adapter.
  RoutingAdapter(AllowedIpsSink& sink, RoutingEvents& events, const AdapterOptions& options = {});

  // The whole new set each. Every route is decided anew and the outcome is applied before the call returns,
  // so a peer that is taken out holds no learned prefix afterwards.
  void set_peers(std::vector<PeerRouting> peers, TimePoint now);
  void set_own(std::vector<Prefix> own, TimePoint now);
  void set_overlay_ifindex(std::uint32_t ifindex, TimePoint now);  // of gw0; 0 while there is none

  void on_route(const Route& route, TimePoint now) override;
  void on_withdraw(const Prefix& prefix, TimePoint now) override;
  void on_source_state(SourceState state, std::string_view release, std::string_view detail,
                       TimePoint now) override;
  void on_source_notice(std::string_view line) override { events_.notice(line); }
  TimePoint next_deadline() const override;
  void tick(TimePoint now) override;

  RoutingStatus status() const;
  // Sorted by prefix. `wanted`: those that it returns true for; none: all.
  std::vector<RouteStatus> routes(const std::function<bool(const Prefix&, const Decision&)>& wanted = {}) const;
  // The routes whose prefix covers the address, the longest first.
  std::vector<RouteStatus> covering(const IpAddress& address) const;
  // Would this peer get the prefix, were it announced? The count of prefixes is not looked at.
  Reason verdict(const Prefix& prefix, PeerId peer) const { return policy_.check(prefix, peer); }

  // Decides every route anew by the policy of now and compares with what the sink really has; differences are repaired,
  // counted and told. Returns how many there were. To compare with the source as well, ask it for a resync: what it repeats
  // otherwise, or not, is taken as it says, and counted too. Some 0.4 s at 10^6 routes.
  std::size_t audit(TimePoint now);

 private:
  struct PendingAlert {
    std::size_t count = 0;  // since it was said last
    std::string examples;
    TimePoint not_before{};
    Duration interval{};
  };
  using AlertKey = std::pair<std::uint32_t, Reason>;  // peer id
  struct Recursion {
    NextHopResolver::Kind kind = NextHopResolver::Kind::kUnknown;
    NextHopGroupId group{};  // kPeer only
    friend bool operator==(const Recursion&, const Recursion&) = default;
  };

  LearnedChange to_change(const Prefix& prefix, const Decision& decision) const;
  Decision decide(const Prefix& prefix, std::span<const NextHop> next_hops, const Decision& before);
  Reason check(const Prefix& prefix, PeerId peer, const Decision& before);
  bool has(const Decision& decision, PeerId peer) const;
  NextHopGroupId group_of(std::span<const WeightedPeer> members);
  Recursion resolve_recursive(const IpAddress& gateway) const;
  void follow_recursion(TimePoint now);
  void take(const Prefix& prefix, RouteTable::Entry& entry, const Decision& decision, TimePoint now);
  void reconsider(const Prefix& prefix, RouteTable::Entry& entry, TimePoint now);
  void reconsider_all(TimePoint now);
  void forget(const Prefix& prefix, const Decision& decision, TimePoint now);
  void count(const Decision& decision, bool add);
  void thaw(TimePoint now);
  void end_dump(TimePoint now);
  void sweep(std::vector<RouteTable::Swept> swept, TimePoint now);
  void raise_alert(const Prefix& prefix, PeerId peer, Reason reason);
  void flush_alerts(TimePoint now);
  void drop_unused_groups();
  PrefixLimit& limit(PeerId peer);
  RouteStatus status_of(const Prefix& prefix, const RouteTable::Entry& entry) const;
  std::string names(NextHopGroupId group) const;

  AllowedIpsSink& sink_;
  AllowedIpsSync sync_;
  RoutingEvents& events_;
  const AdapterOptions options_;
  RouteTable table_;
  NextHopResolver resolver_;
  Policy policy_;
  std::unordered_map<PeerId, PrefixLimit> limits_;
  PeerGroups groups_;
  std::map<AlertKey, PendingAlert> alerts_;
  TimePoint next_alert_ = kNever;
  std::vector<PeerId> to_warn_;  // came near their maximum
  bool source_was_lost_ = false;  // and no dump was complete since
  bool may_thaw_ = false;        // something of a frozen peer went away

  std::unordered_map<IpAddress, Recursion> recursive_;  // gateways that other routes lead to
  TimePoint follow_recursion_at_ = kNever;

  std::array<std::size_t, 4> counts_{};  // by RouteState
  std::uint64_t not_taken_ = 0;
  bool resync_when_smaller_ = false;
  bool resyncing_ = false;           // the source repeats everything, because it was asked to
  std::size_t source_drift_ = 0;     // routes that were not as it repeats them
  std::uint64_t audits_ = 0;
  std::uint64_t repaired_ = 0;
  Route route_;                           // scratch
  std::vector<WeightedPeer> candidates_;  // scratch
  std::vector<WeightedPeer> accepted_;    // scratch

  SourceState source_ = SourceState::kDown;
  std::string release_;
  std::string detail_;
};

}  // namespace greywire::routing
