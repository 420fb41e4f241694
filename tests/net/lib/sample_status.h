// A site's status with every field set to something that is not its default, for tests of JSON and of the
// tables.
#pragma once

#include "overlay/control/site_status.h"

namespace greywire::testing {

inline control::SiteStatus sample_status() {
  using namespace std::chrono_literals;
  const auto prefix = [](const char* text) { return *Prefix::parse(text); };
  const auto address = [](const char* text) { return *IpAddress::parse(text); };
  control::SiteStatus s;
  s.site = "ams";
  s.version = "0.1.0";
  s.interface = "gw0";
  s.listen_port = 51820;
  s.fwmark = 0x6777;
  s.public_key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
  s.overlay_addresses = {address("10.255.0.1"), address("fd00:255::1")};
  s.uptime = 3725s;
  s.confirm_within = 42s;

  control::PeerReport fra;
  fra.name = "fra";
  fra.public_key = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
  fra.preshared_key = true;
  fra.origin = "wg";
  fra.endpoint = *Endpoint::parse("198.51.100.2:51820");
  fra.handshake_age = 72s;
  fra.handshakes = 31;
  fra.rx_bytes = 1500000;
  fra.tx_bytes = 18446744073709551615ULL;
  fra.persistent_keepalive = 25s;
  fra.overlay_addresses = {address("10.255.0.2")};
  fra.static_allowed_ips = {prefix("10.255.0.2/32"), prefix("fd00:255::2/128")};
  fra.learned_allowed_ips = {prefix("10.2.0.0/16")};
  fra.refused = {prefix("192.0.2.0/24")};
  fra.prefixes = 1;
  fra.over_maximum = 2;
  fra.max_prefixes = 1000;
  fra.alive = true;
  fra.round_trip = 1234us;
  fra.inner_mtu = Mtu{1420};
  control::PeerReport nyc;
  nyc.name = "nyc";
  nyc.public_key = "gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA=";
  nyc.alive = false;
  s.peers = {fra, nyc};

  control::TunnelReport tap;
  tap.name = "tap-fra";
  tap.kind = "gretap";
  tap.peer = "fra";
  tap.key = 42;
  tap.local = address("10.255.0.1");
  tap.remote = address("10.255.0.2");
  tap.addresses = {"172.31.12.1/30"};
  tap.bridge = "br-lan";
  tap.mtu = Mtu{1500};
  tap.payload_limit = Mtu{1378};
  tap.up = true;
  tap.carrier = true;
  tap.rx_packets = 10;
  tap.rx_bytes = 1000;
  tap.tx_packets = 20;
  tap.tx_bytes = 2000;
  s.tunnels = {tap};

  s.routing = {"zebra", "/run/frr/zserv.api", "synced", "FRR 8.2 to 8.5", 12, 10, 2, 3, 4, 5, 6, 7, 8, 9, 10, "none really"};
  s.mtus = {{"gw0", "device", Mtu{1420}, Mtu{1500}, 80, Mtu{1380}, Mtu{1360}, "computed", {}, {}, {}, {}, {}},
            {"fra", "peer", Mtu{1340}, Mtu{1400}, 60, Mtu{1300}, Mtu{1280}, "measured", "complete", Mtu{1400}, Mtu{1500},
             "a router said so", std::chrono::seconds(12), 1}};
  s.paths = {.probes = 30, .reports = 1, .black_holes = 1, .mss_clamped = 4};
  s.drops = {{"bad_tag", "data that does not authenticate", "look for a middlebox", 7}};
  s.alerts = {"192.0.2.0/24 is routed but refused: peer fra's accept does not cover it"};
  s.alerts_total = 60;
  return s;
}

}  // namespace greywire::testing
