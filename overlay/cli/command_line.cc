#include "overlay/cli/command_line.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <functional>

#include "overlay/cli/control_client.h"
#include "overlay/cli/key_commands.h"
#include "overlay/cli/render.h"
#include "overlay/config/load.h"
#include "overlay/config/near_miss.h"
#include "overlay/control/site_status_json.h"

namespace greywire::cli {
namespace {

namespace json = boost::json;

constexpr char kFooter[] =
    "Exit status:\n"
    "  0  done\n"
    "  1  the answer is no: check or reload found errors, or explain found that the packet is dropped\n"
    "  2  wrong command line or wrong input\n"
    "  3  no daemon answers, or several do and none was named\n"
    "  4  no permission\n"
    "  5  the daemon failed: an error, no answer in time, or one of another version\n"
    "\n"
    "Without --socket or --site the only daemon in /run/greywire is asked.";

struct Options {
  std::string socket;
  std::string site;
  std::string address;
  std::string file;
  bool json = false;
};

ExitCode complain(const Surroundings& around, ExitCode code, std::string_view text) {
  around.err << "greywire: " << text << "\n";
  return code;
}

ExitCode code_of(const Error& error) {
  switch (error.code) {
    case ENOENT:
    case ECONNREFUSED:
      return ExitCode::kNoDaemon;
    case EACCES:
    case EPERM:
      return ExitCode::kNoPermission;
    default:
      return ExitCode::kDaemonFailed;
  }
}

// Asks the daemon and hands its answer to `show`; a failure is told and becomes the exit code.
ExitCode ask(const Surroundings& around, const Options& options, json::object request,
             const std::function<ExitCode(const json::value&)>& show) {
  const auto socket = choose_socket(options.socket, options.site, around.socket_directory);
  if (!socket) {
    const auto code = socket.error().code == 0 ? ExitCode::kNoDaemon : code_of(socket.error());
    return complain(around, code, socket.error().text);
  }
  const auto result = ask_daemon(*socket, request);
  if (!result) return complain(around, code_of(result.error()), result.error().text);
  return show(*result);
}

// `part` names the member of the answer that --json prints; empty: all of it.
template <class Report>
ExitCode show_report(const Surroundings& around, const Options& options, const json::value& answer,
                     std::string_view part, const Result<Report>& report,
                     std::string (*render)(const Report&, bool)) {
  if (!report) {
    return complain(around, ExitCode::kDaemonFailed,
                    fmt::format("the daemon's answer is of another version: {}", report.error().text));
  }
  if (options.json) {
    const json::value* member =
        part.empty() || !answer.is_object() ? &answer : answer.get_object().if_contains(part);
    around.out << (member == nullptr ? std::string("null") : json::serialize(*member)) << "\n";
  } else {
    around.out << render(*report, around.colour);
  }
  return ExitCode::kDone;
}

ExitCode status_command(const Surroundings& around, const Options& options, std::string_view part,
                        std::string (*render)(const control::SiteStatus&, bool)) {
  return ask(around, options, {{"command", "status"}}, [&](const json::value& answer) {
    return show_report(around, options, answer, part, control::site_status_from_json(answer), render);
  });
}

ExitCode routes_command(const Surroundings& around, const Options& options) {
  return ask(around, options, {{"command", "routes"}}, [&](const json::value& answer) {
    return show_report(around, options, answer, "routes", control::routes_from_json(answer), render_routes);
  });
}

ExitCode explain_command(const Surroundings& around, const Options& options) {
  if (const auto address = IpAddress::parse(options.address); !address) {
    return complain(around, ExitCode::kUsage, address.error().text);
  }
  return ask(around, options, {{"command", "explain"}, {"address", options.address}},
             [&](const json::value& answer) {
               const auto report = control::explain_from_json(answer);
               const ExitCode code = show_report(around, options, answer, "", report, render_explain);
               return code == ExitCode::kDone && !report->delivered ? ExitCode::kAnswerIsNo : code;
             });
}

ExitCode audit_command(const Surroundings& around, const Options& options) {
  return ask(around, options, {{"command", "audit"}}, [&](const json::value& answer) {
    return show_report(around, options, answer, "", control::audit_from_json(answer), render_audit);
  });
}

// What is wrong with the file goes to standard error, as `check` has it.
ExitCode reload_command(const Surroundings& around, const Options& options) {
  return ask(around, options, {{"command", "reload"}}, [&](const json::value& answer) {
    const auto report = control::reload_from_json(answer);
    const ExitCode code = show_report(around, options, answer, "", report, render_reload);
    if (code != ExitCode::kDone) return code;
    for (const auto* lines : {&report->warnings, &report->errors}) {
      for (const auto& line : *lines) around.err << line << "\n";
    }
    return report->done && report->errors.empty() ? ExitCode::kDone : ExitCode::kAnswerIsNo;
  });
}

// As it is for a scrape; --json makes one string of it.
ExitCode metrics_command(const Surroundings& around, const Options& options) {
  return ask(around, options, {{"command", "metrics"}}, [&](const json::value& answer) {
    const auto* text = answer.if_string();
    if (text == nullptr) return complain(around, ExitCode::kDaemonFailed, "the daemon's answer is of another version: no text");
    if (options.json) {
      around.out << json::serialize(answer) << "\n";
    } else {
      around.out << std::string_view(*text);
    }
    return ExitCode::kDone;
  });
}

ExitCode check_command(const Surroundings& around, const Options& options) {
  struct stat found {};
  if (::stat(options.file.c_str(), &found) != 0) {
    const bool forbidden = errno == EACCES;
    return complain(around, forbidden ? ExitCode::kNoPermission : ExitCode::kUsage,
                    fmt::format("cannot read {}: {}", options.file, std::strerror(errno)));
  }
  const auto loaded = config::load(options.file);
  for (const auto& line : loaded.diagnostics.lines()) around.err << line << "\n";
  if (!loaded.config) return ExitCode::kAnswerIsNo;
  around.out << fmt::format("{}: ok, site {}: peers {}, tunnels {}\n", options.file, loaded.config->site.name,
                            loaded.config->peers.size(), loaded.config->tunnels.size());
  return ExitCode::kDone;
}

// One row a command: what --help says and what it does.
struct Command {
  const char* name;
  const char* help;
  std::function<ExitCode()> perform;
};

std::vector<Command> commands(const Surroundings& around, const Options& options) {
  const auto status = [&](const char* part, std::string (*render)(const control::SiteStatus&, bool)) {
    return [&around, &options, part, render] { return status_command(around, options, part, render); };
  };
  return {
      {"status", "Show the site: peers, allowed-IPs, tunnels, MTUs, drops", status("", render_status)},
      {"peers", "Show every peer with every prefix", status("peers", render_peers)},
      {"tunnels", "Show the GRE and GRETAP tunnels", status("tunnels", render_tunnels)},
      {"routes", "Show the learned routes and what became of each",
       [&] { return routes_command(around, options); }},
      {"mtu", "Show every MTU and where it comes from", status("mtus", render_mtus)},
      {"drops", "Show the packets that were not delivered, by reason", status("drops", render_drops)},
      {"metrics", "Print the metrics as Prometheus reads them", [&] { return metrics_command(around, options); }},
      {"explain", "Say where a packet to ADDRESS goes, and why",
       [&] { return explain_command(around, options); }},
      {"audit", "Compare what was learned, the policy and the engine, and put right what differs",
       [&] { return audit_command(around, options); }},
      {"reload", "Make the daemon read its config file again; a file with an error changes nothing",
       [&] { return reload_command(around, options); }},
      {"check", "Check the config FILE without a daemon", [&] { return check_command(around, options); }},
      {"genkey", "Print a new private key", [&] { return genkey_command(around); }},
      {"pubkey", "Print the public key of the private key on standard input",
       [&] { return pubkey_command(around); }},
      {"genpsk", "Print a new preshared key", [&] { return genpsk_command(around); }},
  };
}

void add_options(CLI::App& command, Options& options) {
  const std::string name = command.get_name();
  if (name == "explain") command.add_option("ADDRESS", options.address, "IPv4 or IPv6 address")->required();
  if (name == "check") command.add_option("FILE", options.file, "the site's TOML file")->required();
  if (name != "check" && name != "genkey" && name != "pubkey" && name != "genpsk") {
    command.add_option("--socket", options.socket, "the daemon's control socket")->type_name("PATH");
    command.add_option("--site", options.site, "the site whose daemon is asked")->type_name("NAME");
    command.add_flag("--json", options.json, "print JSON");
  }
}

ExitCode reject_rest(const Surroundings& around, const std::vector<std::string>& rest,
                     const CLI::App* command, const std::vector<Command>& known) {
  constexpr std::string_view kOptions[] = {"--socket", "--site", "--json", "--help"};
  const std::string& word = rest.front();
  if (word.starts_with("-")) {
    return complain(around, ExitCode::kUsage,
                    fmt::format("unknown option '{}'{}", word, config::did_you_mean(word, kOptions)));
  }
  if (command != nullptr) {
    return complain(around, ExitCode::kUsage,
                    fmt::format("'{}' takes no further argument '{}'", command->get_name(), word));
  }
  std::vector<std::string_view> names;
  for (const auto& entry : known) names.emplace_back(entry.name);
  const auto hint = config::did_you_mean(word, names);
  return complain(around, ExitCode::kUsage,
                  fmt::format("unknown command '{}'{}", word,
                              hint.empty() ? fmt::format("; known: {}", fmt::join(names, ", ")) : hint));
}

}  // namespace

ExitCode run(int argc, const char* const* argv, const Surroundings& around) {
  Options options;
  const auto known = commands(around, options);
  CLI::App app("Ask a running greywired, check its config, make its keys.", "greywire");
  app.footer(kFooter);
  app.add_option("--socket", options.socket, "the daemon's control socket")->type_name("PATH");
  app.add_option("--site", options.site, "the site whose daemon is asked")->type_name("NAME");
  for (const auto& entry : known) {
    CLI::App* command = app.add_subcommand(entry.name, entry.help);
    add_options(*command, options);
    command->allow_extras();
  }
  app.allow_extras();
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    app.exit(help, around.out, around.err);
    return ExitCode::kDone;
  } catch (const CLI::ParseError& error) {
    return complain(around, ExitCode::kUsage, error.what());
  }
  const auto chosen = app.get_subcommands();
  const CLI::App* command = chosen.empty() ? nullptr : chosen.front();
  if (const auto rest = app.remaining(true); !rest.empty()) return reject_rest(around, rest, command, known);
  if (command == nullptr) {
    around.err << app.help();
    return ExitCode::kUsage;
  }
  for (const auto& entry : known) {
    if (command->get_name() == entry.name) return entry.perform();
  }
  return ExitCode::kUsage;
}

}  // namespace greywire::cli
