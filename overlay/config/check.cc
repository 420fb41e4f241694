#include "overlay/config/check.h"

#include <fmt/format.h>

#include <algorithm>

#include "router/pmtu/overhead.h"

namespace greywire::config {
namespace {

void check_marks(const Underlay& underlay, Diagnostics& diagnostics) {
  constexpr std::uint32_t kDefaultTable = 253;  // rt_tables: default, main, local
  constexpr std::uint32_t kLocalTable = 255;
  if (underlay.table && *underlay.table >= kDefaultTable && *underlay.table <= kLocalTable) {
    diagnostics.error(underlay.at.of("table"), fmt::format("table {} is one of the kernel's own: choose a free number, or "
                                                           "leave 'table' out", *underlay.table));
  }
  const bool unmarked = underlay.mark && *underlay.mark == 0;
  if (unmarked && underlay.table) {
    diagnostics.error(underlay.at.of("table"), "'table' does nothing without a mark: set 'mark' too, or leave both out");
  }
  if (unmarked && underlay.device.empty() && underlay.vrf.empty()) {
    diagnostics.warning(underlay.at.of("mark"), "mark = 0 without device or vrf: a learned or static prefix that covers a "
                                                "peer's endpoint will cut the tunnel to it");
  }
}

void check_use(const Peer& peer, Diagnostics& diagnostics) {
  const bool has_address = peer.at.has("overlay_address");
  if (!has_address && !peer.at.has("accept") && !peer.at.has("allowed_ips")) {
    diagnostics.warning(peer.at.of("name"), fmt::format("peer '{}' has neither overlay_address, allowed_ips nor accept: "
                                                        "nothing goes to it", peer.name));
  } else if (!has_address && peer.at.has("accept")) {
    diagnostics.warning(peer.at.of("accept"), fmt::format("peer '{}' has 'accept' but no overlay_address: no BGP next hop "
                                                          "means it", peer.name));
  }
}

// A key of the other source is a slip: it would do nothing.
void check_routing(const Config& config, Diagnostics& diagnostics) {
  if (!config.routing) return;
  const Routing& routing = *config.routing;
  const auto belongs_to = [&](std::string_view key, std::string_view source) {
    if (!routing.at.has(key)) return;
    diagnostics.error(routing.at.of(key), fmt::format("'{}' of [routing] is for source = \"{}\" alone", key, source));
  };
  if (routing.source == RouteSourceKind::kZebra) {
    belongs_to("table", "kernel");
    belongs_to("protocols", "kernel");
    return;
  }
  belongs_to("zebra", "zebra");
  belongs_to("inject", "zebra");
  if (config.underlay.table && *config.underlay.table == routing.table) {
    diagnostics.error(routing.at.of("table"), fmt::format("table {} is the underlay's: routes learned from it would lead "
                                                          "outer packets into the tunnel", routing.table));
  }
}

}  // namespace

void check_underlay(const Config& config, Diagnostics& diagnostics) {
  const auto& underlay = config.underlay;
  check_marks(underlay, diagnostics);
  if (!underlay.device.empty() && !underlay.vrf.empty()) {
    diagnostics.error(underlay.at.of("vrf"), "[underlay] has both 'device' and 'vrf': choose one");
  }
  for (const auto key : {"device", "vrf"}) {
    const auto& name = std::string_view(key) == "vrf" ? underlay.vrf : underlay.device;
    if (name == config.site.interface) {
      diagnostics.error(underlay.at.of(key), fmt::format("'{}' is the site's own interface '{}': the underlay must be "
                                                         "another one", key, name));
    }
  }
  const auto inner = pmtu::max_inner(underlay.mtu, Family::kV6);
  if (inner < pmtu::kMinIpv6Mtu) {
    diagnostics.warning(underlay.at.of("mtu"), fmt::format("mtu = {} leaves {} bytes inside over IPv6, less than the 1280 "
                                                           "that IPv6 needs: larger packets will be fragmented",
                                                           underlay.mtu.bytes, inner.bytes));
  }
}

void check(const Config& config, Diagnostics& diagnostics) {
  check_peers(config, diagnostics);
  check_tunnels(config, diagnostics);
  check_underlay(config, diagnostics);
  check_routing(config, diagnostics);
  if (!diagnostics.has_errors()) check_sense(config, diagnostics);
}

// What is missing may be behind an error (a misspelt key), so this is for configs without one.
void check_sense(const Config& config, Diagnostics& diagnostics) {
  if (config.peers.empty()) diagnostics.warning({}, "there is no [[peer]]: this site reaches nobody");
  for (const auto& peer : config.peers) check_use(peer, diagnostics);
  const bool accepts = std::any_of(config.peers.begin(), config.peers.end(),
                                   [](const Peer& peer) { return peer.at.has("accept"); });
  if (config.routing && !accepts) {
    diagnostics.warning(config.routing->at.section(), "[routing] is there but no peer has 'accept': nothing will be learned");
  }
}

}  // namespace greywire::config
