#include "overlay/cli/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <algorithm>
#include <filesystem>
#include <functional>
#include <sstream>

#include "overlay/cli/asking.h"
#include "overlay/cli/capture_command.h"
#include "overlay/cli/completion.h"
#include "overlay/cli/config_commands.h"
#include "overlay/cli/control_client.h"
#include "overlay/cli/import_command.h"
#include "overlay/cli/key_commands.h"
#include "overlay/cli/live_commands.h"
#include "overlay/cli/man_page.h"
#include "overlay/cli/mesh_commands.h"
#include "overlay/cli/render.h"
#include "overlay/config/near_miss.h"
#include "overlay/control/site_status_json.h"
#include "overlay/manual/config_page.h"

namespace greywire::cli {
namespace {

namespace json = boost::json;

constexpr char kFooter[] =
    "Exit status:\n"
    "  0  done\n"
    "  1  the answer is no: check, import, mesh or reload found errors (warnings leave it 0), diff or mesh diff found a difference, explain found that the packet is dropped, "
    "ping got no answer, confirm or rollback found no reload on trial\n"
    "  2  wrong command line or wrong input\n"
    "  3  no daemon answers, or several do and none was named\n"
    "  4  no permission\n"
    "  5  the daemon failed: an error, no answer in time, or one of another version\n"
    "  6  the output could not be written\n"
    "\n"
    "Without --socket or --site the only daemon in /run/greywire is asked.";

// `part` names the member of the answer that --json prints; empty: all of it.
template <class Report>
ExitCode show_report(const Surroundings& around, const Options& options, const json::value& answer,
                     std::string_view part, const Result<Report>& report,
                     std::string (*render)(const Report&, const Look&)) {
  if (!report) {
    return complain(around, ExitCode::kDaemonFailed,
                    fmt::format("the daemon's answer is of another version: {}", report.error().text));
  }
  if (options.json) {
    const json::value* member =
        part.empty() || !answer.is_object() ? &answer : answer.get_object().if_contains(part);
    around.out << (member == nullptr ? std::string("null") : json::serialize(*member)) << "\n";
  } else {
    around.out << render(*report, around.look());
  }
  return ExitCode::kDone;
}

// Leaves those of a name; false, after a word about it, where there is none. Without a name all stay.
template <class Report>
bool choose(const Surroundings& around, const std::string& name, std::string_view what, std::vector<Report>& reports) {
  if (name.empty()) return true;
  std::vector<std::string> names;
  for (const auto& report : reports) names.push_back(report.name);
  std::erase_if(reports, [&](const Report& report) { return report.name != name; });
  if (!reports.empty()) return true;
  const std::vector<std::string_view> known(names.begin(), names.end());
  complain(around, ExitCode::kUsage, fmt::format("there is no {} '{}'{}", what, name, config::did_you_mean(name, known)));
  return false;
}

// The status, or that of one peer or tunnel.
ExitCode status_command(const Surroundings& around, const Options& options, std::string_view part,
                        std::string (*render)(const control::SiteStatus&, const Look&)) {
  return ask(around, options, {{"command", "status"}}, [&](const json::value& answer) {
    auto status = control::site_status_from_json(answer);
    json::value shown = answer;
    if (status && !options.name.empty()) {
      const bool known = part == "peers" ? choose(around, options.name, "peer", status->peers)
                                         : choose(around, options.name, "tunnel", status->tunnels);
      if (!known) return ExitCode::kUsage;
      shown = control::to_json(*status);
    }
    return show_report(around, options, shown, part, status, render);
  });
}

ExitCode drops_command(const Surroundings& around, const Options& options) {
  return ask(around, options, {{"command", "status"}}, [&](const json::value& answer) {
    const auto status = control::site_status_from_json(answer);
    if (!status) {
      return complain(around, ExitCode::kDaemonFailed,
                      fmt::format("the daemon's answer is of another version: {}", status.error().text));
    }
    auto drops = status->drops;
    if (options.all) {
      drops = control::drop_reports(
          [&](DropReason reason) -> std::uint64_t {
            for (const auto& drop : status->drops) {
              if (drop.reason == drop_reason_name(reason)) return drop.packets;
            }
            return 0;
          },
          true);
    }
    around.out << (options.json ? json::serialize(control::to_json(drops)) + "\n" : render_drops(drops, around.look()));
    return ExitCode::kDone;
  });
}

ExitCode segments_command(const Surroundings& around, const Options& options) {
  return ask(
      around, options, {{"command", "segments"}, {"segment", options.name}},
      [&](const json::value& answer) {
        return show_report(around, options, answer, "", control::macs_from_json(answer), render_segments);
      },
      options.name.empty() ? ExitCode::kDaemonFailed : ExitCode::kUsage);
}

// The path is the daemon's to read, so it is made absolute here.
ExitCode diff_command(const Surroundings& around, const Options& options) {
  json::object request{{"command", "diff"}};
  std::error_code ignored;
  if (!options.file.empty()) request["file"] = std::filesystem::absolute(options.file, ignored).string();
  return ask(around, options, request, [&](const json::value& answer) {
    const auto report = control::reload_from_json(answer);
    const ExitCode code = show_report(around, options, answer, "", report, render_diff);
    if (code != ExitCode::kDone) return code;
    for (const auto* lines : {&report->warnings, &report->errors}) {
      for (const auto& line : *lines) around.err << line << "\n";
    }
    return report->done && report->changes.empty() ? ExitCode::kDone : ExitCode::kAnswerIsNo;
  });
}

// For completion: a name a line, nothing where nobody answers.
ExitCode names_command(const Surroundings& around, const Options& options) {
  std::ostringstream nowhere;
  const Surroundings quiet{around.in, around.out, nowhere, false, false, around.socket_directory};
  return ask(quiet, options, {{"command", "figures"}}, [&](const json::value& answer) {
    const auto status = control::site_status_from_json(answer);
    if (!status) return ExitCode::kDaemonFailed;
    const bool all = options.name == "all";
    for (const auto& peer : status->peers) {
      if ((all || options.name == "peer") && !peer.name.empty()) around.out << peer.name << "\n";
    }
    for (const auto& tunnel : status->tunnels) {
      if (all || options.name == "tunnel" || (options.name == "segment" && tunnel.segment)) around.out << tunnel.name << "\n";
    }
    return ExitCode::kDone;
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

// reload, confirm and rollback; what is wrong goes to standard error, as `check` has it. `refused`: how to end where the daemon
// says that there is nothing to confirm.
ExitCode change_command(const Surroundings& around, const Options& options, const json::object& request,
                        std::string (*render)(const control::ReloadReport&, const Look&), ExitCode refused) {
  return ask(around, options, request, [&](const json::value& answer) {
    const auto report = control::reload_from_json(answer);
    const ExitCode code = show_report(around, options, answer, "", report, render);
    if (code != ExitCode::kDone) return code;
    for (const auto* lines : {&report->warnings, &report->errors}) {
      for (const auto& line : *lines) around.err << line << "\n";
    }
    return report->done && report->errors.empty() ? ExitCode::kDone : ExitCode::kAnswerIsNo;
  }, refused);
}

ExitCode reload_command(const Surroundings& around, const Options& options) {
  json::object request{{"command", "reload"}};
  if (options.confirm != 0) request["confirm"] = options.confirm;
  return change_command(around, options, request, render_reload, ExitCode::kDaemonFailed);
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

// One row a command: what --help, the man page and completion say, and what it does.
struct Command {
  const char* name;
  const char* help;
  std::function<ExitCode()> perform;
};

std::vector<Command> commands(const Surroundings& around, const Options& options, const CLI::App& app) {
  const auto status = [&](const char* part, std::string (*render)(const control::SiteStatus&, const Look&)) {
    return [&around, &options, part, render] { return status_command(around, options, part, render); };
  };
  return {
      {"status", "Show the site: peers, allowed-IPs, tunnels, MTUs, drops", status("", render_status)},
      {"peers", "Show every peer, or one, with every prefix", status("peers", render_peers)},
      {"tunnels", "Show the GRE and GRETAP tunnels and segments, or one", status("tunnels", render_tunnels)},
      {"segments", "Show the MAC table of every L2 segment, or of one", [&] { return segments_command(around, options); }},
      {"routes", "Show the learned routes and what became of each",
       [&] { return routes_command(around, options); }},
      {"mtu", "Show every MTU and where it comes from", status("mtus", render_mtus)},
      {"drops", "Show the packets that were not delivered, by reason: what each means and what to do",
       [&] { return drops_command(around, options); }},
      {"metrics", "Print the metrics as Prometheus reads them", [&] { return metrics_command(around, options); }},
      {"top", "Show rates and round trips, again and again", [&] { return top_command(around, options); }},
      {"events", "Print what happened, a JSON object a line: handshakes, endpoints, MTUs, routes, alerts",
       [&] { return events_command(around, options); }},
      {"ping", "Ask a peer through the tunnel whether it is there, and how far it is",
       [&] { return ping_command(around, options); }},
      {"capture", "Show the packets of a peer, decrypted, or of a tunnel, or write them for Wireshark",
       [&] { return capture_command(around, options); }},
      {"explain", "Say where a packet to ADDRESS goes, and why",
       [&] { return explain_command(around, options); }},
      {"audit", "Compare what was learned, the policy and the engine, and put right what differs",
       [&] { return audit_command(around, options); }},
      {"diff", "Say what a reload would change: the daemon's config file, or FILE, against what runs",
       [&] { return diff_command(around, options); }},
      {"reload", "Make the daemon read its config file again; a file with an error changes nothing",
       [&] { return reload_command(around, options); }},
      {"confirm", "Keep what `reload --confirm` made",
       [&] { return change_command(around, options, {{"command", "confirm"}}, render_confirm, ExitCode::kAnswerIsNo); }},
      {"rollback", "Go back at once from what `reload --confirm` made",
       [&] { return change_command(around, options, {{"command", "rollback"}}, render_reload, ExitCode::kAnswerIsNo); }},
      {"frr-config", "Print neighbours, prefix-lists and maximum prefixes for bgpd, as the config FILE has them",
       [&] { return frr_config_command(around, options); }},
      {"check", "Check the config FILE without a daemon; with --host this host too", [&] { return check_command(around, options); }},
      {"import", "Make a site's config and key files of wg-quick's files and of the kernel's GRE links",
       [&] { return import_command(around, options); }},
      {"mesh", "Make every site's files of one inventory", [&] {
         std::vector<std::string> names;
         for (const CLI::App* command : shown_commands(*app.get_subcommand("mesh"))) names.push_back(command->get_name());
         return complain(around, ExitCode::kUsage, fmt::format("mesh needs a command: {}", fmt::join(names, ", ")));
       }},
      {"mesh build", "Write every site's config, FRR config and key request into a folder, and say which sites to reload",
       [&] { return mesh_build_command(around, options); }},
      {"mesh diff", "Show what mesh build would change", [&] { return mesh_diff_command(around, options); }},
      {"mesh graph", "Draw the sites and their links", [&] { return mesh_graph_command(around, options); }},
      {"mesh enroll", "At a site: make its private key where there is none, and print its public key",
       [&] { return mesh_enroll_command(around, options); }},
      {"mesh add-key", "Write a site's public key into the inventory", [&] { return mesh_add_key_command(around, options); }},
      {"mesh revoke", "Leave a site out of all others' configs from now on", [&] { return mesh_revoke_command(around, options); }},
      {"genkey", "Print a new private key", [&] { return genkey_command(around, options); }},
      {"pubkey", "Print the public key of the private key on standard input",
       [&] { return pubkey_command(around, options); }},
      {"genpsk", "Print a new preshared key", [&] { return genpsk_command(around, options); }},
      {"completion", "Print the completion for a shell: bash, zsh or fish",
       [&] {
         around.out << completion(app, options.shell);
         return ExitCode::kDone;
       }},
      {"man", "Print a manual page, for man(1): greywire, or greywire.toml",
       [&] {
         around.out << (options.page == "greywire.toml" ? manual::config_page() : man_page(app));
         return ExitCode::kDone;
       }},
      {"names", "", [&] { return names_command(around, options); }},
  };
}

bool asks_nobody(std::string_view command) {
  constexpr std::string_view kThese[] = {"check", "import", "frr-config", "mesh", "genkey", "pubkey", "genpsk", "completion", "man"};
  return std::find(std::begin(kThese), std::end(kThese), command) != std::end(kThese);
}

// Of `mesh`'s commands.
void add_mesh_options(CLI::App& command, Options& options) {
  const std::string name = command.get_name();
  if (name == "enroll" || name == "add-key" || name == "revoke") command.add_option("SITE", options.name, "the site's name")->required();
  if (name == "add-key") {
    command.add_option("KEY", options.key, "the public key that mesh enroll printed at the site")->required();
    command.add_flag("--rotate", options.rotate, "the key before goes on counting: the site has it as SITE-previous.key");
  }
  if (name == "enroll") {
    command.add_option("--key", options.key, "the private key's file; /etc/greywire/SITE.key")->type_name("FILE");
  } else {
    command.add_option("FILE", options.file, "the inventory; mesh.toml in the current folder");
  }
  if (name == "build" || name == "diff") {
    command.add_option("-o,--out", options.out, "the folder with the sites' files")->type_name("FOLDER")->required();
  }
  if (name == "graph") {
    command.add_option("--format", options.format, "dot, for Graphviz, or svg; dot")->type_name("FORMAT")->check(CLI::IsMember({"dot", "svg"}));
  }
  command.add_flag("--json", options.json, "print JSON");
}

void add_options(CLI::App& command, Options& options) {
  const std::string name = command.get_name();
  if (name == "explain") command.add_option("ADDRESS", options.address, "IPv4 or IPv6 address")->required();
  if (name == "check" || name == "frr-config") command.add_option("FILE", options.file, "the site's TOML file")->required();
  if (name == "reload") {
    command.add_option("--confirm", options.confirm, "go back by itself after so long, unless `greywire confirm` comes")
        ->type_name("SECONDS")->check(CLI::Range(1U, 86400U));
  }
  if (name == "diff") command.add_option("FILE", options.file, "a TOML file; else the daemon's own");
  if (name == "import") {
    command.add_option("FILE", options.files, "wg-quick files of this host, such as /etc/wireguard/wg0.conf")->required();
    command.add_option("--links", options.links, "GRE links too: what `ip -d -j address show` printed, '-' for standard input")->type_name("FILE");
    command.add_option("--name", options.name, "the site's name; the host's")->type_name("NAME");
    command.add_option("--out", options.out, "where to write NAME.toml and the key files; the current folder")->type_name("FOLDER");
    command.add_flag("--first-key", options.first_key, "of different private keys take the first file's");
  }
  if (name == "peers") command.add_option("PEER", options.name, "this one only");
  if (name == "tunnels") command.add_option("TUNNEL", options.name, "this one only");
  if (name == "segments") command.add_option("SEGMENT", options.name, "this one only");
  if (name == "ping") command.add_option("PEER", options.name, "the peer's name")->required();
  if (name == "capture") {
    command.add_option("PEER|TUNNEL", options.name, "a peer's packets inside its tunnel, or what goes through a tunnel's device")->required();
    command.add_option("-w,--write", options.file, "write pcapng to FILE, '-' for standard output")->type_name("FILE");
    command.add_flag("--outer", options.outer, "the peer's datagrams outside, as they are on the underlay");
  }
  if (name == "mesh") return;
  if (name == "names") command.add_option("KIND", options.name, "peer, tunnel, segment or all")->required();
  if (name == "completion") {
    command.add_option("SHELL", options.shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  }
  if (name == "man") {
    command.add_option("PAGE", options.page, "greywire or greywire.toml")->check(CLI::IsMember({"greywire", "greywire.toml"}));
  }
  if (name == "drops") command.add_flag("-a,--all", options.all, "show the reasons without a packet too");
  if (name == "events") command.add_flag("-f,--follow", options.follow, "go on with what happens from now on");
  if (name == "ping") {
    command.add_option("-s,--size", options.size, "bytes of the packet inside the tunnel")->type_name("BYTES")->check(CLI::Range(0U, 9216U));
  }
  if (name == "ping" || name == "top" || name == "capture") {
    const char* what = name == "ping" ? "so many packets; 5" : name == "top" ? "so many times; without end" : "end after so many packets";
    command.add_option("-c,--count", options.count, what)->type_name("NUMBER")->check(CLI::Range(1U, 1000000U));
  }
  if (name == "ping" || name == "top") {
    command.add_option("-i,--interval", options.interval, "seconds from one to the next; 1")
        ->type_name("SECONDS")->check(CLI::Range(0.0, 3600.0));
  }
  if (name == "check") command.add_flag("--host", options.host, "say too what of this host keeps the site from working well");
  if (name != "completion" && name != "man") command.add_flag("--json", options.json, "print JSON");
  if (asks_nobody(name)) return;
  command.add_option("--socket", options.socket, "the daemon's control socket")->type_name("PATH");
  command.add_option("--site", options.site, "the site whose daemon is asked")->type_name("NAME");
  if (name == "names") command.group("");
}

ExitCode reject_rest(const Surroundings& around, const std::vector<std::string>& rest,
                     const CLI::App* command, const std::vector<Command>& known) {
  const std::string& word = rest.front();
  if (word.starts_with("-")) {
    std::vector<std::string> options{"--socket", "--site", "--help"};
    if (command != nullptr) options = option_names(*command);
    const std::vector<std::string_view> known_options(options.begin(), options.end());
    return complain(around, ExitCode::kUsage,
                    fmt::format("unknown option '{}'{}", word, config::did_you_mean(word, known_options)));
  }
  if (command != nullptr) {
    std::vector<std::string_view> nested;
    for (const CLI::App* one : shown_commands(*command)) nested.emplace_back(one->get_name());
    if (!nested.empty()) {
      const auto hint = config::did_you_mean(word, nested);
      return complain(around, ExitCode::kUsage, fmt::format("unknown command '{} {}'{}", command->get_name(), word,
                                                            hint.empty() ? fmt::format("; known: {}", fmt::join(nested, ", ")) : hint));
    }
    return complain(around, ExitCode::kUsage,
                    fmt::format("'{}' takes no further argument '{}'", command->get_name(), word));
  }
  std::vector<std::string_view> names;
  for (const auto& entry : known) {
    const bool nested = std::string_view(entry.name).find(' ') != std::string_view::npos;
    if (*entry.help != 0 && !nested) names.emplace_back(entry.name);
  }
  const auto hint = config::did_you_mean(word, names);
  return complain(around, ExitCode::kUsage,
                  fmt::format("unknown command '{}'{}", word,
                              hint.empty() ? fmt::format("; known: {}", fmt::join(names, ", ")) : hint));
}

}  // namespace

ExitCode run(int argc, const char* const* argv, const Surroundings& around) {
  Options options;
  CLI::App app("Ask a running greywired, check its config, make its keys.", "greywire");
  const auto known = commands(around, options, app);
  app.footer(kFooter);
  app.add_option("--socket", options.socket, "the daemon's control socket")->type_name("PATH");
  app.add_option("--site", options.site, "the site whose daemon is asked")->type_name("NAME");
  for (const auto& entry : known) {
    const std::string_view name(entry.name);
    const auto space = name.find(' ');
    if (space == name.npos) {
      CLI::App* command = app.add_subcommand(entry.name, entry.help);
      add_options(*command, options);
      command->allow_extras();
      continue;
    }
    CLI::App* parent = app.get_subcommand(std::string(name.substr(0, space)));
    CLI::App* command = parent->add_subcommand(std::string(name.substr(space + 1)), entry.help);
    add_mesh_options(*command, options);
    command->allow_extras();
    parent->require_subcommand(0, 1);
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
  std::string name = command == nullptr ? "" : command->get_name();
  if (command != nullptr && !command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    name += " " + command->get_name();
  }
  if (name.starts_with("mesh") && options.file.empty()) options.file = "mesh.toml";
  if (const auto rest = app.remaining(true); !rest.empty()) return reject_rest(around, rest, command, known);
  if (command == nullptr) {
    around.err << app.help();
    return ExitCode::kUsage;
  }
  for (const auto& entry : known) {
    if (name == entry.name) return entry.perform();
  }
  return ExitCode::kUsage;
}

}  // namespace greywire::cli
