#include "overlay/cli/config_commands.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <optional>

#include "overlay/cli/host_check.h"
#include "overlay/config/frr_config.h"
#include "overlay/config/load.h"

namespace greywire::cli {
namespace {

namespace json = boost::json;

// Reads the config FILE; what is wrong with it goes to standard error. Nothing, after a word and with `code` set, where there is
// no such file.
std::optional<config::Loaded> load(const Surroundings& around, const Options& options, ExitCode& code) {
  struct stat found {};
  if (::stat(options.file.c_str(), &found) != 0) {
    const bool forbidden = errno == EACCES;
    code = complain(around, forbidden ? ExitCode::kNoPermission : ExitCode::kUsage,
                    fmt::format("cannot read {}: {}", options.file, std::strerror(errno)));
    return std::nullopt;
  }
  auto loaded = config::load(options.file);
  for (const auto& line : loaded.diagnostics.lines()) around.err << line << "\n";
  return loaded;
}

json::object as_json(const Options& options, const config::Loaded& loaded, const std::vector<HostFinding>& host, bool ok) {
  const auto lines = loaded.diagnostics.lines();
  json::object out{{"file", options.file}, {"ok", ok}, {"findings", json::array(lines.begin(), lines.end())}};
  if (loaded.config) {
    out["site"] = loaded.config->site.name;
    out["peers"] = loaded.config->peers.size();
    out["tunnels"] = loaded.config->tunnels.size();
  }
  if (!options.host) return out;
  json::array findings;
  for (const auto& finding : host) {
    findings.push_back(json::object{{"what", finding.what}, {"problem", finding.problem}, {"fatal", finding.fatal}});
  }
  out["host"] = std::move(findings);
  return out;
}

}  // namespace

ExitCode check_command(const Surroundings& around, const Options& options) {
  ExitCode code = ExitCode::kDone;
  const auto loaded = load(around, options, code);
  if (!loaded) return code;
  std::vector<HostFinding> host;
  if (options.host && loaded->config) host = check_host(*loaded->config, around.host_root);
  for (const auto& finding : host) around.err << finding.line() << "\n";
  const bool ok = loaded->config && std::none_of(host.begin(), host.end(), [](const auto& finding) { return finding.fatal; });
  if (options.json) {
    around.out << json::serialize(as_json(options, *loaded, host, ok)) << "\n";
  } else if (ok) {
    around.out << fmt::format("{}: ok, site {}: peers {}, tunnels {}\n", options.file, loaded->config->site.name,
                              loaded->config->peers.size(), loaded->config->tunnels.size());
  }
  return ok ? ExitCode::kDone : ExitCode::kAnswerIsNo;
}

ExitCode frr_config_command(const Surroundings& around, const Options& options) {
  ExitCode code = ExitCode::kDone;
  const auto loaded = load(around, options, code);
  if (!loaded) return code;
  if (!loaded->config) return ExitCode::kAnswerIsNo;
  const auto text = config::frr_config(*loaded->config);
  if (!text) return complain(around, ExitCode::kAnswerIsNo, fmt::format("{}: {}", options.file, text.error().text));
  around.out << (options.json ? json::serialize(json::object{{"bgpd", *text}}) + "\n" : *text);
  return ExitCode::kDone;
}

}  // namespace greywire::cli
