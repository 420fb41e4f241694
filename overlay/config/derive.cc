#include "overlay/config/derive.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "overlay/mtu/device_mtu.h"
#include "router/crypto/blake2s.h"
#include "router/pmtu/overhead.h"

namespace greywire::config {
namespace {

std::optional<IpAddress> first_of(const std::vector<IpAddress>& addresses, Family family) {
  const auto found = std::find_if(addresses.begin(), addresses.end(),
                                  [&](const IpAddress& address) { return address.family() == family; });
  return found == addresses.end() ? std::nullopt : std::optional(*found);
}

std::string_view family_name(Family family) { return family == Family::kV4 ? "IPv4" : "IPv6"; }

std::optional<Family> written_family(const Tunnel& tunnel) {
  if (tunnel.local) return tunnel.local->family();
  if (tunnel.remote) return tunnel.remote->family();
  return tunnel.delivery;
}

pmtu::GreOptions gre_options(const Tunnel& tunnel) {
  return {.key = tunnel.key.has_value(),
          .sequence = tunnel.sequence,
          .checksum = tunnel.checksum,
          .encap_limit = tunnel.encap_limit.has_value()};
}

DerivedPeer derive_peer(const Config& config, const Peer& peer, const PathOf& path_of) {
  const auto inner = peer_inner_mtu(config, peer, path_of(peer));
  return {peer.name, peer.enabled, link_local_of(peer.public_key), effective_keepalive(peer), inner, mss_limits(inner)};
}

DerivedTunnel derive_tunnel(const Config& config, const Tunnel& tunnel, const PathOf& path_of);

// What is flooded goes to all peers: the narrowest counts.
DerivedTunnel derive_segment(const Config& config, const Tunnel& segment, const PathOf& path_of) {
  DerivedTunnel out;
  out.enabled = false;
  for (const Tunnel& leg : legs_of(segment)) {
    const DerivedTunnel each = derive_tunnel(config, leg, path_of);
    if (!each.enabled || (out.enabled && each.payload_mtu >= out.payload_mtu)) continue;
    out = each;
  }
  out.name = segment.name;
  return out;
}

DerivedTunnel derive_tunnel(const Config& config, const Tunnel& tunnel, const PathOf& path_of) {
  if (tunnel.kind == TunnelKind::kSegment) return derive_segment(config, tunnel, path_of);
  DerivedTunnel out;
  out.name = tunnel.name;
  out.peer = tunnel.peer;
  const auto* peer = config.find_peer(tunnel.peer);
  out.enabled = peer != nullptr && peer->enabled;
  if (peer == nullptr) return out;
  if (const auto delivery = delivery_of(config.site, *peer, tunnel)) out.delivery = *delivery;
  const auto inner = peer_inner_mtu(config, *peer, path_of(*peer));
  out.payload_mtu = tunnel_payload_mtu(tunnel, inner, out.delivery.family());
  out.device_mtu = tunnel_device_mtu(tunnel, inner, out.delivery.family());
  if (clamps_mss(tunnel)) out.mss = mss_limits(std::min(out.payload_mtu, out.device_mtu));
  return out;
}

}  // namespace

IpAddress link_local_of(const PublicKey& key) {
  constexpr std::uint8_t kUniversalAndGroup = 0x03;
  const Hash hash = blake2s_hash(key.bytes());
  std::array<std::uint8_t, 16> bytes{0xfe, 0x80};
  std::copy_n(hash.begin(), 8, bytes.begin() + 8);
  bytes[8] = static_cast<std::uint8_t>(bytes[8] & ~kUniversalAndGroup);
  return IpAddress::v6(bytes);
}

std::optional<Family> endpoint_family(const Peer& peer) {
  std::optional<Family> all;
  for (const auto& endpoint : peer.endpoints) {
    if (!endpoint.literal) return std::nullopt;
    const Family family = endpoint.literal->address.family();
    if (all && *all != family) return std::nullopt;
    all = family;
  }
  return all;
}

KnownPath path_as_written(const Peer& peer) { return {.family = endpoint_family(peer)}; }

bool finds_path_mtu(const Peer& peer) { return peer.pmtu && !peer.mtu; }

bool has_fallback(const Config& config, const Peer& peer, const Prefix& prefix) {
  const auto holds = [&](const Prefix& wider) { return wider.contains(prefix); };
  return std::any_of(config.peers.begin(), config.peers.end(), [&](const Peer& other) {
    const auto rules = other.accept.rules();
    return other.enabled && other.name != peer.name &&
           (std::any_of(other.allowed_ips.begin(), other.allowed_ips.end(), holds) ||
            std::any_of(rules.begin(), rules.end(), [&](const routing::CeilingRule& rule) { return holds(rule.prefix); }));
  });
}

Mtu peer_inner_mtu(const Config& config, const Peer& peer, const KnownPath& path) {
  if (peer.mtu) return *peer.mtu;
  if (path.inner && finds_path_mtu(peer)) return *path.inner;
  return pmtu::max_inner(config.underlay.mtu, path.family.value_or(Family::kV6));
}

std::chrono::seconds effective_keepalive(const Peer& peer) {
  if (peer.keepalive) return *peer.keepalive;
  return peer.endpoints.empty() ? kKeepaliveWithoutEndpoint : std::chrono::seconds(0);
}

Result<Delivery> delivery_of(const Site& site, const Peer& peer, const Tunnel& tunnel) {
  const auto written = written_family(tunnel);
  if (tunnel.local && tunnel.remote && tunnel.local->family() != tunnel.remote->family()) {
    return Error{fmt::format("'local' {} and 'remote' {} are not of one family", tunnel.local->to_string(),
                             tunnel.remote->to_string())};
  }
  if (written && tunnel.delivery && *written != *tunnel.delivery) {
    return Error{fmt::format("'delivery' is {} but the addresses written are {}", family_name(*tunnel.delivery),
                             family_name(*written))};
  }
  for (const Family family : {Family::kV4, Family::kV6}) {
    if (written && *written != family) continue;
    const auto local = tunnel.local ? tunnel.local : first_of(site.overlay_addresses, family);
    const auto remote = tunnel.remote ? tunnel.remote : first_of(peer.overlay_addresses, family);
    if (local && remote) return Delivery{*local, *remote};
    if (written) {
      return Error{fmt::format("{} has no {} overlay_address for the delivery packets", local ? "peer '" + peer.name + "'"
                               : "this site", family_name(family))};
    }
  }
  return Error{fmt::format("this site and peer '{}' have no overlay_address of one family: add one, or write 'local' "
                           "and 'remote'", peer.name)};
}

bool clamps_mss(const Tunnel& tunnel) { return tunnel.mss_clamp.value_or(tunnel.kind == TunnelKind::kGre); }

MssLimits mss_limits(Mtu mtu) { return {pmtu::tcp_mss(mtu, Family::kV4), pmtu::tcp_mss(mtu, Family::kV6)}; }

Mtu tunnel_payload_mtu(const Tunnel& tunnel, Mtu peer_inner, Family delivery) {
  const pmtu::GreOptions options = gre_options(tunnel);
  return tunnel.kind == TunnelKind::kGre ? pmtu::gre_payload_mtu(peer_inner, delivery, options)
                                         : pmtu::gretap_payload_mtu(peer_inner, delivery, options);
}

Mtu tunnel_device_mtu(const Tunnel& tunnel, Mtu peer_inner, Family delivery) {
  const PeerId peer{0};
  mtu::TunnelMtuInput input;
  input.device = tunnel.kind == TunnelKind::kGretap ? mtu::TunnelDevice::kEthernet : mtu::TunnelDevice::kRouted;
  input.peers = {peer};
  input.delivery = delivery;
  input.gre = gre_options(tunnel);
  input.configured = tunnel.mtu;
  if (!tunnel.mtu && !tunnel.bridge.empty()) input.bridge = kBridgeMtu;
  const mtu::PeerMtu inner{peer, peer_inner};
  return mtu::tunnel_mtus({&input, 1}, {&inner, 1}).front().mtu;
}

Derived derive(const Config& config, const PathOf& path_of) {
  Derived out;
  out.link_local = link_local_of(config.site.public_key);
  std::vector<mtu::PeerMtu> enabled;
  for (const auto& peer : config.peers) {
    out.peers.push_back(derive_peer(config, peer, path_of));
    if (peer.enabled) enabled.push_back({PeerId{0}, out.peers.back().inner_mtu});
  }
  out.device_mtu = mtu::gateway_mtu(enabled, config.site.mtu, config.underlay.mtu);
  for (const auto& tunnel : config.tunnels) out.tunnels.push_back(derive_tunnel(config, tunnel, path_of));
  return out;
}

}  // namespace greywire::config
