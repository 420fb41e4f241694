#include "overlay/config/schema.h"

#include <array>

#include "overlay/config/reading.h"

namespace greywire::config {
namespace {

constexpr auto kRequired = Presence::kRequired;
constexpr auto kOptional = Presence::kOptional;
constexpr auto kOwn = Scope::kOwn;
constexpr std::string_view kMtuType = "a number of bytes from 1280 to 9216";

constexpr std::array<Choice<LogLevel>, 5> kLogLevels{{{"trace", LogLevel::kTrace},
                                                      {"debug", LogLevel::kDebug},
                                                      {"info", LogLevel::kInfo},
                                                      {"warning", LogLevel::kWarning},
                                                      {"error", LogLevel::kError}}};
constexpr std::array<Choice<SourceCheck>, 2> kSourceChecks{
    {{"ceiling", SourceCheck::kCeiling}, {"strict", SourceCheck::kStrict}}};
constexpr std::array<Choice<TunnelKind>, 3> kKinds{
    {{"gre", TunnelKind::kGre}, {"gretap", TunnelKind::kGretap}, {"segment", TunnelKind::kSegment}}};
constexpr std::array<Choice<bool>, 2> kBpdus{{{"forward", true}, {"drop", false}}};
constexpr std::int64_t kMostFrames = 10'000'000;
constexpr std::array<Choice<Family>, 2> kDeliveries{{{"ipv4", Family::kV4}, {"ipv6", Family::kV6}}};
constexpr std::array<Choice<OuterDscp>, 3> kDscp{
    {{"routing", OuterDscp::kRouting}, {"copy", OuterDscp::kCopy}, {"zero", OuterDscp::kZero}}};
constexpr std::array<Choice<gre::DfPolicy>, 3> kDfPolicies{
    {{"clear", gre::DfPolicy::kClear}, {"set", gre::DfPolicy::kSet}, {"inherit", gre::DfPolicy::kInherit}}};
constexpr std::array<Choice<bool>, 2> kTooBig{{{"icmp", true}, {"fragment", false}}};
constexpr std::array<Choice<RouteSourceKind>, 2> kRouteSources{
    {{"zebra", RouteSourceKind::kZebra}, {"kernel", RouteSourceKind::kKernel}}};
constexpr std::array<Choice<bool>, 2> kOnOff{{{"on", true}, {"off", false}}};

bool is_word(const TomlNode& n, std::string_view word) { return n.kind == TomlNode::Kind::kString && n.text == word; }

void read_ttl(Reading& r, const TomlNode& n, Tunnel& t) {
  if (is_word(n, "inherit")) {
    t.ttl = 0;
  } else {
    r.integer(n, 1, 255, t.ttl);
  }
}

void read_tos(Reading& r, const TomlNode& n, Tunnel& t) {
  if (is_word(n, "inherit")) {
    t.tos_policy = gre::TosPolicy::kInherit;
    return;
  }
  std::optional<std::uint8_t> tos;
  r.integer(n, 0, 252, tos);
  if (!tos) return;
  if (*tos % 4 != 0) return r.refuse(n, "its two low bits are ECN's and follow the packet inside: write a multiple of 4");
  t.tos_policy = gre::TosPolicy::kFixed;
  t.tos = *tos;
}

void read_hub(Reading& r, const TomlNode& n, Tunnel& t) {
  if (n.kind == TomlNode::Kind::kBoolean) return r.boolean(n, t.segment.hub);
  r.list(n, parse_name, t.segment.spokes);
}

void read_time(Reading& r, const TomlNode& n, std::chrono::milliseconds least, std::chrono::milliseconds greatest,
               std::chrono::milliseconds& out) {
  std::optional<std::chrono::milliseconds> time;
  r.text(n, parse_duration, time);
  if (!time) return;
  if (*time < least || *time > greatest) return r.wrong_type(n);
  out = *time;
}

void read_loop_probe(Reading& r, const TomlNode& n, Tunnel& t) {
  if (is_word(n, "off")) {
    t.segment.loop_probe = {};
  } else {
    read_time(r, n, std::chrono::milliseconds(100), std::chrono::minutes(1), t.segment.loop_probe);
  }
}

void read_encap_limit(Reading& r, const TomlNode& n, Tunnel& t) {
  if (is_word(n, "none")) {
    t.encap_limit.reset();
  } else {
    r.integer(n, 0, 255, t.encap_limit);
  }
}

void read_accept(Reading& r, const TomlNode& n, Peer& p) {
  std::vector<routing::CeilingRule> rules;
  r.prefix_rules(n, rules, true);
  p.accept = routing::Ceiling(std::move(rules));
}

// A number counts seconds, as in `wg`.
void read_keepalive(Reading& r, const TomlNode& n, Peer& p) {
  if (n.kind == TomlNode::Kind::kString) return r.text(n, parse_keepalive, p.keepalive);
  std::optional<std::int64_t> seconds;
  r.integer(n, 0, 65535, seconds);
  if (seconds) p.keepalive = std::chrono::seconds(*seconds);
}

void read_hold(Reading& r, const TomlNode& n, Routing& s) {
  std::optional<std::chrono::milliseconds> hold;
  r.text(n, parse_duration, hold);
  if (!hold) return;
  if (*hold > std::chrono::hours(1)) return r.wrong_type(n);
  s.hold = *hold;
}

void read_audit(Reading& r, const TomlNode& n, Routing& s) {
  if (is_word(n, "off")) return s.audit.reset();
  std::chrono::milliseconds every{};
  read_time(r, n, std::chrono::seconds(1), std::chrono::hours(24), every);
  if (every.count() != 0) s.audit = every;
}

void read_hold_up(Reading& r, const TomlNode& n, Peer& p) {
  std::optional<std::chrono::milliseconds> hold;
  r.text(n, parse_duration, hold);
  if (!hold) return;
  if (*hold > std::chrono::minutes(10)) return r.wrong_type(n);
  p.hold_up = *hold;
}

void read_flap_damping(Reading& r, const TomlNode& n, Peer& p) {
  if (n.kind == TomlNode::Kind::kString && n.text == "off") return p.flap_damping.reset();
  std::optional<std::chrono::milliseconds> half_life;
  r.text(n, parse_duration, half_life);
  if (!half_life) return;
  if (*half_life < std::chrono::seconds(1) || *half_life > std::chrono::hours(1)) return r.wrong_type(n);
  p.flap_damping = *half_life;
}

void read_metrics(Reading& r, const TomlNode& n, Site& s) {
  s.metrics.reset();
  if (is_word(n, "off")) return;
  r.text(n, Endpoint::parse, s.metrics);
  if (s.metrics && (s.metrics->port == 0 || s.metrics->scope != 0 || s.metrics->address.is_v4_mapped())) r.wrong_type(n);
}

void read_pmtu_raise(Reading& r, const TomlNode& n, Underlay& u) {
  std::optional<std::chrono::milliseconds> raise;
  r.text(n, parse_duration, raise);
  if (!raise) return;
  if (*raise < std::chrono::seconds(10) || *raise > std::chrono::hours(24)) return r.wrong_type(n);
  u.pmtu_raise = *raise;
}

// clang-format off
const std::array<Key<Site>, 12> kSite{{
  {{"name", "a name of 1 to 32 letters, digits, '-', '_' and '.'", "",
    "The site, in status, logs and the name of the control socket.", kRequired},
   [](Reading& r, const TomlNode& n, Site& s) { r.text(n, parse_name, s.name); }},
  {{"private_key_file", "the path of a file", "",
    "This site's WireGuard key in base64, as `greywire genkey` writes it. Refused unless it belongs to root or the "
    "daemon's user and nobody else but the daemon's group may read it. A relative path starts at the config file's folder.", kRequired},
   [](Reading& r, const TomlNode& n, Site& s) { r.path(n, s.private_key_file); }},
  {{"previous_key_file", "the path of a file", "none",
    "The key that this site had before, which peers that do not know the new one yet may go on using; see "
    "[operations](operations.md#keys). Same rules as `private_key_file`.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.path(n, s.previous_key_file); }},
  {{"listen_port", "a port from 1 to 65535", "51820", "The UDP port of the underlay, on all local addresses.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.integer(n, 1, 65535, s.listen_port); }},
  {{"overlay_address", "an address or a list of addresses, such as [\"10.255.0.1\", \"fd00:255::1\"]", "",
    "This site's addresses on `interface`: BGP speaks from them and they are the default local ends of tunnels. "
    "The first of each family is the one that tunnels use.", kRequired},
   [](Reading& r, const TomlNode& n, Site& s) { r.list(n, parse_host_address, s.overlay_addresses); }},
  {{"interface", "an interface name of at most 15 characters", "\"gw0\"", "The device of all peers.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.text(n, parse_interface_name, s.interface); }},
  {{"networks", "a prefix or a list of prefixes, such as [\"10.1.0.0/16\"]", "none",
    "This site's own prefixes. A peer can neither announce nor send from them, whatever its `accept` says.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.list(n, parse_network, s.networks); }},
  {{"mtu", kMtuType, "the largest of its peers'", "The MTU of `interface`, by hand.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.mtu(n, s.mtu); }},
  {{"control", "the absolute path of a unix socket", "\"/run/greywire/NAME.sock\"",
    "Where `greywire status` asks this site's daemon.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.socket_path(n, s.control_socket); }},
  {{"state_dir", "the path of a folder", "\"/var/lib/greywire/NAME\"",
    "What must survive a restart: the last handshake's time stamp, so that peers answer even when the clock was set "
    "back; what a reload on trial goes back to. A relative path starts at the config file's folder.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.path(n, s.state_dir); }},
  {{"log_level", "\"trace\", \"debug\", \"info\", \"warning\" or \"error\"", "\"info\"", "What is logged.", kOptional},
   [](Reading& r, const TomlNode& n, Site& s) { r.choice<LogLevel>(n, kLogLevels, s.log_level); }},
  {{"metrics", "ADDRESS:PORT, [ADDRESS]:PORT or \"off\", such as \"127.0.0.1:9586\"", "\"off\"",
    "Where Prometheus asks by HTTP (docs/metrics.md): `/metrics`, and `/healthz` and `/readyz`. Whoever reaches it reads "
    "names, traffic and state of the peers, so choose an address that only the monitoring reaches.", kOptional}, read_metrics},
}};

const std::array<Key<Peer>, 18> kPeer{{
  {{"name", "a name of 1 to 32 letters, digits, '-', '_' and '.'", "",
    "The peer, in `[[tunnel]]`, status and logs.", kRequired, kOwn},
   [](Reading& r, const TomlNode& n, Peer& p) { r.text(n, parse_name, p.name); }},
  {{"public_key", "a base64 key of 44 characters", "", "The peer's WireGuard key.", kRequired, kOwn},
   [](Reading& r, const TomlNode& n, Peer& p) { r.text(n, PublicKey::from_base64, p.public_key); }},
  {{"preshared_key_file", "the path of a file", "none",
    "A key both sides share beside their own, as `greywire genpsk` writes it. Same rules as `private_key_file`.",
    kOptional},
   [](Reading& r, const TomlNode& n, Peer& p) { r.path(n, p.preshared_key_file); }},
  {{"endpoint", "NAME:PORT, ADDRESS:PORT or [ADDRESS]:PORT, or a list of them", "none: the peer calls",
    "Where the peer is reached, the best first. The others are tried, each 250 ms after the one before, when it does not "
    "answer; so are all addresses of a name, IPv6 and IPv4 in turn. Names are asked again when their TTL is over and "
    "when the peer does not answer. Without it the peer must reach this site, and is kept alive every 25 s.",
    kOptional, kOwn},
   [](Reading& r, const TomlNode& n, Peer& p) { r.list(n, PeerEndpoint::parse, p.endpoints); }},
  {{"overlay_address", "an address or a list of addresses, such as [\"10.255.0.2\", \"fd00:255::2\"]", "none",
    "Always this peer's and nobody else's: the BGP next hops that mean it, and the default remote ends of tunnels.",
    kOptional, kOwn},
   [](Reading& r, const TomlNode& n, Peer& p) { r.list(n, parse_host_address, p.overlay_addresses); }},
  {{"allowed_ips", "a prefix or a list of prefixes, such as [\"10.2.0.0/16\"]", "none",
    "Static allowed-IPs beside the overlay addresses; each becomes a kernel route to `interface` while the peer answers. While it "
    "does not, a route behind all others (metric 4278190080) keeps packets for it from leaving in clear; not for a default route, "
    "nor where another peer's `allowed_ips` or `accept` may carry them.", kOptional, kOwn},
   [](Reading& r, const TomlNode& n, Peer& p) { r.list(n, parse_network, p.allowed_ips); }},
  {{"accept", "a rule or a list of rules, such as [\"10.2.0.0/16 le 24\", \"@lans\"]", "nothing",
    "The ceiling: the prefixes that BGP may send to this peer, and the sources that it may send from. Each rule is "
    "`PREFIX [ge LENGTH] [le LENGTH]` as in an FRR prefix-list, or `@NAME` of `[prefix_sets]`.", kOptional},
   read_accept},
  {{"max_prefixes", "a number from 1 to 10000000", "10000", "How many learned prefixes this peer may have.", kOptional},
   [](Reading& r, const TomlNode& n, Peer& p) { r.integer(n, 1, 10'000'000, p.max_prefixes); }},
  {{"asn", "an AS number from 1 to 4294967295", "any but this site's",
    "The peer's autonomous system, for `greywire frr-config` alone.", kOptional},
   [](Reading& r, const TomlNode& n, Peer& p) { r.integer(n, 1, 0xffffffffLL, p.asn); }},
  {{"keepalive", "a time from 1s to 65535s, a number of seconds, or \"off\"", "\"25s\" without an endpoint, else \"off\"",
    "WireGuard's persistent keepalive.", kOptional},
   read_keepalive},
  {{"liveness", "INTERVAL x COUNT, such as \"1s x 3\", or \"off\"", "\"1s x 3\"",
    "The probe in the tunnel: a peer with COUNT probes unanswered is dead, its next hops go and its links lose their "
    "carrier. The interval is 100ms to 60s, the count 1 to 20.", kOptional},
   [](Reading& r, const TomlNode& n, Peer& p) { r.text(n, parse_liveness, p.liveness); }},
  {{"hold_up", "a time from 0s to 10m, such as \"1s\"", "\"1s\"",
    "A peer that was dead and answers again is used after it has answered for this long.", kOptional},
   read_hold_up},
  {{"flap_damping", "a time from 1s to 1h, such as \"1m\", or \"off\"", "\"1m\"",
    "A peer that dies three times within half this time or so is kept down until it has been quiet, for at most three "
    "times as long (RFC 2439: the half-life of the penalty for each loss).", kOptional},
   read_flap_damping},
  {{"mtu", kMtuType, "what the path takes", "The largest inner packet to this peer, by hand.", kOptional},
   [](Reading& r, const TomlNode& n, Peer& p) { r.mtu(n, p.mtu); }},
  {{"pmtu", "\"on\" or \"off\"", "\"on\"",
    "`\"on\"` finds the path's MTU by probes to the peer's overlay address and follows it. `\"off\"` keeps what "
    "`underlay.mtu` leaves, whatever the path says; so does `mtu`.",
    kOptional},
   [](Reading& r, const TomlNode& n, Peer& p) { r.choice<bool>(n, kOnOff, p.pmtu); }},
  {{"enabled", "true or false", "true", "`false` keeps the peer in the file and out of the daemon.", kOptional},
   [](Reading& r, const TomlNode& n, Peer& p) { r.boolean(n, p.enabled); }},
  {{"source_check", "\"ceiling\" or \"strict\"", "\"ceiling\"",
    "`\"ceiling\"` takes packets from the peer's overlay addresses, `allowed_ips` and all of `accept`; `\"strict\"` only from "
    "where a packet back would go to this peer, as WireGuard does.", kOptional},
   [](Reading& r, const TomlNode& n, Peer& p) { r.choice<SourceCheck>(n, kSourceChecks, p.source_check); }},
  {{"dscp", "\"routing\", \"zero\" or \"copy\"", "\"routing\"",
    "The DSCP of outer packets to this peer, and of GRE delivery packets: that of the packet inside where it is routing "
    "traffic (CS6 and above: BGP, BFD, OSPF) and 0 otherwise, always 0, or always that of the packet inside. What is shown "
    "the underlay can sort by, and sees. ECN is carried through either way (RFC 6040).", kOptional},
   [](Reading& r, const TomlNode& n, Peer& p) { r.choice<OuterDscp>(n, kDscp, p.dscp); }},
}};

const std::array<Key<Tunnel>, 36> kTunnel{{
  {{"name", "an interface name of at most 15 characters", "", "The device.", kRequired},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.text(n, parse_interface_name, t.name); }},
  {{"kind", "\"gre\", \"gretap\" or \"segment\"", "",
    "`\"gre\"` is a routed link (TUN), `\"gretap\"` carries Ethernet frames (TAP), for a bridge; `\"segment\"` is one TAP "
    "that is a switch over several gretap peers.", kRequired},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.choice<TunnelKind>(n, kKinds, t.kind); }},
  {{"peer", "the name of a peer", "none; gre and gretap need it",
    "Who is at the other end; GRE is taken from nobody else.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.text(n, parse_name, t.peer); }},
  {{"key", "a number from 0 to 4294967295", "none",
    "The GRE key. Both ends must have the same; it tells tunnels between the same addresses apart.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.integer(n, 0, 0xffffffffLL, t.key); }},
  {{"address", "an address with its length or a list of them, such as [\"172.31.12.1/30\"]", "none",
    "Addresses of the device. Not with `bridge`: there they belong on the bridge.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.list(n, InterfaceAddress::parse, t.addresses); }},
  {{"bridge", "an interface name of at most 15 characters", "none",
    "The bridge that takes the TAP as a port, again also when it was deleted and made anew. Not for `\"gre\"`.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.text(n, parse_interface_name, t.bridge); }},
  {{"bridge_create", "true or false", "false",
    "Make the bridge where there is none of that name: up, with a spanning tree where `stp` is set, filtering VLANs where "
    "`pvid`, `vlan_untagged` or `vlan_tagged` is. It goes with the daemon unless other ports or addresses are on it.",
    kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.boolean(n, t.bridge_create); }},
  {{"stp", "true or false", "false",
    "`true` says that the bridge runs a spanning tree. Several TAPs of one bridge are refused unless each has it, or each "
    "is `isolated`, because they would make a loop.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.boolean(n, t.stp); }},
  {{"isolated", "true or false", "false",
    "`true`: frames pass between the TAP and the bridge's other ports, but not between two ports that are both isolated.",
    kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.boolean(n, t.isolated); }},
  {{"pvid", "a number from 1 to 4094", "none",
    "The VLAN of frames without a tag, both ways, as `bridge vlan add ... pvid untagged`. With any of these three keys the "
    "TAP is in these VLANs of the bridge and in no others, and the bridge must filter VLANs.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.integer(n, 1, 4094, t.pvid); }},
  {{"vlan_untagged", "a VLAN, a range or a list of them, such as [\"11\", \"30-39\"]", "none",
    "More VLANs whose frames go to the peer without a tag.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.list(n, VlanRange::parse, t.vlan_untagged); }},
  {{"vlan_tagged", "a VLAN, a range or a list of them, such as [\"20\", \"30-39\"]", "none",
    "VLANs whose frames come from and go to the peer with their tag.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.list(n, VlanRange::parse, t.vlan_tagged); }},
  {{"delivery", "\"ipv4\" or \"ipv6\"", "ipv4 where both ends have it", "The family of the delivery packets.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.choice<Family>(n, kDeliveries, t.delivery); }},
  {{"local", "an address", "this site's first overlay address of the family",
    "The source of our delivery packets.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.text(n, parse_host_address, t.local); }},
  {{"remote", "an address", "the peer's first overlay address of the family",
    "Their destination. The peer must be allowed to send from it.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.text(n, parse_host_address, t.remote); }},
  {{"mtu", kMtuType, "gre and gretap without a bridge: the peer's less the overhead; in a bridge: 1500",
    "The device's MTU. What does not fit the peer then is fragmented inside WireGuard.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.mtu(n, t.mtu); }},
  {{"mss_clamp", "true or false", "true for gre, false for gretap",
    "Lower the MSS of TCP connections to what goes through in one piece.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.boolean(n, t.mss_clamp); }},
  {{"too_big", "\"fragment\" or \"icmp\"", "\"fragment\"",
    "What becomes of a frame with an IP packet that does not fit the peer and must not be fragmented: `\"icmp\"` sends it back "
    "with a Packet Too Big from its destination's address, `\"fragment\"` fragments the delivery packet. Only for `\"gretap\"`.",
    kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.choice<bool>(n, kTooBig, t.tell_too_big); }},
  {{"ttl", "a number from 1 to 255, or \"inherit\"", "64",
    "Time to live of the delivery packets; `\"inherit\"`: that of the packet inside, 64 where that is no IP.", kOptional},
   read_ttl},
  {{"tos", "a multiple of 4 from 0 to 252, or \"inherit\"", "by the peer's `dscp`",
    "The DS field of the delivery packets, as `ip link`'s `tos`: a DSCP times 4, or that of the packet inside. ECN is carried "
    "through either way (RFC 6040). The underlay sees it only with the peer's `dscp = \"copy\"`.", kOptional},
   read_tos},
  {{"df", "\"clear\", \"set\" or \"inherit\"", "\"clear\"",
    "IPv4's Don't Fragment of the delivery packets. `\"clear\"`: what exceeds the peer's MTU is fragmented inside WireGuard. "
    "`\"set\"`: it is dropped, and on a routed link its sender is told. `\"inherit\"`: as the packet inside has it.",
    kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.choice<gre::DfPolicy>(n, kDfPolicies, t.df); }},
  {{"sequence", "true or false", "false",
    "Send GRE sequence numbers (RFC 2890), and take no packet without one or older than the last, as Linux' `seq` does. "
    "For peers that ask for it: inside WireGuard nothing is replayed, and reordered packets are lost.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.boolean(n, t.sequence); }},
  {{"checksum", "true or false", "false",
    "Send GRE checksums (RFC 2784), and take no packet without one, as Linux' `csum` does. Inside WireGuard nothing arrives "
    "damaged: for peers that ask for it.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.boolean(n, t.checksum); }},
  {{"encap_limit", "a number from 0 to 255, or \"none\"", "\"none\"",
    "The Tunnel Encapsulation Limit (RFC 2473) of IPv6 delivery packets, as Linux' `encaplimit` (4 there). It is understood "
    "when it comes, and counted down when the packet inside has one, whatever stands here.", kOptional},
   read_encap_limit},
  {{"peers", "a list of peers, such as [\"fra\", \"nyc key 43\"]", "none; a segment needs it",
    "Who is on the segment, each with a GRE key of its own where the one of `key` is not meant. Like all keys from here on, "
    "only for `\"segment\"`.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.list(n, SegmentMember::parse, t.segment.peers); }},
  {{"hub", "true, false or a list of peers", "false",
    "Peers whose frames this site passes on to other peers, and theirs to them: all, or those named. In a full mesh nobody "
    "does, since each peer gets its own copy.", kOptional},
   read_hub},
  {{"bpdu", "\"drop\" or \"forward\"", "\"drop\"",
    "Frames of spanning tree protocols. Those of LACP, LLDP and other link protocols never pass.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.choice<bool>(n, kBpdus, t.segment.forward_bpdus); }},
  {{"broadcast_limit", "a number of frames from 0 to 10000000", "1000",
    "Broadcasts a second from one peer, and from this site's side; all together may send four times that. 0: no limit.",
    kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.integer(n, 0, kMostFrames, t.segment.broadcast_limit); }},
  {{"multicast_limit", "a number of frames from 0 to 10000000", "4000", "The same for multicast.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.integer(n, 0, kMostFrames, t.segment.multicast_limit); }},
  {{"unknown_limit", "a number of frames from 0 to 10000000", "1000",
    "The same for frames whose destination is not known yet, which go to everybody.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.integer(n, 0, kMostFrames, t.segment.unknown_limit); }},
  {{"mac_limit", "a number from 16 to 1000000", "8192",
    "How many MACs are learned; frames to others go to everybody.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.integer(n, 16, 1'000'000, t.segment.mac_limit); }},
  {{"mac_limit_peer", "a number from 1 to 1000000", "2048", "... behind one peer.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.integer(n, 1, 1'000'000, t.segment.mac_limit_peer); }},
  {{"mac_age", "a time from 10s to 24h, such as \"300s\"", "\"5m\"", "When a MAC that is silent is forgotten.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) {
     read_time(r, n, std::chrono::seconds(10), std::chrono::hours(24), t.segment.mac_age);
   }},
  {{"macs", "a list of MACs with their place, such as [\"02:00:5e:10:00:01 fra\", \"02:00:5e:10:00:02 local\"]", "none",
    "MACs that are always behind one peer, or on this site's side. From elsewhere nobody may send with them.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) { r.list(n, FixedMacEntry::parse, t.segment.macs); }},
  {{"loop_probe", "a time from 100ms to 1m, or \"off\"", "\"1s\"",
    "How often a probe frame goes out, by one peer after the other and on this site's side, while there is traffic. One that "
    "comes back shows a loop.", kOptional},
   read_loop_probe},
  {{"loop_block", "a time from 1s to 1h", "\"1m\"",
    "How long a peer stays blocked after a loop was seen through it; longer while probes come back.", kOptional},
   [](Reading& r, const TomlNode& n, Tunnel& t) {
     read_time(r, n, std::chrono::seconds(1), std::chrono::hours(1), t.segment.loop_block);
   }},
}};

const std::array<Key<Underlay>, 6> kUnderlay{{
  {{"mtu", kMtuType, "1500",
    "The largest outer packet, which a path is taken to carry until probes say less. Set it where all paths carry more.",
    kOptional},
   [](Reading& r, const TomlNode& n, Underlay& u) { r.mtu(n, u.mtu); }},
  {{"pmtu_raise", "a time from 10s to 24h, such as \"10m\"", "\"10m\"",
    "How often a path that takes less than `mtu` is tried with more (RFC 8899's PMTU_RAISE_TIMER).", kOptional},
   read_pmtu_raise},
  {{"mark", "a number from 0 to 4294967295", "a free one",
    "The firewall mark of outer packets. A rule sends marked packets to `table`, so that a learned route never catches "
    "them. 0: no mark, and nothing keeps the underlay apart but `device` or `vrf`.", kOptional},
   [](Reading& r, const TomlNode& n, Underlay& u) { r.integer(n, 0, 0xffffffffLL, u.mark); }},
  {{"table", "a number from 1 to 4294967295", "a free one", "The routing table of marked packets.", kOptional},
   [](Reading& r, const TomlNode& n, Underlay& u) { r.integer(n, 1, 0xffffffffLL, u.table); }},
  {{"device", "an interface name of at most 15 characters", "none",
    "Outer packets leave by this interface and no other.", kOptional},
   [](Reading& r, const TomlNode& n, Underlay& u) { r.text(n, parse_interface_name, u.device); }},
  {{"vrf", "an interface name of at most 15 characters", "none", "Outer packets belong to this VRF.", kOptional},
   [](Reading& r, const TomlNode& n, Underlay& u) { r.text(n, parse_interface_name, u.vrf); }},
}};

const std::array<Key<Routing>, 8> kRouting{{
  {{"source", "\"zebra\" or \"kernel\"", "\"zebra\"",
    "`\"zebra\"`: BGP routes of FRR, with the next hops that BGP has. `\"kernel\"`: routes that BIRD, any other daemon or "
    "`ip route` put into the kernel's table with a next hop on `interface`.", kOptional},
   [](Reading& r, const TomlNode& n, Routing& s) { r.choice<RouteSourceKind>(n, kRouteSources, s.source); }},
  {{"zebra", "the absolute path of a unix socket", "\"/run/frr/zserv.api\"", "FRR's zebra: BGP routes come from it.",
    kOptional},
   [](Reading& r, const TomlNode& n, Routing& s) { r.socket_path(n, s.zebra); }},
  {{"hold", "a time from 0s to 1h, such as \"120s\"", "\"4m\"",
    "How long learned prefixes stay when zebra went away or came back without them, which FRR up to 10.7 does while BGP "
    "is up.", kOptional},
   read_hold},
  {{"inject", "true or false", "false",
    "`true` gives zebra the peers' `allowed_ips` as routes of type NHRP while the peer is reachable, so that bgpd can "
    "`redistribute nhrp`. Not beside FRR's nhrpd. Only with `source = \"zebra\"`.", kOptional},
   [](Reading& r, const TomlNode& n, Routing& s) { r.boolean(n, s.inject); }},
  {{"asn", "an AS number from 1 to 4294967295", "none",
    "This site's autonomous system, for `greywire frr-config` alone.", kOptional},
   [](Reading& r, const TomlNode& n, Routing& s) { r.integer(n, 1, 0xffffffffLL, s.asn); }},
  {{"audit", "a time from 1s to 24h, or \"off\"", "\"1h\"",
    "How often what was learned is compared with the policy and with what the engine has, and the source asked for all of it "
    "again. What differs is put right and counted; so does `greywire audit`.", kOptional},
   read_audit},
  {{"table", "a number from 1 to 4294967295", "254, the main table",
    "The kernel's routing table that is read. Only with `source = \"kernel\"`.", kOptional},
   [](Reading& r, const TomlNode& n, Routing& s) { r.integer(n, 1, 0xffffffffLL, s.table); }},
  {{"protocols", "a list of names or numbers of route protocols, such as [\"bird\", \"static\"]",
    "all but the kernel's own",
    "Whose routes are taken, as `ip route` shows it behind `proto`: those of `ip route add` without it are \"boot\". "
    "Only with `source = \"kernel\"`.", kOptional},
   [](Reading& r, const TomlNode& n, Routing& s) { r.list(n, parse_route_protocol, s.protocols); }},
}};
// clang-format on

}  // namespace

std::span<const Key<Site>> site_keys() { return kSite; }
std::span<const Key<Peer>> peer_keys() { return kPeer; }
std::span<const Key<Tunnel>> tunnel_keys() { return kTunnel; }
std::span<const Key<Underlay>> underlay_keys() { return kUnderlay; }
std::span<const Key<Routing>> routing_keys() { return kRouting; }

}  // namespace greywire::config
