// L2 segments of a running site: what the engine is told, what people are told.
#include <fmt/format.h>

#include <algorithm>

#include "overlay/daemon/running_site.h"

namespace greywire::daemon {
namespace {

// A port as people know it.
std::string port_name(const std::vector<std::string>& ports, gre::SegmentPort port) {
  return port == 0 || port > ports.size() ? "this site's side" : "peer " + ports[port - 1U];
}

std::string event_text(const std::string& segment, const std::vector<std::string>& ports, const gre::SegmentEvent& event,
                       std::chrono::milliseconds block_for) {
  const std::string port = port_name(ports, event.port);
  const std::string mac = event.mac.vlan == 0 ? event.mac.mac.to_string()
                                              : fmt::format("{} in VLAN {}", event.mac.mac.to_string(), event.mac.vlan);
  switch (event.kind) {
    case gre::SegmentEvent::Kind::kLoop:
      return fmt::format("segment {}: a loop through {}: it is blocked for {}; look for another link between the two LANs",
                         segment, port, config::duration_to_string(block_for));
    case gre::SegmentEvent::Kind::kFlapping:
      return fmt::format("segment {}: {} keeps moving between {} and {}: a loop, or two machines with one address", segment,
                         mac, port_name(ports, event.other), port);
    case gre::SegmentEvent::Kind::kMacLimit:
      return fmt::format("segment {}: {} has more MACs than are learned ({} is one): raise mac_limit or mac_limit_peer",
                         segment, port, mac);
  }
  return {};
}

}  // namespace

engine::SegmentOptions RunningSite::segment_options(const config::Tunnel& tunnel, std::vector<std::string>& ports) const {
  const config::Segment& segment = tunnel.segment;
  engine::SegmentOptions options;
  ports.clear();
  for (const config::Tunnel& leg : config::legs_of(tunnel)) {
    const auto peer = peers_.find(leg.peer);
    if (peer == peers_.end()) continue;  // disabled
    options.tunnels.push_back(tunnel_options(leg, peer->second));
    ports.push_back(leg.peer);
    const auto& spokes = segment.spokes;
    options.config.spokes.push_back(segment.hub || std::find(spokes.begin(), spokes.end(), leg.peer) != spokes.end());
  }
  options.config.macs = {segment.mac_limit, segment.mac_limit_peer, segment.mac_age};
  options.config.broadcast = segment.broadcast_limit;
  options.config.multicast = segment.multicast_limit;
  options.config.unknown = segment.unknown_limit;
  options.config.forward_bpdus = segment.forward_bpdus;
  options.config.block_for = segment.loop_block;
  options.config.probe_every = segment.loop_probe;
  for (const auto& fixed : segment.macs) {
    const auto at = std::find(ports.begin(), ports.end(), fixed.peer);
    if (!fixed.peer.empty() && at == ports.end()) continue;
    const auto port = fixed.peer.empty() ? 0 : at - ports.begin() + 1;
    options.config.fixed.push_back({fixed.mac, static_cast<gre::SegmentPort>(port)});
  }
  return options;
}

// After the config or a peer of the tunnel changed.
void RunningSite::replace(TunnelRecord& record) {
  if (record.config->kind == config::TunnelKind::kSegment) {
    engine_->replace_segment(record.link, segment_options(*record.config, record.ports));
  } else {
    engine_->replace_tunnel(record.link, tunnel_options(*record.config, peers_.at(record.config->peer)));
  }
}

bool RunningSite::any_peer_known(const config::Tunnel& tunnel) const {
  const auto legs = config::legs_of(tunnel);
  return std::any_of(legs.begin(), legs.end(), [&](const auto& leg) { return peers_.count(leg.peer) != 0; });
}

bool RunningSite::any_peer_usable(const config::Tunnel& tunnel) const {
  const auto legs = config::legs_of(tunnel);
  return std::any_of(legs.begin(), legs.end(), [&](const auto& leg) {
    const auto it = peers_.find(leg.peer);
    return it != peers_.end() && it->second.reachability.usable();
  });
}

void RunningSite::tell_segment_events() {
  for (const auto& [name, record] : tunnels_) {
    if (record.config->kind != config::TunnelKind::kSegment) continue;
    for (const auto& event : engine_->take_segment_events(record.link)) {
      alert(event_text(name, record.ports, event, record.config->segment.loop_block));
    }
  }
}

void RunningSite::report_segment(const TunnelRecord& record, control::TunnelReport& out) {
  out.peer = fmt::format("{}", fmt::join(record.ports, ", "));
  const auto status = engine_->segment_status(record.link);
  if (!status || status->ports.size() != record.ports.size() + 1) return;
  control::SegmentReport& segment = out.segment.emplace();
  segment.moves = status->moves;
  segment.flooded = status->flooded;
  segment.not_learned = status->not_learned;
  segment.loops = status->loops;
  const auto add = [&](const std::string& name, gre::SegmentPort port) {
    control::SegmentPortReport& report = segment.ports.emplace_back();
    report.peer = name;
    report.macs = status->ports[port].macs;
    report.blocked = std::chrono::ceil<std::chrono::seconds>(status->ports[port].blocked_for);
    return &report;
  };
  add("", 0);
  const auto traffic = engine_->tunnel_traffic();
  for (const config::Tunnel& leg : config::legs_of(*record.config)) {
    const auto at = std::find(record.ports.begin(), record.ports.end(), leg.peer);
    if (at == record.ports.end()) continue;
    const auto port = static_cast<gre::SegmentPort>(at - record.ports.begin() + 1);
    control::SegmentPortReport* report = add(leg.peer, port);
    report->key = leg.key;
    const auto* peer = config_->find_peer(leg.peer);
    if (const auto delivery = config::delivery_of(config_->site, *peer, leg)) report->remote = delivery->remote;
    for (const auto& t : traffic) {
      if (t.link != record.link || t.port != port) continue;
      report->rx_packets = t.rx_packets;
      report->rx_bytes = t.rx_bytes;
      report->tx_packets = t.tx_packets;
      report->tx_bytes = t.tx_bytes;
    }
  }
}

}  // namespace greywire::daemon
