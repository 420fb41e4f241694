// The routing adapter: learned routes → next hop → peer → policy → allowed-IPs. Pure: time is handed in, what
// results goes to an AllowedIpsSink, what people should read to RoutingEvents.
//
// When the source goes away. zebra gives no withdrawals when it stops, and a zebra that restarts alone comes
// back with an empty BGP table although every BGP session is up: bgpd does not replay its routes (FRR up
// to 10.7). So:
//   - When the stream breaks, every route is held: it stands as before, for `hold_time` from then on.
//   - A route that is announced again is fresh; a withdrawn one goes at once.
//   - At the end of a dump, what is still held is swept at once if at least as many routes came back; a dump
//   that is
//     emptier is suspicious, and the rest stays held until its time is over.
// hold_time is 240 s: bgpd looks for a lost zebra every 10 s, after three failures every 60 s, and its own
// peers may wait for their ConnectRetry timer of 120 s; the rest is for start-up. A held entry costs little:
// the kernel's route is gone or wrong with zebra anyhow, and it alone decides what reaches the overlay
// device.
//
// Control thread only.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "routing/allowed_ips_sync.h"
#include "routing/next_hops.h"
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
  std::string peer_name;  // empty without a peer
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
  std::vector<PeerRouteCounts> peers;
};

struct AdapterOptions {
  Duration hold_time = std::chrono::seconds(240);
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
  std::vector<RouteStatus> routes() const;  // sorted by prefix
  // See AllowedIpsSync::audit; apply() the result to the sink to repair it.
  std::vector<LearnedChange> audit(std::span<const LearnedChange> actual) const {
    return sync_.audit(actual);
  }

 private:
  struct PendingAlert {
    std::size_t count = 0;
    std::string examples;
  };
  using AlertKey = std::pair<std::uint32_t, Reason>;  // peer id

  Decision decide(const Prefix& prefix, const std::vector<NextHop>& next_hops, const Decision& before);
  Decision decide_for(const Prefix& prefix, PeerId peer, const Decision& before);
  void reconsider(const Prefix& prefix, RouteTable::Entry& entry, TimePoint now);
  void reconsider_all(TimePoint now);
  void forget(const Prefix& prefix, const Decision& decision, TimePoint now);
  void count(const Decision& decision, bool add);
  void thaw(TimePoint now);
  void end_dump(TimePoint now);
  void sweep(std::vector<RouteTable::Swept> swept, TimePoint now);
  void raise_alert(const Prefix& prefix, const Decision& decision);
  void flush_alerts(TimePoint now);
  PrefixLimit& limit(PeerId peer);

  AllowedIpsSync sync_;
  RoutingEvents& events_;
  const AdapterOptions options_;
  RouteTable table_;
  NextHopResolver resolver_;
  Policy policy_;
  std::unordered_map<PeerId, PrefixLimit> limits_;
  std::map<AlertKey, PendingAlert> alerts_;
  TimePoint next_alerts_{};  // not before
  bool may_thaw_ = false;    // something of a frozen peer went away

  SourceState source_ = SourceState::kDown;
  std::string release_;
  std::string detail_;
};

}  // namespace greywire::routing
