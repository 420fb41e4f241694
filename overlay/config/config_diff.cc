#include "overlay/config/config_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <span>

namespace greywire::config {
namespace {

// `differs` none: the key changes at run time.
template <class Section>
struct Rule {
  std::string_view key;
  bool (*differs)(const Section&, const Section&) = nullptr;
};

constexpr Rule<Site> kSite[] = {
    {"name", [](const Site& a, const Site& b) { return a.name != b.name; }},
    {"private_key_file",  // at run time only where the key before goes on counting, or comes back
     [](const Site& a, const Site& b) {
       return !(a.private_key == b.private_key) && !(b.previous_key == a.private_key) && !(b.private_key == a.previous_key);
     }},
    {"previous_key_file"},
    {"listen_port", [](const Site& a, const Site& b) { return a.listen_port != b.listen_port; }},
    {"interface", [](const Site& a, const Site& b) { return a.interface != b.interface; }},
    {"control", [](const Site& a, const Site& b) { return a.control_socket != b.control_socket; }},
    {"state_dir", [](const Site& a, const Site& b) { return a.state_dir != b.state_dir; }},
    {"overlay_address"},
    {"networks"},
    {"mtu"},
    {"log_level"},
    {"metrics"},
};
constexpr Rule<Underlay> kUnderlay[] = {
    {"mark", [](const Underlay& a, const Underlay& b) { return a.mark != b.mark; }},
    {"table", [](const Underlay& a, const Underlay& b) { return a.table != b.table; }},
    {"device", [](const Underlay& a, const Underlay& b) { return a.device != b.device; }},
    {"vrf", [](const Underlay& a, const Underlay& b) { return a.vrf != b.vrf; }},
    {"mtu"},
    {"pmtu_raise"},
};
constexpr Rule<Routing> kRouting[] = {
    {"source", [](const Routing& a, const Routing& b) { return a.source != b.source; }},
    {"table", [](const Routing& a, const Routing& b) { return a.table != b.table; }},
    {"protocols", [](const Routing& a, const Routing& b) { return a.protocols != b.protocols; }},
    {"zebra", [](const Routing& a, const Routing& b) { return a.zebra != b.zebra; }},
    {"hold", [](const Routing& a, const Routing& b) { return a.hold != b.hold; }},
    {"inject", [](const Routing& a, const Routing& b) { return a.inject != b.inject; }},
    {"audit"},
    {"asn"},
};

// By what a change of a peer or tunnel is told. The name is what they are known by.
template <class T>
struct Part {
  std::string_view key;
  bool (*differs)(const T&, const T&);
};
template <auto Member, class T>
bool other(const T& a, const T& b) {
  return !(a.*Member == b.*Member);
}
template <auto Member>
bool other_segment(const Tunnel& a, const Tunnel& b) {
  return !(a.segment.*Member == b.segment.*Member);
}

constexpr Part<Peer> kPeerParts[] = {
    {"public_key", other<&Peer::public_key, Peer>},
    {"preshared_key_file", other<&Peer::preshared_key, Peer>},
    {"endpoint", other<&Peer::endpoints, Peer>},
    {"overlay_address", other<&Peer::overlay_addresses, Peer>},
    {"allowed_ips", other<&Peer::allowed_ips, Peer>},
    {"accept", other<&Peer::accept, Peer>},
    {"max_prefixes", other<&Peer::max_prefixes, Peer>},
    {"asn", other<&Peer::asn, Peer>},
    {"keepalive", other<&Peer::keepalive, Peer>},
    {"liveness", other<&Peer::liveness, Peer>},
    {"hold_up", other<&Peer::hold_up, Peer>},
    {"flap_damping", other<&Peer::flap_damping, Peer>},
    {"mtu", other<&Peer::mtu, Peer>},
    {"pmtu", other<&Peer::pmtu, Peer>},
    {"enabled", other<&Peer::enabled, Peer>},
    {"source_check", other<&Peer::source_check, Peer>},
    {"dscp", other<&Peer::dscp, Peer>},
};
constexpr Part<Tunnel> kTunnelParts[] = {
    {"kind", other<&Tunnel::kind, Tunnel>},
    {"peer", other<&Tunnel::peer, Tunnel>},
    {"key", other<&Tunnel::key, Tunnel>},
    {"address", other<&Tunnel::addresses, Tunnel>},
    {"bridge", other<&Tunnel::bridge, Tunnel>},
    {"bridge_create", other<&Tunnel::bridge_create, Tunnel>},
    {"stp", other<&Tunnel::stp, Tunnel>},
    {"isolated", other<&Tunnel::isolated, Tunnel>},
    {"pvid", other<&Tunnel::pvid, Tunnel>},
    {"vlan_untagged", other<&Tunnel::vlan_untagged, Tunnel>},
    {"vlan_tagged", other<&Tunnel::vlan_tagged, Tunnel>},
    {"delivery", other<&Tunnel::delivery, Tunnel>},
    {"local", other<&Tunnel::local, Tunnel>},
    {"remote", other<&Tunnel::remote, Tunnel>},
    {"mtu", other<&Tunnel::mtu, Tunnel>},
    {"mss_clamp", other<&Tunnel::mss_clamp, Tunnel>},
    {"too_big", other<&Tunnel::tell_too_big, Tunnel>},
    {"ttl", other<&Tunnel::ttl, Tunnel>},
    {"tos", [](const Tunnel& a, const Tunnel& b) { return a.tos != b.tos || a.tos_policy != b.tos_policy; }},
    {"df", other<&Tunnel::df, Tunnel>},
    {"sequence", other<&Tunnel::sequence, Tunnel>},
    {"checksum", other<&Tunnel::checksum, Tunnel>},
    {"encap_limit", other<&Tunnel::encap_limit, Tunnel>},
    {"peers", other_segment<&Segment::peers>},
    {"hub", [](const Tunnel& a, const Tunnel& b) { return a.segment.hub != b.segment.hub || a.segment.spokes != b.segment.spokes; }},
    {"bpdu", other_segment<&Segment::forward_bpdus>},
    {"broadcast_limit", other_segment<&Segment::broadcast_limit>},
    {"multicast_limit", other_segment<&Segment::multicast_limit>},
    {"unknown_limit", other_segment<&Segment::unknown_limit>},
    {"mac_limit", other_segment<&Segment::mac_limit>},
    {"mac_limit_peer", other_segment<&Segment::mac_limit_peer>},
    {"mac_age", other_segment<&Segment::mac_age>},
    {"macs", other_segment<&Segment::macs>},
    {"loop_probe", other_segment<&Segment::loop_probe>},
    {"loop_block", other_segment<&Segment::loop_block>},
};

template <class T>
std::string parts_that_differ(const T& before, const T& after, std::span<const Part<T>> parts) {
  std::string out;
  for (const auto& part : parts) {
    if (part.differs(before, after)) out += fmt::format("{}{}", out.empty() ? "" : ", ", part.key);
  }
  return out;
}

template <class Section>
void compare(const Section& before, const Section& after, std::string_view header, std::span<const Rule<Section>> rules,
             ConfigDiff& out) {
  if (before == after) return;
  out.site = true;
  for (const auto& rule : rules) {
    if (rule.differs == nullptr || !rule.differs(before, after)) continue;
    out.needs_restart.push_back({fmt::format("'{}' of {}", rule.key, header), after.at.of(rule.key)});
  }
}

template <class Section>
std::optional<Reload> rule_of(std::span<const Rule<Section>> rules, std::string_view key) {
  for (const auto& rule : rules) {
    if (rule.key == key) return rule.differs == nullptr ? Reload::kAtRunTime : Reload::kRestart;
  }
  return std::nullopt;
}

const Peer* enabled_peer(const Config& config, std::string_view name) {
  const Peer* peer = config.find_peer(name);
  return peer != nullptr && peer->enabled ? peer : nullptr;
}

const Tunnel* enabled_tunnel(const Config& config, std::string_view name) {
  for (const auto& tunnel : config.tunnels) {
    if (tunnel.name == name) return has_enabled_peer(config, tunnel) ? &tunnel : nullptr;
  }
  return nullptr;
}

// The same peer with another key keeps its sessions; with a key that was somebody else's it is another one.
bool same_peer(const Config& before, const Peer& old, const Peer& now) {
  if (old.public_key == now.public_key) return true;
  return std::none_of(before.peers.begin(), before.peers.end(), [&](const Peer& peer) { return peer.public_key == now.public_key; });
}

void compare_peers(const Config& before, const Config& after, ConfigDiff& out) {
  for (const auto& old : before.peers) {
    if (!old.enabled) continue;
    const Peer* now = enabled_peer(after, old.name);
    if (now == nullptr || !same_peer(before, old, *now)) {
      out.removed_peers.push_back(old.name);
    } else if (!(*now == old)) {
      out.changed_peers.push_back(old.name);
      out.changed_keys["peer " + old.name] = parts_that_differ<Peer>(old, *now, kPeerParts);
    }
  }
  for (const auto& peer : after.peers) {
    if (!peer.enabled) continue;
    const Peer* old = enabled_peer(before, peer.name);
    if (old == nullptr || !same_peer(before, *old, peer)) out.added_peers.push_back(peer.name);
  }
}

// A tunnel with sequence numbers has a device with one queue.
bool same_device(const Tunnel& a, const Tunnel& b) { return a.kind == b.kind && a.sequence == b.sequence; }

bool is_of(const Tunnel& tunnel, const std::set<std::string_view>& peers) {
  const auto& members = tunnel.segment.peers;
  return peers.count(tunnel.peer) != 0 ||
         std::any_of(members.begin(), members.end(), [&](const SegmentMember& m) { return peers.count(m.peer) != 0; });
}

void compare_tunnels(const Config& before, const Config& after, ConfigDiff& out) {
  std::set<std::string_view> touched;
  for (const auto* list : {&out.removed_peers, &out.changed_peers, &out.added_peers}) {
    touched.insert(list->begin(), list->end());
  }
  const bool moved = before.site.overlay_addresses != after.site.overlay_addresses;
  for (const auto& written : before.tunnels) {
    const Tunnel* old = enabled_tunnel(before, written.name);
    const Tunnel* now = enabled_tunnel(after, written.name);
    if (old == nullptr) continue;
    if (now == nullptr || !same_device(*now, *old)) {
      out.removed_tunnels.push_back(old->name);
    } else if (!(*now == *old)) {
      out.changed_tunnels.push_back(old->name);
      out.changed_keys["tunnel " + old->name] = parts_that_differ<Tunnel>(*old, *now, kTunnelParts);
    } else if (moved || is_of(*now, touched)) {
      out.affected_tunnels.push_back(old->name);
    }
  }
  for (const auto& written : after.tunnels) {
    const Tunnel* now = enabled_tunnel(after, written.name);
    const Tunnel* old = enabled_tunnel(before, written.name);
    if (now != nullptr && (old == nullptr || !same_device(*old, *now))) out.added_tunnels.push_back(now->name);
  }
}

}  // namespace

bool ConfigDiff::empty() const {
  return !site && needs_restart.empty() && removed_peers.empty() && changed_peers.empty() && added_peers.empty() &&
         removed_tunnels.empty() && changed_tunnels.empty() && added_tunnels.empty();
}

std::vector<std::string> ConfigDiff::lines() const {
  std::vector<std::string> out;
  const auto tell = [&](const char* what, const std::vector<std::string>& names, const char* became) {
    for (const auto& name : names) {
      const auto keys = changed_keys.find(fmt::format("{} {}", what, name));
      const bool told = keys != changed_keys.end() && !keys->second.empty();
      out.push_back(fmt::format("{} {} {}{}{}", what, name, became, told ? ": " : "", told ? keys->second : ""));
    }
  };
  if (site) out.emplace_back("settings of the site changed");
  tell("tunnel", removed_tunnels, "removed");
  tell("peer", removed_peers, "removed");
  tell("peer", changed_peers, "changed");
  tell("peer", added_peers, "added");
  tell("tunnel", changed_tunnels, "changed");
  tell("tunnel", added_tunnels, "added");
  return out;
}

ConfigDiff diff(const Config& before, const Config& after) {
  ConfigDiff out;
  compare<Site>(before.site, after.site, "[site]", kSite, out);
  compare<Underlay>(before.underlay, after.underlay, "[underlay]", kUnderlay, out);
  if (before.routing.has_value() != after.routing.has_value()) {
    out.needs_restart.push_back({"section [routing]", after.routing ? after.routing->at.section() : SourcePosition{}});
  } else if (before.routing) {
    compare<Routing>(*before.routing, *after.routing, "[routing]", kRouting, out);
  }
  compare_peers(before, after, out);
  compare_tunnels(before, after, out);
  return out;
}

bool has_name_in_diff(std::string_view section, std::string_view key) {
  const auto is_it = [&](const auto& part) { return part.key == key; };
  if (section == "peer") return std::any_of(std::begin(kPeerParts), std::end(kPeerParts), is_it);
  return section == "tunnel" && std::any_of(std::begin(kTunnelParts), std::end(kTunnelParts), is_it);
}

std::optional<Reload> reload_of(std::string_view section, std::string_view key) {
  if (section == "site") return rule_of<Site>(kSite, key);
  if (section == "underlay") return rule_of<Underlay>(kUnderlay, key);
  if (section == "routing") return rule_of<Routing>(kRouting, key);
  return Reload::kAtRunTime;
}

}  // namespace greywire::config
