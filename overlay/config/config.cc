#include "overlay/config/config.h"

#include <algorithm>

namespace greywire::config {

const Peer* Config::find_peer(std::string_view name) const {
  for (const auto& peer : peers) {
    if (peer.name == name) return &peer;
  }
  return nullptr;
}

std::vector<Tunnel> legs_of(const Tunnel& tunnel) {
  if (tunnel.kind != TunnelKind::kSegment) return {tunnel};
  std::vector<Tunnel> out;
  for (const auto& member : tunnel.segment.peers) {
    Tunnel& leg = out.emplace_back(tunnel);
    leg.kind = TunnelKind::kGretap;
    leg.peer = member.peer;
    if (member.key) leg.key = member.key;
    leg.segment = {};
  }
  return out;
}

bool has_enabled_peer(const Config& config, const Tunnel& tunnel) {
  const auto enabled = [&](std::string_view name) {
    const Peer* peer = config.find_peer(name);
    return peer != nullptr && peer->enabled;
  };
  if (tunnel.kind != TunnelKind::kSegment) return enabled(tunnel.peer);
  return std::any_of(tunnel.segment.peers.begin(), tunnel.segment.peers.end(),
                     [&](const SegmentMember& member) { return enabled(member.peer); });
}

std::string_view to_string(TunnelKind kind) {
  switch (kind) {
    case TunnelKind::kGre: return "gre";
    case TunnelKind::kGretap: return "gretap";
    case TunnelKind::kSegment: return "segment";
  }
  return "gre";
}

std::string_view to_string(SourceCheck check) { return check == SourceCheck::kCeiling ? "ceiling" : "strict"; }

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace: return "trace";
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "info";
}

std::optional<std::vector<PortVlan>> port_vlans(const Tunnel& tunnel) {
  if (!tunnel.pvid && tunnel.vlan_untagged.empty() && tunnel.vlan_tagged.empty()) return std::nullopt;
  std::map<std::uint16_t, PortVlan> by_vid;
  const auto add = [&](const std::vector<VlanRange>& ranges, bool untagged) {
    for (const auto& range : ranges) {
      for (unsigned vid = range.first; vid <= range.last; ++vid) {
        const auto id = static_cast<std::uint16_t>(vid);
        by_vid[id] = {id, false, untagged};
      }
    }
  };
  add(tunnel.vlan_tagged, false);
  add(tunnel.vlan_untagged, true);
  if (tunnel.pvid) by_vid[*tunnel.pvid] = {*tunnel.pvid, true, true};
  std::vector<PortVlan> vlans;
  for (const auto& [vid, vlan] : by_vid) vlans.push_back(vlan);
  return vlans;
}

}  // namespace greywire::config
