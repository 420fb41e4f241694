#include "overlay/control/metrics.h"

#include <fmt/format.h>

#include <array>
#include <initializer_list>
#include <cstdint>
#include <map>

namespace greywire::control {
namespace {

constexpr auto kGauge = MetricType::kGauge;
constexpr auto kCounter = MetricType::kCounter;
// What WireGuard itself takes for a dead session: Reject-After-Time.
constexpr std::chrono::seconds kRejectAfterTime{180};

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
}

}  // namespace

// The samples of one metric, as lines of text.
class MetricSamples {
 public:
  MetricSamples(const Metric& metric, std::string& out) : metric_(metric), out_(out) {}

  template <class Value>
  void add(std::initializer_list<std::string_view> labels, Value value) {
    if (!headed_) {
      out_ += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", metric_.name, metric_.meaning, metric_type_name(metric_.type));
      headed_ = true;
    }
    out_ += metric_.name;
    std::string_view names = metric_.labels;
    char before = '{';
    for (const std::string_view text : labels) {
      out_ += before;
      out_ += names.substr(0, names.find(','));
      out_ += "=\"";
      append_escaped(out_, text);
      out_ += '"';
      const auto comma = names.find(',');
      names = comma == std::string_view::npos ? std::string_view() : names.substr(comma + 1);
      before = ',';
    }
    if (labels.size() != 0) out_ += '}';
    out_ += fmt::format(" {}\n", value);
  }

 private:
  const Metric& metric_;
  std::string& out_;
  bool headed_ = false;
};

namespace {

using Samples = MetricSamples;

const std::string& label_of(const PeerReport& peer) { return peer.name.empty() ? peer.public_key : peer.name; }

bool is_up(const PeerReport& peer) {
  if (peer.alive) return *peer.alive && !peer.held_down;
  return peer.handshake_age && *peer.handshake_age < kRejectAfterTime;
}

template <auto Member>
void of_peer(const SiteStatus& s, Samples& out) {
  for (const auto& peer : s.peers) out.add({label_of(peer)}, peer.*Member);
}
template <auto Member>  // of what routing says about a peer, which is nothing without routing or for whom `wg` added
void of_routed_peer(const SiteStatus& s, Samples& out) {
  if (s.routing.source.empty()) return;
  for (const auto& peer : s.peers) {
    if (!peer.name.empty()) out.add({peer.name}, peer.*Member);
  }
}
template <auto Member>
void of_tunnel(const SiteStatus& s, Samples& out) {
  for (const auto& tunnel : s.tunnels) out.add({tunnel.name, tunnel.kind, tunnel.peer}, tunnel.*Member);
}
template <auto Member>
void of_segment(const SiteStatus& s, Samples& out) {
  for (const auto& tunnel : s.tunnels) {
    if (tunnel.segment) out.add({tunnel.name}, (*tunnel.segment).*Member);
  }
}
template <class Value>
void of_port(const SiteStatus& s, Samples& out, Value value) {
  for (const auto& tunnel : s.tunnels) {
    if (!tunnel.segment) continue;
    for (const auto& port : tunnel.segment->ports) {
      out.add({tunnel.name, port.peer.empty() ? std::string_view("local") : std::string_view(port.peer)}, value(port));
    }
  }
}
template <auto Member>
void of_peer_port(const SiteStatus& s, Samples& out) {
  for (const auto& tunnel : s.tunnels) {
    if (!tunnel.segment) continue;
    for (const auto& port : tunnel.segment->ports) {
      if (!port.peer.empty()) out.add({tunnel.name, port.peer}, port.*Member);
    }
  }
}
template <auto Member>
void of_routing(const SiteStatus& s, Samples& out) {
  if (!s.routing.source.empty()) out.add({}, s.routing.*Member);
}
template <auto Member>
void of_paths(const SiteStatus& s, Samples& out) {
  out.add({}, s.paths.*Member);
}

void routes_by_state(const SiteStatus& s, Samples& out) {
  if (s.routing.source.empty()) return;
  out.add({"accepted"}, s.routing.accepted);
  out.add({"refused"}, s.routing.refused);
  out.add({"ignored"}, s.routing.ignored);
  out.add({"unresolved"}, s.routing.unresolved);
  out.add({"held"}, s.routing.held);
}

void peer_refused(const SiteStatus& s, Samples& out) {
  if (s.routing.source.empty()) return;
  for (const auto& peer : s.peers) {
    if (!peer.name.empty()) out.add({peer.name}, peer.refused.size());
  }
}

// All of them, so that a rate exists from the first packet on.
void drops(const SiteStatus& s, Samples& out) {
  std::map<std::string_view, std::uint64_t> counted;
  for (const auto& drop : s.drops) counted[drop.reason] = drop.packets;
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    const auto name = drop_reason_name(static_cast<DropReason>(i));
    out.add({name}, counted[name]);
  }
}

// clang-format off
constexpr std::array kMetrics{
  Metric{"greywire_build_info", kGauge, "version", "Always 1; the label has the version.",
   [](const SiteStatus& s, Samples& out) { out.add({s.version}, 1); }},
  Metric{"greywire_uptime_seconds", kGauge, "", "Since the daemon started.",
   [](const SiteStatus& s, Samples& out) { out.add({}, s.uptime.count()); }},
  Metric{"greywire_alerts_total", kCounter, "", "Lines that need a person; the last ones are in `greywire status` and all in the log.",
   [](const SiteStatus& s, Samples& out) { out.add({}, s.alerts_total); }},

  Metric{"greywire_peer_up", kGauge, "peer",
   "1 while the peer is used: it answers the probe and is not held down; where it is not probed, while it has a session. Else 0.",
   [](const SiteStatus& s, Samples& out) { for (const auto& p : s.peers) out.add({label_of(p)}, is_up(p) ? 1 : 0); }},
  Metric{"greywire_peer_held_down", kGauge, "peer", "1 while the peer answers and is not used yet, by hold_up or flap_damping.",
   [](const SiteStatus& s, Samples& out) { for (const auto& p : s.peers) out.add({label_of(p)}, p.held_down ? 1 : 0); }},
  Metric{"greywire_peer_receive_bytes_total", kCounter, "peer", "Bytes of WireGuard messages from the peer.", of_peer<&PeerReport::rx_bytes>},
  Metric{"greywire_peer_transmit_bytes_total", kCounter, "peer", "Bytes of WireGuard messages to the peer.", of_peer<&PeerReport::tx_bytes>},
  Metric{"greywire_peer_handshakes_total", kCounter, "peer", "Handshakes that completed: one every two minutes while there is traffic.",
   of_peer<&PeerReport::handshakes>},
  Metric{"greywire_peer_session_age_seconds", kGauge, "peer", "Since the last handshake; absent before the first.",
   [](const SiteStatus& s, Samples& out) {
     for (const auto& p : s.peers) if (p.handshake_age) out.add({label_of(p)}, p.handshake_age->count());
   }},
  Metric{"greywire_peer_round_trip_seconds", kGauge, "peer", "Of the probe in the tunnel; absent where none was answered.",
   [](const SiteStatus& s, Samples& out) {
     for (const auto& p : s.peers) if (p.round_trip) out.add({label_of(p)}, std::chrono::duration<double>(*p.round_trip).count());
   }},
  Metric{"greywire_peer_inner_mtu_bytes", kGauge, "peer", "The largest packet inside the tunnel.",
   [](const SiteStatus& s, Samples& out) { for (const auto& m : s.mtus) if (m.kind == "peer") out.add({m.name}, m.mtu.bytes); }},
  Metric{"greywire_peer_path_mtu_bytes", kGauge, "peer", "The largest underlay packet that the path is taken to carry.",
   [](const SiteStatus& s, Samples& out) { for (const auto& m : s.mtus) if (m.kind == "peer" && m.path) out.add({m.name}, m.path->bytes); }},
  Metric{"greywire_peer_path_black_holes_total", kCounter, "peer", "Times that a size which had passed stopped to, without a report of a router.",
   [](const SiteStatus& s, Samples& out) { for (const auto& m : s.mtus) if (m.kind == "peer" && !m.state.empty()) out.add({m.name}, m.black_holes); }},
  Metric{"greywire_peer_prefixes", kGauge, "peer", "Learned prefixes that lead to the peer.", of_routed_peer<&PeerReport::prefixes>},
  Metric{"greywire_peer_prefixes_refused", kGauge, "peer", "Learned prefixes that the peer's `accept` or max_prefixes refuses: packets to them are dropped.",
   peer_refused},
  Metric{"greywire_peer_prefixes_over_maximum", kGauge, "peer", "Those of them that came when there were max_prefixes already.",
   of_routed_peer<&PeerReport::over_maximum>},
  Metric{"greywire_peer_prefixes_maximum", kGauge, "peer", "The peer's max_prefixes.", of_routed_peer<&PeerReport::max_prefixes>},

  Metric{"greywire_tunnel_up", kGauge, "tunnel,kind,peer", "1 while the device is up and has a carrier, which follows the peer. Else 0.",
   [](const SiteStatus& s, Samples& out) {
     for (const auto& t : s.tunnels) out.add({t.name, t.kind, t.peer}, t.up && t.carrier ? 1 : 0);
   }},
  Metric{"greywire_tunnel_receive_bytes_total", kCounter, "tunnel,kind,peer", "Payload bytes out of the tunnel.", of_tunnel<&TunnelReport::rx_bytes>},
  Metric{"greywire_tunnel_transmit_bytes_total", kCounter, "tunnel,kind,peer", "Payload bytes into the tunnel.", of_tunnel<&TunnelReport::tx_bytes>},
  Metric{"greywire_tunnel_receive_packets_total", kCounter, "tunnel,kind,peer", "Packets or frames out of the tunnel.", of_tunnel<&TunnelReport::rx_packets>},
  Metric{"greywire_tunnel_transmit_packets_total", kCounter, "tunnel,kind,peer", "Packets or frames into the tunnel.", of_tunnel<&TunnelReport::tx_packets>},
  Metric{"greywire_device_mtu_bytes", kGauge, "device", "The MTU of a device of ours.",
   [](const SiteStatus& s, Samples& out) {
     for (const auto& m : s.mtus) if (m.kind != "peer" && m.kind != "underlay") out.add({m.name}, m.mtu.bytes);
   }},

  Metric{"greywire_segment_macs", kGauge, "segment,port", "MACs learned on a port: a peer's name, or `local` for this site's side.",
   [](const SiteStatus& s, Samples& out) { of_port(s, out, [](const auto& port) { return port.macs; }); }},
  Metric{"greywire_segment_port_blocked", kGauge, "segment,port", "1 while the port is blocked because of a loop. Else 0.",
   [](const SiteStatus& s, Samples& out) { of_port(s, out, [](const auto& port) { return port.blocked.count() > 0 ? 1 : 0; }); }},
  Metric{"greywire_segment_receive_bytes_total", kCounter, "segment,port", "Bytes of frames from the peer.", of_peer_port<&SegmentPortReport::rx_bytes>},
  Metric{"greywire_segment_transmit_bytes_total", kCounter, "segment,port", "Bytes of frames to the peer.", of_peer_port<&SegmentPortReport::tx_bytes>},
  Metric{"greywire_segment_loops_total", kCounter, "segment", "Loops that were seen and blocked.", of_segment<&SegmentReport::loops>},
  Metric{"greywire_segment_mac_moves_total", kCounter, "segment", "MACs that moved from port to port.", of_segment<&SegmentReport::moves>},
  Metric{"greywire_segment_flooded_frames_total", kCounter, "segment", "Frames that went to everybody.", of_segment<&SegmentReport::flooded>},
  Metric{"greywire_segment_not_learned_frames_total", kCounter, "segment", "Frames whose source went beyond mac_limit or mac_limit_peer.",
   of_segment<&SegmentReport::not_learned>},

  Metric{"greywire_routing_source_up", kGauge, "", "1 while the routes of zebra, or the kernel, are known in full. Else 0.",
   [](const SiteStatus& s, Samples& out) { if (!s.routing.source.empty()) out.add({}, s.routing.state == "synced" ? 1 : 0); }},
  Metric{"greywire_routes", kGauge, "state",
   "Learned prefixes: accepted, refused, ignored, unresolved (no peer has the next hop); held are those of the others that were kept when their source went away.",
   routes_by_state},
  Metric{"greywire_routes_not_taken_total", kCounter, "", "Announcements beyond what the table holds.", of_routing<&RoutingReport::not_taken>},
  Metric{"greywire_routing_audits_total", kCounter, "", "Comparisons of the learned routes with what the engine has.", of_routing<&RoutingReport::audits>},
  Metric{"greywire_routing_repaired_total", kCounter, "", "Entries of the engine that had drifted from the learned routes, and were repaired.",
   of_routing<&RoutingReport::repaired>},

  Metric{"greywire_routing_dumps_total", kCounter, "", "Whole tables read from the source.", of_routing<&RoutingReport::dumps>},
  Metric{"greywire_routing_overruns_total", kCounter, "", "Times that the kernel lost changes for us, so that all was read again.",
   of_routing<&RoutingReport::overruns>},

  Metric{"greywire_dropped_packets_total", kCounter, "reason", "Packets that were not delivered; `greywire drops` says what each reason means and what to do.",
   drops},

  Metric{"greywire_path_probes_total", kCounter, "", "Probes for path MTUs, of two packets each.", of_paths<&PathReport::probes>},
  Metric{"greywire_path_reports_total", kCounter, "", "ICMP too-big of routers about packets of ours.", of_paths<&PathReport::reports>},
  Metric{"greywire_path_reports_ignored_total", kCounter, "", "ICMP too-big that quoted no packet of ours, or came too fast.",
   of_paths<&PathReport::reports_ignored>},
  Metric{"greywire_too_big_sent_total", kCounter, "", "ICMP too-big to senders inside.", of_paths<&PathReport::too_big_sent>},
  Metric{"greywire_too_big_suppressed_total", kCounter, "", "ICMP too-big kept back by the rate limit.", of_paths<&PathReport::too_big_suppressed>},
  Metric{"greywire_fragmented_packets_total", kCounter, "", "Packets that were fragmented inside the tunnel.", of_paths<&PathReport::fragmented>},
  Metric{"greywire_fragments_sent_total", kCounter, "", "Fragments that they became.", of_paths<&PathReport::fragments_sent>},
  Metric{"greywire_mss_clamped_total", kCounter, "", "TCP SYNs whose MSS was lowered.", of_paths<&PathReport::mss_clamped>},
};
// clang-format on

}  // namespace

std::span<const Metric> metrics() { return kMetrics; }

std::string_view metric_type_name(MetricType type) { return type == kGauge ? "gauge" : "counter"; }

std::string prometheus_text(const SiteStatus& status) {
  std::string out;
  for (const Metric& metric : kMetrics) {
    Samples samples(metric, out);
    metric.collect(status, samples);
  }
  return out;
}

std::string metrics_markdown() {
  std::string out = "| metric | type | labels | meaning |\n|---|---|---|---|\n";
  for (const Metric& metric : kMetrics) {
    std::string labels;
    for (std::string_view rest = metric.labels; !rest.empty();) {
      const auto comma = rest.find(',');
      labels += fmt::format("{}`{}`", labels.empty() ? "" : ", ", rest.substr(0, comma));
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    }
    out += fmt::format("| `{}` | {} | {} | {} |\n", metric.name, metric_type_name(metric.type), labels, metric.meaning);
  }
  return out;
}

}  // namespace greywire::control
