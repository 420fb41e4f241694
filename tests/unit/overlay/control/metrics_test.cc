// The metrics' text as Prometheus takes it, and what is said of them elsewhere: docs/metrics.md and deploy/monitoring.
#include "overlay/control/metrics.h"

#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "tests/net/lib/sample_status.h"
#include "tests/unit/overlay/documents.h"

namespace greywire::control {
namespace {

// The sample site with a segment, so that every metric has a sample.
SiteStatus full_status() {
  SiteStatus status = testing::sample_status();
  TunnelReport segment = status.tunnels.front();
  segment.name = "lan-seg";
  segment.kind = "segment";
  segment.segment = SegmentReport{{{"", {}, {}, 3, {}, 0, 0, 0, 0}, {"fra", 7, {}, 5, std::chrono::seconds(9), 1, 2, 3, 4}}, 1, 2, 3, 4};
  status.tunnels.push_back(segment);
  return status;
}

// What `promtool check metrics` looks at, and a little more. Returns the problems.
std::vector<std::string> lint(const std::string& text) {
  static const std::regex help("# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)");
  static const std::regex type("# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (gauge|counter)");
  static const std::regex sample(
      R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\.)*"(,[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\.)*")*\})? (-?[0-9.e+-]+|\+Inf|NaN))re");
  static const std::regex bad_unit("(_kilobytes|_kib|_mb|_ms|_milliseconds|_microseconds|_minutes|_hours|_percent|_bits)(_|$)");
  std::vector<std::string> problems;
  std::set<std::string> helped, typed, seen;
  std::string current, kind;
  if (!text.ends_with("\n")) problems.push_back("the last line has no end");
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::smatch m;
    const auto wrong = [&](const char* what) { problems.push_back(std::string(what) + ": " + line); };
    if (std::regex_match(line, m, help)) {
      if (!helped.insert(m[1]).second) wrong("HELP twice");
      current = m[1];
      kind.clear();
    } else if (std::regex_match(line, m, type)) {
      if (!typed.insert(m[1]).second) wrong("TYPE twice");
      if (current != m[1]) wrong("TYPE without its HELP before it");
      kind = m[2];
      const std::string name = m[1];
      if ((kind == "counter") != name.ends_with("_total")) wrong("_total is for counters, and for all of them");
      if (std::regex_search(name, bad_unit)) wrong("not a base unit");
    } else if (std::regex_match(line, m, sample)) {
      if (m[1] != current || kind.empty()) wrong("a sample apart from its TYPE");
      if (!seen.insert(m[1].str() + m[2].str()).second) wrong("a sample twice");
      if (kind == "counter" && m[6].str().starts_with("-")) wrong("a counter below zero");
    } else {
      wrong("no line of the format");
    }
  }
  return problems;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const auto& line : lines) out += line + "\n";
  return out;
}

TEST(Metrics, TheTextIsWhatPrometheusReads) {
  for (const auto& status : {full_status(), testing::sample_status(), SiteStatus{}}) {
    EXPECT_EQ(joined(lint(prometheus_text(status))), "");
  }
}

TEST(Metrics, TheCheckFindsWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"x 1", "no end"},
      {"x 1\n", "apart from its TYPE"},
      {"# HELP x y\n# TYPE x gauge\nx 1\nx 2\n", "sample twice"},
      {"# HELP x y\n# TYPE x counter\nx 1\n", "_total"},
      {"# HELP x_total y\n# TYPE x_total gauge\n", "_total"},
      {"# TYPE x gauge\nx 1\n", "without its HELP"},
      {"# HELP x_ms y\n# TYPE x_ms gauge\nx_ms 1\n", "base unit"},
      {"# HELP x y\n# TYPE x gauge\nx{a=\"b} 1\n", "no line of the format"},
      {"# HELP x y\n# TYPE x gauge\nx{a=\"b\"} one\n", "no line of the format"},
  };
  for (const auto& [text, problem] : cases) EXPECT_NE(joined(lint(text)).find(problem), std::string::npos) << text;
}

TEST(Metrics, EachHasASampleAndItsLabels) {
  const auto text = prometheus_text(full_status());
  for (const auto& metric : metrics()) {
    EXPECT_NE(text.find("\n" + std::string(metric.name) + (metric.labels.empty() ? " " : "{")), std::string::npos) << metric.name;
    EXPECT_TRUE(metric.name.starts_with("greywire_"));
    EXPECT_EQ(metric.meaning.find_first_of("|\n\\"), std::string::npos) << metric.name;
  }
}

TEST(Metrics, SamplesSayWhatTheStatusSays) {
  const auto text = prometheus_text(full_status());
  for (const char* line : {
           "greywire_peer_receive_bytes_total{peer=\"fra\"} 1500000\n",
           "greywire_peer_transmit_bytes_total{peer=\"fra\"} 18446744073709551615\n",
           "greywire_peer_handshakes_total{peer=\"fra\"} 31\n",
           "greywire_peer_session_age_seconds{peer=\"fra\"} 72\n",
           "greywire_peer_round_trip_seconds{peer=\"fra\"} 0.001234\n",
           "greywire_peer_up{peer=\"fra\"} 1\n",
           "greywire_peer_up{peer=\"nyc\"} 0\n",
           "greywire_peer_prefixes_refused{peer=\"fra\"} 1\n",
           "greywire_peer_prefixes_over_maximum{peer=\"fra\"} 2\n",
           "greywire_routes{state=\"refused\"} 2\n",
           "greywire_routing_source_up 1\n",
           "greywire_routing_repaired_total 8\n",
           "greywire_dropped_packets_total{reason=\"bad_tag\"} 7\n",
           "greywire_dropped_packets_total{reason=\"route_refused\"} 0\n",
           "greywire_peer_path_mtu_bytes{peer=\"fra\"} 1400\n",
           "greywire_tunnel_up{tunnel=\"tap-fra\",kind=\"gretap\",peer=\"fra\"} 1\n",
           "greywire_segment_macs{segment=\"lan-seg\",port=\"local\"} 3\n",
           "greywire_segment_port_blocked{segment=\"lan-seg\",port=\"fra\"} 1\n",
           "greywire_segment_loops_total{segment=\"lan-seg\"} 4\n",
           "greywire_path_probes_total 30\n",
           "greywire_alerts_total 60\n",
       }) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
  EXPECT_EQ(text.find("greywire_peer_session_age_seconds{peer=\"nyc\"}"), std::string::npos) << "never is not zero";
  SiteStatus without;
  without.peers.push_back({});
  without.peers.back().public_key = "k\"e\\y";
  EXPECT_NE(prometheus_text(without).find("greywire_peer_up{peer=\"k\\\"e\\\\y\"} 0\n"), std::string::npos);
  EXPECT_EQ(prometheus_text(without).find("greywire_routes"), std::string::npos) << "no routing source, no routes";
}

// Set GREYWIRE_UPDATE_DOCS=1 to write the table anew after a change.
TEST(Metrics, DocsHoldTheTable) {
  testing::expect_printed("docs/metrics.md", "overlay/control/metrics.cc", metrics_markdown());
}

TEST(Metrics, RulesAndDashboardNameWhatThereIs) {
  std::map<std::string, std::set<std::string>, std::less<>> known;
  for (const auto& metric : metrics()) {
    auto& labels = known[std::string(metric.name)];
    std::istringstream names{std::string(metric.labels)};
    for (std::string label; std::getline(names, label, ',');) labels.insert(label);
  }
  const std::regex use(R"re((greywire_[a-z0-9_]+)(\{([^}]*)\})?)re");
  const std::regex matcher(R"re(([a-zA-Z_]+)\s*(=~|!~|!=|=))re");
  for (const char* file : {"deploy/monitoring/alerts.yml", "deploy/monitoring/dashboard.json"}) {
    const auto text = testing::read_text(testing::in_tree(file));
    std::size_t uses = 0;
    for (auto it = std::sregex_iterator(text.begin(), text.end(), use); it != std::sregex_iterator(); ++it, ++uses) {
      const auto metric = known.find((*it)[1].str());
      ASSERT_NE(metric, known.end()) << file << ": there is no " << (*it)[1];
      const std::string matchers = (*it)[3];
      for (auto m = std::sregex_iterator(matchers.begin(), matchers.end(), matcher); m != std::sregex_iterator(); ++m) {
        const std::string label = (*m)[1];
        EXPECT_TRUE(label == "instance" || label == "job" || metric->second.count(label) != 0) << file << ": " << (*it)[0];
      }
    }
    EXPECT_GE(uses, 6U) << file;
  }
}

}  // namespace
}  // namespace greywire::control
