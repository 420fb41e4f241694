#include "overlay/control/site_status_json.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <limits>
#include <type_traits>

namespace greywire::control {
namespace {

namespace json = boost::json;

template <class S, class T>
concept Is = std::is_same_v<std::remove_const_t<S>, T>;

// One list of fields a struct, visited by the writer (const structs) and by the reader.
template <class V, Is<PeerReport> S>
void describe(V& v, S& s) {
  v("name", s.name);
  v("public_key", s.public_key);
  v("preshared_key", s.preshared_key);
  v("origin", s.origin);
  v("endpoint", s.endpoint);
  v("handshake_age_seconds", s.handshake_age);
  v("handshakes", s.handshakes);
  v("previous_key", s.previous_key);
  v("rx_bytes", s.rx_bytes);
  v("tx_bytes", s.tx_bytes);
  v("persistent_keepalive_seconds", s.persistent_keepalive);
  v("overlay_addresses", s.overlay_addresses);
  v("static_allowed_ips", s.static_allowed_ips);
  v("learned_allowed_ips", s.learned_allowed_ips);
  v("refused", s.refused);
  v("prefixes", s.prefixes);
  v("over_maximum", s.over_maximum);
  v("max_prefixes", s.max_prefixes);
  v("alive", s.alive);
  v("held_down", s.held_down);
  v("round_trip_microseconds", s.round_trip);
  v("inner_mtu", s.inner_mtu);
}

template <class V, Is<SegmentPortReport> S>
void describe(V& v, S& s) {
  v("peer", s.peer);
  v("key", s.key);
  v("remote", s.remote);
  v("macs", s.macs);
  v("blocked_seconds", s.blocked);
  v("rx_packets", s.rx_packets);
  v("rx_bytes", s.rx_bytes);
  v("tx_packets", s.tx_packets);
  v("tx_bytes", s.tx_bytes);
}

template <class V, Is<SegmentReport> S>
void describe(V& v, S& s) {
  v("ports", s.ports);
  v("moves", s.moves);
  v("flooded", s.flooded);
  v("not_learned", s.not_learned);
  v("loops", s.loops);
}

template <class V, Is<TunnelReport> S>
void describe(V& v, S& s) {
  v("name", s.name);
  v("kind", s.kind);
  v("peer", s.peer);
  v("key", s.key);
  v("sequence", s.sequence);
  v("checksum", s.checksum);
  v("encap_limit", s.encap_limit);
  v("segment", s.segment);
  v("local", s.local);
  v("remote", s.remote);
  v("addresses", s.addresses);
  v("bridge", s.bridge);
  v("mtu", s.mtu);
  v("payload_limit", s.payload_limit);
  v("up", s.up);
  v("carrier", s.carrier);
  v("rx_packets", s.rx_packets);
  v("rx_bytes", s.rx_bytes);
  v("tx_packets", s.tx_packets);
  v("tx_bytes", s.tx_bytes);
}

template <class V, Is<RoutingReport> S>
void describe(V& v, S& s) {
  v("source", s.source);
  v("socket", s.socket);
  v("state", s.state);
  v("release_group", s.release_group);
  v("routes", s.routes);
  v("accepted", s.accepted);
  v("refused", s.refused);
  v("ignored", s.ignored);
  v("unresolved", s.unresolved);
  v("held", s.held);
  v("not_taken", s.not_taken);
  v("audits", s.audits);
  v("repaired", s.repaired);
  v("dumps", s.dumps);
  v("overruns", s.overruns);
  v("last_error", s.last_error);
}

template <class V, Is<MtuReport> S>
void describe(V& v, S& s) {
  v("name", s.name);
  v("kind", s.kind);
  v("mtu", s.mtu);
  v("path_mtu", s.path);
  v("overhead_bytes", s.overhead);
  v("mss_ipv4", s.mss_ipv4);
  v("mss_ipv6", s.mss_ipv6);
  v("origin", s.origin);
  v("search", s.state);
  v("probed", s.probed);
  v("largest", s.largest);
  v("reason", s.reason);
  v("changed_age_seconds", s.changed_age);
  v("black_holes", s.black_holes);
}

template <class V, Is<PathReport> S>
void describe(V& v, S& s) {
  v("probes", s.probes);
  v("reports", s.reports);
  v("reports_ignored", s.reports_ignored);
  v("black_holes", s.black_holes);
  v("too_big_sent", s.too_big_sent);
  v("too_big_suppressed", s.too_big_suppressed);
  v("fragmented", s.fragmented);
  v("fragments_sent", s.fragments_sent);
  v("mss_clamped", s.mss_clamped);
}

template <class V, Is<DropReport> S>
void describe(V& v, S& s) {
  v("reason", s.reason);
  v("meaning", s.meaning);
  v("advice", s.advice);
  v("packets", s.packets);
}

template <class V, Is<SiteStatus> S>
void describe(V& v, S& s) {
  v("site", s.site);
  v("version", s.version);
  v("interface", s.interface);
  v("listen_port", s.listen_port);
  v("fwmark", s.fwmark);
  v("public_key", s.public_key);
  v("overlay_addresses", s.overlay_addresses);
  v("uptime_seconds", s.uptime);
  v("peers", s.peers);
  v("tunnels", s.tunnels);
  v("routing", s.routing);
  v("mtus", s.mtus);
  v("paths", s.paths);
  v("drops", s.drops);
  v("alerts", s.alerts);
  v("alerts_total", s.alerts_total);
  v("confirm_within_seconds", s.confirm_within);
}

template <class V, Is<RouteReport> S>
void describe(V& v, S& s) {
  v("prefix", s.prefix);
  v("next_hops", s.next_hops);
  v("peer", s.peer);
  v("state", s.state);
  v("reason", s.reason);
}

template <class V, Is<RoutesReport> S>
void describe(V& v, S& s) {
  v("routes", s.routes);
}

template <class V, Is<AuditReport> S>
void describe(V& v, S& s) {
  v("routes", s.routes);
  v("repaired", s.repaired);
  v("source_asked", s.source_asked);
}

template <class V, Is<ExplainReport> S>
void describe(V& v, S& s) {
  v("address", s.address);
  v("delivered", s.delivered);
  v("match", s.match);
  v("peer", s.peer);
  v("origin", s.origin);
  v("drop_reason", s.drop_reason);
  v("mtu", s.mtu);
  v("sources", s.sources);
  v("steps", s.steps);
}

template <class V, Is<MacReport> S>
void describe(V& v, S& s) {
  v("segment", s.segment);
  v("mac", s.mac);
  v("vlan", s.vlan);
  v("port", s.port);
  v("age_seconds", s.age);
}

template <class V, Is<ReloadReport> S>
void describe(V& v, S& s) {
  v("done", s.done);
  v("changes", s.changes);
  v("warnings", s.warnings);
  v("errors", s.errors);
  v("confirm_within_seconds", s.confirm_within);
}

template <class T>
concept Text = std::is_same_v<T, IpAddress> || std::is_same_v<T, Prefix> || std::is_same_v<T, Endpoint>;
template <class T>
concept Count = std::is_integral_v<T> && !std::is_same_v<T, bool>;

struct Writer {
  json::object object;

  template <class T>
  void operator()(std::string_view name, const T& value) {
    object.emplace(name, encode(value));
  }

  static json::value encode(const std::string& v) { return json::value(json::string(v)); }
  static json::value encode(const bool& v) { return v; }
  static json::value encode(const Mtu& v) { return v.bytes; }
  template <Count T>
  static json::value encode(const T& v) {
    return v;
  }
  template <class Rep, class Period>
  static json::value encode(const std::chrono::duration<Rep, Period>& v) {
    return static_cast<std::int64_t>(v.count());
  }
  template <Text T>
  static json::value encode(const T& v) {
    return json::value(json::string(v.to_string()));
  }
  template <class T>
  static json::value encode(const std::optional<T>& v) {
    return v ? encode(*v) : json::value(nullptr);
  }
  template <class T>
  static json::value encode(const std::vector<T>& v) {
    json::array array;
    array.reserve(v.size());
    for (const T& element : v) array.push_back(encode(element));
    return array;
  }
  template <class T>
  requires requires(Writer& w, const T& v) { describe(w, v); }
  static json::value encode(const T& v) {
    Writer writer;
    describe(writer, v);
    return std::move(writer.object);
  }
};

// Keeps the first error only; everything after it is skipped.
struct Reader {
  const json::object* object = nullptr;
  std::string path;
  std::optional<Error> error;

  template <class T>
  void operator()(std::string_view name, T& value) {
    if (error) return;
    const json::value* member = object->if_contains(name);
    if (member == nullptr) return;
    decode(path.empty() ? std::string(name) : fmt::format("{}.{}", path, name), *member, value);
  }

  void fail(const std::string& where, std::string_view expected) {
    if (!error) error = Error{fmt::format("{}: expected {}", where.empty() ? "reply" : where, expected)};
  }

  void decode(const std::string& where, const json::value& in, std::string& out) {
    if (const auto* text = in.if_string()) {
      out.assign(text->data(), text->size());
    } else {
      fail(where, "a string");
    }
  }
  void decode(const std::string& where, const json::value& in, bool& out) {
    if (const bool* flag = in.if_bool()) {
      out = *flag;
    } else {
      fail(where, "true or false");
    }
  }
  template <Count T>
  void decode(const std::string& where, const json::value& in, T& out) {
    boost::system::error_code ec;
    const T number = in.to_number<T>(ec);
    if (ec)
      return fail(where, fmt::format("a whole number from {} to {}", std::numeric_limits<T>::min(),
                                     std::numeric_limits<T>::max()));
    out = number;
  }
  void decode(const std::string& where, const json::value& in, Mtu& out) { decode(where, in, out.bytes); }
  template <class Rep, class Period>
  void decode(const std::string& where, const json::value& in, std::chrono::duration<Rep, Period>& out) {
    std::int64_t count = 0;
    decode(where, in, count);
    out = std::chrono::duration<Rep, Period>(count);
  }
  template <Text T>
  void decode(const std::string& where, const json::value& in, T& out) {
    std::string text;
    decode(where, in, text);
    if (error) return;
    auto parsed = T::parse(text);
    if (!parsed) {
      error = Error{fmt::format("{}: {}", where, parsed.error().text)};
      return;
    }
    out = *parsed;
  }
  template <class T>
  void decode(const std::string& where, const json::value& in, std::optional<T>& out) {
    out.reset();
    if (in.is_null()) return;
    T value{};
    decode(where, in, value);
    if (!error) out = std::move(value);
  }
  template <class T>
  void decode(const std::string& where, const json::value& in, std::vector<T>& out) {
    const auto* array = in.if_array();
    if (array == nullptr) return fail(where, "an array");
    out.clear();
    out.reserve(array->size());
    for (const json::value& element : *array) {
      T value{};
      decode(fmt::format("{}[{}]", where, out.size()), element, value);
      if (error) return;
      out.push_back(std::move(value));
    }
  }
  template <class T>
  requires requires(Reader& r, T& v) { describe(r, v); }
  void decode(const std::string& where, const json::value& in, T& out) {
    const auto* members = in.if_object();
    if (members == nullptr) return fail(where, "an object");
    Reader inner{members, where, std::nullopt};
    describe(inner, out);
    if (inner.error) error = std::move(inner.error);
  }
};

template <class T>
Result<T> read(const json::value& in) {
  Reader reader;
  T out;
  reader.decode("", in, out);
  if (reader.error) return *reader.error;
  return out;
}

}  // namespace

boost::json::value to_json(const SiteStatus& status) {
  return Writer::encode(status);
}
boost::json::value to_json(const RoutesReport& routes) {
  return Writer::encode(routes);
}
boost::json::value to_json(const AuditReport& audit) {
  return Writer::encode(audit);
}
boost::json::value to_json(const ExplainReport& explanation) {
  return Writer::encode(explanation);
}
boost::json::value to_json(const ReloadReport& reload) {
  return Writer::encode(reload);
}
boost::json::value to_json(const std::vector<MacReport>& macs) {
  return Writer::encode(macs);
}
boost::json::value to_json(const std::vector<DropReport>& drops) {
  return Writer::encode(drops);
}

Result<SiteStatus> site_status_from_json(const boost::json::value& json) {
  return read<SiteStatus>(json);
}
Result<RoutesReport> routes_from_json(const boost::json::value& json) {
  return read<RoutesReport>(json);
}
Result<AuditReport> audit_from_json(const boost::json::value& json) {
  return read<AuditReport>(json);
}
Result<ExplainReport> explain_from_json(const boost::json::value& json) {
  return read<ExplainReport>(json);
}
Result<ReloadReport> reload_from_json(const boost::json::value& json) {
  return read<ReloadReport>(json);
}
Result<std::vector<MacReport>> macs_from_json(const boost::json::value& json) {
  return read<std::vector<MacReport>>(json);
}

}  // namespace greywire::control
