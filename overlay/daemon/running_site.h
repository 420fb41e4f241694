// A running site: everything that a config makes, and what keeps it as the config says. Control thread only, but for
// what EngineEvents hands over.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "overlay/config/config.h"
#include "overlay/config/config_diff.h"
#include "overlay/config/derive.h"
#include "overlay/control/control_api.h"
#include "overlay/control/event_log.h"
#include "overlay/control/http_server.h"
#include "overlay/control/local_server.h"
#include "overlay/control/site_status.h"
#include "overlay/daemon/capture_stream.h"
#include "overlay/daemon/last_run.h"
#include "overlay/daemon/peer_endpoints.h"
#include "overlay/daemon/reachability.h"
#include "overlay/daemon/reload_trial.h"
#include "overlay/daemon/service_manager.h"
#include "overlay/daemon/start_choice.h"
#include "overlay/daemon/timestamp_file.h"
#include "overlay/daemon/wg_control.h"
#include "overlay/links/link_monitor.h"
#include "overlay/links/link_netlink.h"
#include "overlay/mtu/mtu_damping.h"
#include "router/engine/engine.h"
#include "routing/adapter.h"
#include "routing/route_source.h"
#include "routing/zapi/client.h"

namespace greywire::daemon {

struct SiteOptions {
  std::string config_file;  // what the config was read from; reload() reads it again
  unsigned workers = 0;     // 0: chosen by the number of cores
  bool takeover = false;    // a daemon that runs this site ends and leaves its devices to this one
  HeldDescriptors held;     // devices kept over a restart
  TrialAtStart trial;
};

class RunningSite final : public routing::AllowedIpsSink, public routing::RoutingEvents {
 public:
  RunningSite(config::Config config, SiteOptions options);
  ~RunningSite() override;

  // Makes everything, or says what could not be made and takes back the rest.
  Result<void> start();
  Result<void> run();  // until a signal; an Error: a restart is the way to go on

 private:
  struct PeerRecord {
    const config::Peer* config = nullptr;  // in *config_; see adopt()
    PeerId id;
    Reachability reachability;  // always usable where probes are off
    std::optional<Family> underlay;
    bool handshake_fresh = false;  // younger than Reject-After-Time
    std::optional<Mtu> inner;  // the largest packet that its path takes, where the engine searches for it
    std::unique_ptr<PeerEndpoints> endpoints;  // none: the peer calls
    enum class Place { kUnasked, kAwaited, kKnown } place = Place::kUnasked;  // what DNS said of where it is
  };
  struct TunnelRecord {
    const config::Tunnel* config = nullptr;  // in *config_
    LinkId link;
    links::Ifindex ifindex = 0;
    std::vector<int> queues;  // the engine's, as long as the link is there: for whoever keeps them
    std::vector<std::string> ports = {};  // of a segment: its enabled peers, in the order of the ports from 1
  };

  // Devices over a restart (running_site_devices.cc)
  Result<engine::TunDevice> open_device(const std::string& name, engine::TunKind kind, unsigned queues);
  void adopt_reachability();
  void forget_unused_devices();
  Result<boost::json::value> hand_over(const std::string& to);
  void tell(const std::string& state);

  // start(), in this order
  Result<void> open_devices();
  Result<void> choose_underlay();
  Result<void> open_tunnels();
  Result<void> open_control();
  void keep_timestamp(const wireguard::Timestamp& stamp);
  void keep_last_run(const wireguard::DeviceStatus& status);
  void watch_signals();
  void add_peer(const config::Peer& peer);
  wireguard::PeerChange settings_of(const config::Peer& peer) const;
  void find_endpoints(PeerRecord& record);
  Result<void> add_tunnel(const config::Tunnel& tunnel);
  std::vector<routing::PeerRouting> peer_routing() const;
  std::vector<Prefix> own_prefixes() const;
  std::vector<IpAddress> own_overlay() const;
  void start_routing();

  // What a new config asks for (running_site_reload.cc). Everybody that it does not name keeps what he has.
  void add_reload_commands();
  // With `trial`, it is gone back from after so long unless confirm() comes.
  control::ReloadReport reload(std::optional<std::chrono::seconds> trial = {});
  void take(const config::ConfigDiff& diff, std::shared_ptr<const config::Config> fresh, std::optional<std::chrono::seconds> trial,
            control::ReloadReport& report);
  Result<control::ReloadReport> confirm();
  Result<control::ReloadReport> go_back(std::string_view why);
  void watch_trial();
  // The trial in STATE_DIR/trial, for the next start.
  Result<void> begin_trial(const config::Config& fresh, std::chrono::seconds wait, control::ReloadReport& report);
  Result<void> drop_trial();
  void keep_gone_back(StoredTrial trial, const TrialStore& store);
  void choose_again(TrialAtStart& trial);
  void prepare_trial();  // at a start, before anything is made
  void settle_trial();   // once everything is
  void tell_reload(const control::ReloadReport& report);
  void apply(const config::ConfigDiff& diff, std::shared_ptr<const config::Config> fresh, control::ReloadReport& report);
  void adopt(std::shared_ptr<const config::Config> fresh);
  void remove_peer(const std::string& name);
  void change_peer(const config::Peer& old);
  void remove_foreign(const PublicKey& key);
  void remove_tunnel(const std::string& name);

  // L2 segments (running_site_segments.cc)
  engine::SegmentOptions segment_options(const config::Tunnel& tunnel, std::vector<std::string>& ports) const;
  void replace(TunnelRecord& record);
  bool any_peer_known(const config::Tunnel& tunnel) const;
  bool any_peer_usable(const config::Tunnel& tunnel) const;
  void tell_segment_events();
  void report_segment(const TunnelRecord& record, control::TunnelReport& out);

  engine::TunnelOptions tunnel_options(const config::Tunnel& tunnel, const PeerRecord& peer) const;
  engine::PeerPolicy policy_of(const config::Peer& peer, const config::DerivedPeer& derived) const;
  std::vector<Prefix> sources_of(const config::Peer& peer) const;

  // What the host should look like, and making it so.
  links::DesiredLinks desired();
  links::LinkSpec desired_gateway(links::DesiredLinks& all);
  static void make_port(const config::Tunnel& tunnel, links::LinkSpec& link, links::DesiredLinks& all);
  void reconcile();
  void reconcile_soon();
  void watch_links();
  void refresh();  // every few seconds: what roaming and resolving changed
  void peer_heard(PeerId id, bool alive);
  void usable_changed(const PeerRecord& peer);
  void hold_back();  // until the next peer that is held down may be used
  void endpoints_changed(PeerRecord& peer, const std::vector<Endpoint>& candidates);
  void look_for(PeerRecord& peer, const wireguard::PeerStatus& status);
  void rederive();

  // What the engine finds out about paths, and the MTUs that follow (running_site_mtu.cc).
  std::optional<engine::PathOptions> path_options(const config::Peer& peer) const;
  void path_changed(PeerId id);
  void follow_paths();
  config::Derived derive_now() const;
  Mtu damped(const std::string& device, Mtu wanted);
  void report_paths(control::SiteStatus& out);
  void report_devices(control::SiteStatus& out) const;
  control::MtuReport report_path(const PeerRecord& record, const engine::PathStatus& path) const;
  PeerRecord* record_of(PeerId id);
  const config::DerivedPeer* derived_of(const std::string& peer) const;

  // Watching it (running_site_watch.cc)
  void open_metrics();  // where the config says; what cannot be opened is tried again with each refresh()
  control::HttpReply page(std::string_view path);
  std::string metrics_text();
  std::string why_not_ready();  // empty: it is
  void feed_watchdog();

  // What is told while somebody looks (running_site_live.cc)
  void add_live_commands();
  void event(std::string_view kind, boost::json::object detail);
  void observe_peers();
  void keep_observing();
  void route_events(std::span<const routing::LearnedChange> changes);
  Result<boost::json::value> ping(const boost::json::object& request);
  Result<boost::json::value> segments(const std::string& only);
  Result<boost::json::value> capture(const boost::json::object& request);
  control::ReloadReport difference(const std::string& file) const;

  // Answers of the control socket.
  enum class Detail : std::uint8_t { kEverything, kFigures };  // kFigures: without accepted prefixes, which may be 10^6
  control::SiteStatus status(Detail detail = Detail::kEverything);
  void report_prefixes(control::SiteStatus& out) const;
  control::PeerReport report(const wireguard::PeerStatus& peer) const;
  std::vector<control::TunnelReport> tunnel_reports();
  control::RoutingReport routing_report() const;
  control::RoutesReport routes() const;
  std::string next_hop_text(const routing::NextHop& hop) const;
  control::AuditReport audit();
  void inject_static();
  bool is_tracked_up(const PeerRecord& record) const;
  void audit_later();  // after the interval that the config says

  // greywire explain (running_site_explain.cc)
  control::ExplainReport explain(const IpAddress& address);
  void explain_routes(const IpAddress& address, control::ExplainReport& out) const;
  void explain_drop(const IpAddress& address, bool discarded, control::ExplainReport& out) const;
  void explain_peer(const wireguard::PeerStatus& peer, bool one_of_several, control::ExplainReport& out) const;
  void explain_sources(const IpAddress& address, const wireguard::DeviceStatus& device, control::ExplainReport& out) const;
  std::string interface_name(std::uint32_t ifindex) const;

  // routing::AllowedIpsSink, routing::RoutingEvents
  void apply(std::span<const routing::LearnedChange> changes) override;
  void define_group(NextHopGroupId group, std::span<const WeightedPeer> members) override;
  void drop_group(NextHopGroupId group) override;
  void for_each_learned(const std::function<void(const routing::LearnedChange&)>& visit) override;
  void notice(std::string_view line) override;
  void alert(std::string_view line) override;

  std::shared_ptr<const config::Config> config_;  // what runs; replaced as a whole by adopt()
  ReloadTrial trial_;
  const TrialStore trial_store_{config_->site.state_dir};
  SiteOptions options_;
  const ServiceManager service_manager_ = ServiceManager::from_environment();
  config::Derived derived_;
  const TimePoint started_;
  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_{io_};
  boost::asio::steady_timer refresh_timer_{io_};
  boost::asio::steady_timer reconcile_timer_{io_};
  boost::asio::steady_timer hold_timer_{io_};
  boost::asio::steady_timer audit_timer_{io_};
  boost::asio::steady_timer mtu_timer_{io_};  // a device's MTU may rise then
  boost::asio::steady_timer watchdog_timer_{io_};
  boost::asio::steady_timer observe_timer_{io_};
  boost::asio::steady_timer trial_timer_{io_};
  bool reconcile_pending_ = false;
  bool paths_pending_ = false;
  std::map<std::string, mtu::MtuDamping> damping_;  // by device
  bool made_links_ = false;

  std::unique_ptr<links::LinkNetlink> netlink_;
  std::optional<links::LinkMonitor> monitor_;
  boost::asio::posix::stream_descriptor monitor_wait_{io_};
  std::optional<links::Underlay> underlay_;
  std::uint32_t gateway_ifindex_ = 0;
  std::vector<int> gateway_queues_;  // as TunnelRecord::queues
  bool gateway_adopted_ = false;
  std::vector<links::Underlay> withdrawn_;  // of the last run, where it had another
  std::vector<links::Ifindex> own_ifindexes_;
  std::set<std::string> told_problems_;
  TimestampFile timestamps_{config_->site.state_dir};
  bool told_state_ = false;
  LastRun last_run_;  // as the file has it
  TimePoint last_run_at_{};

  std::map<std::string, PeerRecord> peers_;    // by name; enabled ones
  std::map<std::string, TunnelRecord> tunnels_;  // by name
  std::deque<std::string> alerts_;
  std::string end_because_;  // empty: as asked
  std::uint64_t alerts_total_ = 0;
  struct Observed {
    std::uint64_t handshakes = 0;
    std::optional<Endpoint> endpoint;
  };
  control::EventLog events_;
  TimePoint events_asked_at_{};
  std::map<PeerId, Observed> observed_;
  std::map<NextHopGroupId, std::vector<PeerId>> groups_;  // shared ones, for events
  std::uint32_t last_ping_ = 0;
  std::map<std::uint32_t, std::optional<Duration>> pings_;  // the last ones, and their answers

  // The engine goes before what its events refer to, the sockets before the engine.
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<routing::RoutingAdapter> adapter_;
  std::unique_ptr<routing::RouteSource> source_;
  routing::zapi::Client* injector_ = nullptr;  // source_, where static allowed-IPs go into zebra
  std::optional<WgControl> wg_control_;
  std::unique_ptr<control::LocalServer> uapi_;
  control::ControlApi control_;
  std::unique_ptr<CaptureStream> capture_;
  std::unique_ptr<control::HttpServer> metrics_;
  std::string metrics_problem_;  // why it is not open, as told
  std::string metrics_page_;     // the last one, for scrapes that come fast
  TimePoint metrics_page_at_{};
  bool synced_ = false;  // routing was once, since the start
};

}  // namespace greywire::daemon
