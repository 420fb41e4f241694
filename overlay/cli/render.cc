#include "overlay/cli/render.h"

#include <fmt/format.h>

#include <algorithm>

#include "overlay/cli/text_table.h"

namespace greywire::cli {
namespace {

using control::PeerReport;
using control::SiteStatus;
constexpr auto kRight = TextTable::Align::kRight;

constexpr std::size_t kPrefixesInStatus = 8;  // a peer and list; `greywire peers` shows all

std::string number(std::uint64_t value) {
  return fmt::format("{}", value);
}

std::string peer_name(const PeerReport& peer) {
  return peer.name.empty() ? peer.public_key : peer.name;
}

}  // namespace

Cell peer_state(const PeerReport& peer) {
  if (peer.held_down) return Cell("held down", Style::kBad);
  if (peer.alive) return *peer.alive ? Cell("alive", Style::kGood) : Cell("dead", Style::kBad);
  // WireGuard's own sign of life: a session is renewed every two minutes and refused after three.
  if (peer.handshake_age && *peer.handshake_age < std::chrono::seconds(180))
    return Cell("session", Style::kGood);
  return Cell(peer.handshake_age ? "idle" : "no session", Style::kDim);
}

namespace {

std::string handshake_text(const PeerReport& peer) {
  return peer.handshake_age ? age_text(*peer.handshake_age) + " ago" : std::string("never");
}

template <class T>
std::string list_text(const std::vector<T>& values, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < std::min(values.size(), most); ++i) {
    out += fmt::format("{}{}", i == 0 ? "" : ", ", values[i].to_string());
  }
  if (values.size() > most) out += fmt::format(" and {} more", values.size() - most);
  return out;
}

std::string mtu_text(const std::optional<Mtu>& mtu) {
  return mtu ? number(mtu->bytes) : std::string();
}

std::string line(std::string_view label, std::string_view text, const Look& look) {
  return text.empty()
             ? std::string()
             : fmt::format("  {} {}\n", styled(fmt::format("{:<11}", label), Style::kDim, look),
                           wrapped(text, look.columns, 14));
}

std::string routing_text(const control::RoutingReport& routing) {
  if (routing.source.empty()) return {};
  std::string out = fmt::format("{} {}", routing.source, routing.state);
  if (!routing.release_group.empty()) out += fmt::format(" ({})", routing.release_group);
  out += fmt::format(": {} learned, {} accepted", routing.routes, routing.accepted);
  const std::pair<std::uint64_t, std::string_view> rest[] = {{routing.refused, "refused"},
                                                             {routing.unresolved, "unresolved"},
                                                             {routing.held, "held"},
                                                             {routing.ignored, "ignored"}};
  for (const auto& [count, what] : rest) {
    if (count != 0) out += fmt::format(", {} {}", count, what);
  }
  if (!routing.last_error.empty()) out += fmt::format("; {}", routing.last_error);
  return out;
}

std::string header(const SiteStatus& status, const Look& look) {
  std::string out = styled(status.site.empty() ? status.interface : status.site, Style::kHeading, look);
  out += fmt::format(": {} on UDP port {}, up {}\n", status.interface, status.listen_port,
                     age_text(status.uptime));
  out += line("public key", status.public_key, look);
  out += line("addresses", list_text(status.overlay_addresses, kPrefixesInStatus), look);
  out += line("routing", routing_text(status.routing), look);
  if (status.confirm_within) {
    out += line("reload", fmt::format("on trial: gone back from in {} s unless `greywire confirm` comes", status.confirm_within->count()), look);
  }
  for (const auto& alert : status.alerts) {
    out += fmt::format("  {} {}\n", styled("alert      ", Style::kBad, look), wrapped(alert, look.columns, 14));
  }
  return out;
}

std::string peer_table(const SiteStatus& status, const Look& look) {
  TextTable table({{"PEER"},
                   {"STATE"},
                   {"ENDPOINT"},
                   {"HANDSHAKE"},
                   {"RTT", kRight},
                   {"RECEIVED", kRight},
                   {"SENT", kRight},
                   {"MTU", kRight}});
  for (const auto& peer : status.peers) {
    table.add_row({peer_name(peer), peer_state(peer),
                   peer.endpoint ? peer.endpoint->to_string() : std::string(), handshake_text(peer),
                   peer.round_trip ? round_trip_text(*peer.round_trip) : std::string(),
                   bytes_text(peer.rx_bytes), bytes_text(peer.tx_bytes), mtu_text(peer.inner_mtu)});
  }
  return table.empty() ? "no peers\n" : table.to_string(look);
}

std::string allowed_ips_table(const SiteStatus& status, std::size_t most, const Look& look) {
  TextTable table({{"ALLOWED-IPS"}, {"FROM"}, {"COUNT", kRight}, {"PREFIXES"}});
  for (const auto& peer : status.peers) {
    const std::pair<const std::vector<Prefix>*, Cell> lists[] = {
        {&peer.static_allowed_ips, Cell("static")},
        {&peer.learned_allowed_ips, Cell("learned")},
        {&peer.refused, Cell("refused", Style::kBad)}};
    for (const auto& [prefixes, from] : lists) {
      if (prefixes->empty()) continue;
      table.add_row({peer_name(peer), from, number(prefixes->size()), list_text(*prefixes, most)});
    }
  }
  return table.empty() ? std::string() : table.to_string(look);
}

std::string tunnel_table(const SiteStatus& status, const Look& look) {
  TextTable table({{"TUNNEL"},
                   {"KIND"},
                   {"PEER"},
                   {"STATE"},
                   {"KEY", kRight},
                   {"LOCAL"},
                   {"REMOTE"},
                   {"MTU", kRight},
                   {"PAYLOAD", kRight},
                   {"BRIDGE"},
                   {"RECEIVED", kRight},
                   {"SENT", kRight}});
  for (const auto& tunnel : status.tunnels) {
    const Cell state = !tunnel.up       ? Cell("down", Style::kBad)
                       : tunnel.carrier ? Cell("up", Style::kGood)
                                        : Cell("no carrier", Style::kBad);
    table.add_row({tunnel.name, tunnel.kind, tunnel.peer, state,
                   tunnel.key ? number(*tunnel.key) : std::string(), tunnel.local.to_string(),
                   tunnel.remote.to_string(), number(tunnel.mtu.bytes), mtu_text(tunnel.payload_limit),
                   tunnel.bridge, bytes_text(tunnel.rx_bytes), bytes_text(tunnel.tx_bytes)});
  }
  return table.empty() ? std::string() : table.to_string(look);
}

std::string segment_table(const SiteStatus& status, const Look& look) {
  TextTable table({{"SEGMENT"},
                   {"PORT"},
                   {"STATE"},
                   {"KEY", kRight},
                   {"REMOTE"},
                   {"MACS", kRight},
                   {"RECEIVED", kRight},
                   {"SENT", kRight}});
  for (const auto& tunnel : status.tunnels) {
    if (!tunnel.segment) continue;
    for (const auto& port : tunnel.segment->ports) {
      const Cell state = port.blocked.count() == 0
                             ? Cell("forwards", Style::kGood)
                             : Cell(fmt::format("blocked {}", age_text(port.blocked)), Style::kBad);
      table.add_row({tunnel.name, port.peer.empty() ? std::string("local") : port.peer, state,
                     port.key ? number(*port.key) : std::string(), port.remote ? port.remote->to_string() : std::string(),
                     number(port.macs), bytes_text(port.rx_bytes), bytes_text(port.tx_bytes)});
    }
  }
  return table.empty() ? std::string() : "\n" + table.to_string(look);
}

std::string mtu_table(const SiteStatus& status, const Look& look) {
  TextTable table({{"NAME"},
                   {"KIND"},
                   {"MTU", kRight},
                   {"PATH", kRight},
                   {"OVERHEAD", kRight},
                   {"MSS IPV4", kRight},
                   {"MSS IPV6", kRight},
                   {"FROM"}});
  for (const auto& mtu : status.mtus) {
    table.add_row({mtu.name, mtu.kind, number(mtu.mtu.bytes), mtu_text(mtu.path),
                   mtu.overhead == 0 ? std::string() : number(mtu.overhead), mtu_text(mtu.mss_ipv4),
                   mtu_text(mtu.mss_ipv6), mtu.origin});
  }
  return table.empty() ? std::string() : table.to_string(look);
}

std::string path_table(const SiteStatus& status, const Look& look) {
  TextTable table({{"PATH TO"},
                   {"STATE"},
                   {"IN USE", kRight},
                   {"PROBED", kRight},
                   {"UP TO", kRight},
                   {"CHANGED"},
                   {"WHY"}});
  for (const auto& mtu : status.mtus) {
    if (mtu.state.empty()) continue;
    table.add_row({mtu.name, Cell(mtu.state, mtu.state == "error" ? Style::kBad : Style::kPlain), mtu_text(mtu.path),
                   mtu_text(mtu.probed), mtu_text(mtu.largest),
                   mtu.changed_age ? age_text(*mtu.changed_age) + " ago" : std::string("never"), mtu.reason});
  }
  return table.empty() ? std::string() : table.to_string(look);
}

std::string path_counters(const control::PathReport& paths, const Look& look) {
  const std::pair<std::uint64_t, std::string_view> counts[] = {
      {paths.probes, "probes"},
      {paths.black_holes, "black holes found"},
      {paths.reports, "reports of routers"},
      {paths.reports_ignored, "ignored"},
      {paths.too_big_sent, "too-big messages sent"},
      {paths.too_big_suppressed, "kept back"},
      {paths.fragmented, "packets fragmented"},
      {paths.mss_clamped, "SYNs clamped"}};
  std::string out;
  for (const auto& [count, what] : counts) {
    if (count != 0) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count, what);
  }
  return out.empty() ? out : wrapped(out, look.columns, 2) + "\n";
}

std::string drop_table(const SiteStatus& status, const Look& look) {
  TextTable table({{"DROPPED", kRight}, {"REASON"}, {"MEANING"}});
  for (const auto& drop : status.drops) table.add_row({number(drop.packets), drop.reason, drop.meaning});
  return table.empty() ? std::string() : table.to_string(look);
}

std::string or_none(std::string table, std::string_view none) {
  return table.empty() ? fmt::format("{}\n", none) : table;
}

}  // namespace

std::string render_status(const SiteStatus& status, const Look& look) {
  std::string out = header(status, look);
  const std::string parts[] = {
      peer_table(status, look), allowed_ips_table(status, kPrefixesInStatus, look),
      tunnel_table(status, look), mtu_table(status, look), drop_table(status, look)};
  for (const auto& part : parts) {
    if (!part.empty()) out += "\n" + part;
  }
  return out;
}

std::string render_peers(const SiteStatus& status, const Look& look) {
  std::string out;
  for (const auto& peer : status.peers) {
    const Cell state = peer_state(peer);
    out +=
        fmt::format("{}{}: {}\n", out.empty() ? "" : "\n", styled(peer_name(peer), Style::kHeading, look),
                    styled(state.text, state.style, look));
    out += line("public key", peer.public_key, look);
    out += line("preshared", peer.preshared_key ? "yes" : "", look);
    out += line("endpoint", peer.endpoint ? peer.endpoint->to_string() : std::string("none yet"), look);
    out += line("handshake", handshake_text(peer), look);
    if (peer.previous_key) out += line("our key", "the previous one: nothing came under the new one yet", look);
    out += line("traffic",
                fmt::format("{} received, {} sent", bytes_text(peer.rx_bytes), bytes_text(peer.tx_bytes)),
                look);
    if (peer.persistent_keepalive.count() != 0) {
      out += line("keepalive", fmt::format("every {}", age_text(peer.persistent_keepalive)), look);
    }
    if (peer.round_trip) out += line("round trip", round_trip_text(*peer.round_trip), look);
    out += line("inner MTU", mtu_text(peer.inner_mtu), look);
    out += line("addresses", list_text(peer.overlay_addresses, ~std::size_t{0}), look);
    out += line("static", list_text(peer.static_allowed_ips, ~std::size_t{0}), look);
    out += line("learned", list_text(peer.learned_allowed_ips, ~std::size_t{0}), look);
    out += line("refused", list_text(peer.refused, ~std::size_t{0}), look);
  }
  return or_none(out, "no peers");
}

std::string render_tunnels(const SiteStatus& status, const Look& look) {
  return or_none(tunnel_table(status, look), "no tunnels") + segment_table(status, look);
}

std::string render_mtus(const SiteStatus& status, const Look& look) {
  std::string out = or_none(mtu_table(status, look), "no MTUs known");
  for (const std::string& part : {path_table(status, look), path_counters(status.paths, look)}) {
    if (!part.empty()) out += "\n" + part;
  }
  return out;
}

std::string render_drops(const std::vector<control::DropReport>& drops, const Look& look) {
  TextTable table({{"REASON"}, {"PACKETS", kRight}, {"MEANING"}, {"WHAT TO DO"}});
  for (const auto& drop : drops) table.add_row({drop.reason, number(drop.packets), drop.meaning, drop.advice});
  return or_none(table.empty() ? std::string() : table.to_string(look), "nothing was dropped");
}

std::string render_segments(const std::vector<control::MacReport>& macs, const Look& look) {
  TextTable table({{"SEGMENT"}, {"MAC"}, {"VLAN", kRight}, {"PORT"}, {"HEARD"}});
  for (const auto& mac : macs) {
    table.add_row({mac.segment, mac.mac, mac.vlan == 0 ? std::string() : number(mac.vlan), mac.port,
                   mac.age ? age_text(*mac.age) + " ago" : std::string("fixed")});
  }
  return or_none(table.empty() ? std::string() : table.to_string(look), "no MACs known");
}

std::string render_diff(const control::ReloadReport& difference, const Look&) {
  if (!difference.done) return {};
  if (difference.changes.empty()) return "the file says what runs\n";
  std::string out;
  for (const auto& line : difference.changes) out += line + "\n";
  return out;
}

std::string render_routes(const control::RoutesReport& routes, const Look& look) {
  TextTable table({{"PREFIX"}, {"PEER"}, {"STATE"}, {"NEXT HOPS"}, {"REASON"}});
  for (const auto& route : routes.routes) {
    const Style style = route.state == "accepted"  ? Style::kGood
                        : route.state == "refused" ? Style::kBad
                                                   : Style::kPlain;
    table.add_row({route.prefix.to_string(), route.peer, Cell(route.state, style),
                   fmt::format("{}", fmt::join(route.next_hops, ", ")), route.reason});
  }
  return table.empty() ? "no routes learned\n" : table.to_string(look);
}

std::string render_reload(const control::ReloadReport& reload, const Look& look) {
  if (!reload.done) return styled("nothing was changed", Style::kBad, look) + "\n";
  std::string out = reload.changes.empty() ? "the file says what runs already\n" : "";
  for (const auto& line : reload.changes) out += line + "\n";
  if (reload.confirm_within) {
    out += fmt::format("on trial: gone back from in {} s unless `greywire confirm` comes\n", reload.confirm_within->count());
  }
  return out;
}

std::string render_confirm(const control::ReloadReport&, const Look&) { return "confirmed: it stays\n"; }

std::string render_audit(const control::AuditReport& audit, const Look& look) {
  std::string out = fmt::format("{} learned prefixes: ", audit.routes);
  out += audit.repaired == 0 ? styled("all as they should be", Style::kGood, look)
                             : styled(fmt::format("{} were not as they should be, and are now", audit.repaired), Style::kBad, look);
  out += audit.source_asked ? "; the source was asked for all of them again\n" : "\n";
  return out;
}

std::string render_explain(const control::ExplainReport& explanation, const Look& look) {
  const std::string verdict =
      explanation.delivered
          ? fmt::format("goes to {}",
                        explanation.peer.empty() ? std::string("this site") : "peer " + explanation.peer)
          : fmt::format("is dropped{}",
                        explanation.drop_reason.empty() ? "" : ": " + explanation.drop_reason);
  std::string out = fmt::format("{} {}", explanation.address.to_string(),
                                styled(verdict, explanation.delivered ? Style::kGood : Style::kBad, look));
  if (explanation.match) out += fmt::format(", by {}", explanation.match->to_string());
  if (!explanation.origin.empty()) out += fmt::format(" ({})", explanation.origin);
  out += "\n";
  for (std::size_t i = 0; i < explanation.steps.size(); ++i) {
    out += fmt::format("  {}. {}\n", i + 1, wrapped(explanation.steps[i], look.columns, 5));
  }
  return out;
}

}  // namespace greywire::cli
