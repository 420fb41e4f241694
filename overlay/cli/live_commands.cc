#include "overlay/cli/live_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <map>
#include <optional>
#include <thread>

#include "overlay/cli/control_client.h"
#include "overlay/cli/render.h"
#include "overlay/cli/text_table.h"
#include "overlay/control/site_status_json.h"

namespace greywire::cli {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kFollowInterval{300};
constexpr milliseconds kPingTimeout{1000};
constexpr unsigned kPings = 5;
constexpr const char* kClearScreen = "\x1b[H\x1b[J";

std::chrono::duration<double> interval_of(const Options& options) {
  return std::chrono::duration<double>(std::max(options.interval, 0.0));
}

ExitCode failed(const Surroundings& around, const Error& error) { return complain(around, code_of(error), error.text); }

Result<control::SiteStatus> figures(const std::string& socket) {
  const auto answer = ask_daemon(socket, {{"command", "figures"}});
  if (!answer) return answer.error();
  return control::site_status_from_json(*answer);
}

struct Counts {
  std::uint64_t rx = 0, tx = 0;
};

// Per second since the last look; nothing for what is new, or began anew.
struct Rate {
  std::optional<double> rx, tx;
};

Rate rate_of(const std::map<std::string, Counts>& before, const std::string& name, Counts now, double seconds) {
  const auto it = before.find(name);
  if (it == before.end() || now.rx < it->second.rx || now.tx < it->second.tx || seconds <= 0) return {};
  return {static_cast<double>(now.rx - it->second.rx) / seconds, static_cast<double>(now.tx - it->second.tx) / seconds};
}

json::value or_null(std::optional<double> value) { return value ? json::value(*value) : json::value(nullptr); }

std::string bits_text(std::optional<double> bytes_per_second) {
  if (!bytes_per_second) return {};
  double bits = *bytes_per_second * 8;
  for (const char* unit : {"bit/s", "kbit/s", "Mbit/s"}) {
    if (bits < 999.95) return fmt::format("{:.1f} {}", bits, unit);
    bits /= 1000;
  }
  return fmt::format("{:.1f} Gbit/s", bits);
}

std::string count_text(std::optional<double> value) { return value ? fmt::format("{:.0f}", *value) : std::string(); }

// Rates of everything that counts, from one look to the next.
class Top {
 public:
  // The first look has nothing to compare with: false.
  bool look(control::SiteStatus status, Clock::time_point at) {
    seconds_ = std::chrono::duration<double>(at - at_).count();
    at_ = at;
    bytes_before_ = std::move(bytes_);
    packets_before_ = std::move(packets_);
    drops_before_ = std::exchange(drops_, 0);
    bytes_.clear();
    packets_.clear();
    for (const auto& peer : status.peers) bytes_["peer " + name_of(peer)] = {peer.rx_bytes, peer.tx_bytes};
    for (const auto& tunnel : status.tunnels) {
      bytes_["tunnel " + tunnel.name] = {tunnel.rx_bytes, tunnel.tx_bytes};
      packets_["tunnel " + tunnel.name] = {tunnel.rx_packets, tunnel.tx_packets};
    }
    for (const auto& drop : status.drops) drops_ += drop.packets;
    status_ = std::move(status);
    return std::exchange(looked_, true);
  }

  std::string text(const Look& how) const {
    const double dropped = drops_ >= drops_before_ ? static_cast<double>(drops_ - drops_before_) / seconds_ : 0;
    std::string out = fmt::format("{}: up {}, {:.0f} packets a second dropped\n\n",
                                  styled(status_.site, Style::kHeading, how.colour), age_text(status_.uptime), dropped);
    constexpr auto kRight = TextTable::Align::kRight;
    TextTable peers({{"PEER"}, {"STATE"}, {"RTT", kRight}, {"RECEIVES", kRight}, {"SENDS", kRight}, {"SESSION", kRight}, {"MTU", kRight}});
    for (const auto& peer : status_.peers) {
      const Rate rate = bytes_rate("peer " + name_of(peer));
      peers.add_row({name_of(peer), peer_state(peer), peer.round_trip ? round_trip_text(*peer.round_trip) : std::string(),
                     bits_text(rate.rx), bits_text(rate.tx), peer.handshake_age ? age_text(*peer.handshake_age) : std::string(),
                     peer.inner_mtu ? fmt::format("{}", peer.inner_mtu->bytes) : std::string()});
    }
    out += peers.empty() ? "no peers\n" : peers.to_string(how);
    TextTable tunnels({{"TUNNEL"}, {"PEER"}, {"RECEIVES", kRight}, {"SENDS", kRight}, {"PACKETS/S IN", kRight}, {"OUT", kRight}});
    for (const auto& tunnel : status_.tunnels) {
      const Rate bytes = bytes_rate("tunnel " + tunnel.name);
      const Rate packets = rate_of(packets_before_, "tunnel " + tunnel.name, packets_.at("tunnel " + tunnel.name), seconds_);
      tunnels.add_row({tunnel.name, tunnel.peer, bits_text(bytes.rx), bits_text(bytes.tx), count_text(packets.rx), count_text(packets.tx)});
    }
    if (!tunnels.empty()) out += "\n" + tunnels.to_string(how);
    return out;
  }

  json::object as_json() const {
    json::array peers, tunnels;
    for (const auto& peer : status_.peers) {
      const Rate rate = bytes_rate("peer " + name_of(peer));
      json::object entry{{"peer", name_of(peer)}, {"rx_bytes_per_second", or_null(rate.rx)}, {"tx_bytes_per_second", or_null(rate.tx)}};
      entry["round_trip_microseconds"] = peer.round_trip ? json::value(peer.round_trip->count()) : json::value(nullptr);
      peers.push_back(std::move(entry));
    }
    for (const auto& tunnel : status_.tunnels) {
      const Rate rate = bytes_rate("tunnel " + tunnel.name);
      tunnels.push_back(json::object{
          {"tunnel", tunnel.name}, {"rx_bytes_per_second", or_null(rate.rx)}, {"tx_bytes_per_second", or_null(rate.tx)}});
    }
    return {{"seconds", seconds_}, {"peers", std::move(peers)}, {"tunnels", std::move(tunnels)}};
  }

 private:
  static const std::string& name_of(const control::PeerReport& peer) { return peer.name.empty() ? peer.public_key : peer.name; }
  Rate bytes_rate(const std::string& what) const { return rate_of(bytes_before_, what, bytes_.at(what), seconds_); }

  control::SiteStatus status_;
  Clock::time_point at_;
  double seconds_ = 0;
  bool looked_ = false;
  std::map<std::string, Counts> bytes_, bytes_before_, packets_, packets_before_;
  std::uint64_t drops_ = 0, drops_before_ = 0;
};

// Nothing while it is not answered.
Result<std::optional<std::chrono::nanoseconds>> answer_to(const std::string& socket, const json::value& id) {
  const auto answer = ask_daemon(socket, {{"command", "pong"}, {"id", id}});
  if (!answer) return answer.error();
  const auto* object = answer->if_object();
  const auto* time = object == nullptr ? nullptr : object->if_contains("round_trip_nanoseconds");
  if (time == nullptr || !time->is_int64()) return std::optional<std::chrono::nanoseconds>();
  return std::optional(std::chrono::nanoseconds(time->get_int64()));
}

Result<std::optional<std::chrono::nanoseconds>> ping_once(const std::string& socket, const Options& options) {
  const auto sent = ask_daemon(socket, {{"command", "ping"}, {"peer", options.name}, {"size", options.size}});
  if (!sent) return sent.error();
  const auto* object = sent->if_object();
  const auto* id = object == nullptr ? nullptr : object->if_contains("id");
  if (id == nullptr) return Error{"the daemon's answer is of another version: no id", EPROTO};
  const auto end = Clock::now() + kPingTimeout;
  for (milliseconds pause{2};; pause = std::min(2 * pause, milliseconds{50})) {
    std::this_thread::sleep_for(pause);
    auto answer = answer_to(socket, *id);
    if (!answer || *answer || Clock::now() >= end) return answer;
  }
}

struct PathFacts {
  std::string endpoint;
  std::optional<std::uint32_t> inner, path;
};

PathFacts facts_of(const control::SiteStatus& status, const std::string& name) {
  PathFacts facts;
  for (const auto& peer : status.peers) {
    if (peer.name == name && peer.endpoint) facts.endpoint = peer.endpoint->to_string();
  }
  for (const auto& mtu : status.mtus) {
    if (mtu.kind != "peer" || mtu.name != name) continue;
    facts.inner = mtu.mtu.bytes;
    if (mtu.path) facts.path = mtu.path->bytes;
  }
  return facts;
}

double in_milliseconds(std::chrono::nanoseconds time) { return std::chrono::duration<double, std::milli>(time).count(); }

json::object ping_json(const Options& options, const PathFacts& facts, unsigned sent,
                       const std::vector<std::chrono::nanoseconds>& answers) {
  json::array times;
  for (const auto time : answers) times.emplace_back(std::chrono::duration<double, std::micro>(time).count());
  json::object out{{"peer", options.name}, {"endpoint", facts.endpoint}, {"sent", sent}, {"answered", answers.size()}};
  out["inner_mtu"] = facts.inner ? json::value(*facts.inner) : json::value(nullptr);
  out["path_mtu"] = facts.path ? json::value(*facts.path) : json::value(nullptr);
  out["size"] = options.size;
  out["round_trips_microseconds"] = std::move(times);
  return out;
}

std::string ping_summary(unsigned sent, const std::vector<std::chrono::nanoseconds>& answers) {
  std::string out = fmt::format("{} sent, {} answered", sent, answers.size());
  if (!answers.empty()) {
    std::chrono::nanoseconds sum{0};
    for (const auto time : answers) sum += time;
    const auto [least, most] = std::minmax_element(answers.begin(), answers.end());
    out += fmt::format("; round trip {:.2f} ms at least, {:.2f} on average, {:.2f} at most", in_milliseconds(*least),
                       in_milliseconds(sum) / static_cast<double>(answers.size()), in_milliseconds(*most));
  }
  return out + "\n";
}

}  // namespace

ExitCode top_command(const Surroundings& around, const Options& options) {
  ExitCode code = ExitCode::kDone;
  const auto socket = socket_of(around, options, code);
  if (!socket) return code;
  Top top;
  for (unsigned shown = 0; options.count == 0 || shown < options.count;) {
    auto status = figures(*socket);
    if (!status) return failed(around, status.error());
    if (top.look(std::move(*status), Clock::now())) {
      if (around.colour && !options.json) around.out << kClearScreen;
      around.out << (options.json ? json::serialize(top.as_json()) + "\n" : top.text(around.look()));
      if (!around.out.flush()) return ExitCode::kDone;  // nobody reads any more
      ++shown;
      if (shown == options.count) break;
    }
    std::this_thread::sleep_for(interval_of(options));
  }
  return ExitCode::kDone;
}

ExitCode events_command(const Surroundings& around, const Options& options) {
  ExitCode code = ExitCode::kDone;
  const auto socket = socket_of(around, options, code);
  if (!socket) return code;
  for (std::uint64_t after = 0;;) {
    const auto answer = ask_daemon(*socket, {{"command", "events"}, {"after", after}});
    if (!answer) return failed(around, answer.error());
    const auto* object = answer->if_object();
    const auto* events = object == nullptr ? nullptr : object->if_contains("events");
    boost::system::error_code wrong;
    const auto last = events == nullptr || !events->is_array() ? 0 : object->at("last").to_number<std::uint64_t>(wrong);
    if (events == nullptr || !events->is_array() || wrong) {
      return complain(around, ExitCode::kDaemonFailed, "the daemon's answer is of another version: no events");
    }
    const auto lost = object->at("lost").to_number<std::uint64_t>(wrong);
    if (lost != 0 && after != 0) complain(around, ExitCode::kDone, fmt::format("{} events were missed", lost));
    for (const auto& event : events->get_array()) around.out << json::serialize(event) << "\n";
    if (!around.out.flush()) return ExitCode::kDone;
    after = last;
    if (!events->get_array().empty()) continue;
    if (!options.follow) return ExitCode::kDone;
    std::this_thread::sleep_for(kFollowInterval);
  }
}

ExitCode ping_command(const Surroundings& around, const Options& options) {
  ExitCode code = ExitCode::kDone;
  const auto socket = socket_of(around, options, code);
  if (!socket) return code;
  const auto status = figures(*socket);
  if (!status) return failed(around, status.error());
  const PathFacts facts = facts_of(*status, options.name);
  const unsigned count = options.count == 0 ? kPings : options.count;
  std::vector<std::chrono::nanoseconds> answers;
  for (unsigned sent = 1; sent <= count; ++sent) {
    const auto begin = Clock::now();
    const auto answer = ping_once(*socket, options);
    if (!answer) {
      return complain(around, answer.error().code == 0 ? ExitCode::kUsage : code_of(answer.error()), answer.error().text);
    }
    if (sent == 1 && !options.json) {
      around.out << fmt::format("{} at {}: takes {} bytes inside, {} outside\n", options.name,
                                facts.endpoint.empty() ? "no endpoint yet" : facts.endpoint,
                                facts.inner ? fmt::format("{}", *facts.inner) : "?", facts.path ? fmt::format("{}", *facts.path) : "?");
    }
    if (*answer) answers.push_back(**answer);
    if (!options.json) {
      around.out << (*answer ? fmt::format("{}: {:.2f} ms\n", sent, in_milliseconds(**answer)) : fmt::format("{}: no answer within 1 s\n", sent))
                 << std::flush;
    }
    if (sent < count) std::this_thread::sleep_until(begin + std::chrono::duration_cast<Clock::duration>(interval_of(options)));
  }
  around.out << (options.json ? json::serialize(ping_json(options, facts, count, answers)) + "\n" : ping_summary(count, answers));
  return answers.empty() ? ExitCode::kAnswerIsNo : ExitCode::kDone;
}

}  // namespace greywire::cli
