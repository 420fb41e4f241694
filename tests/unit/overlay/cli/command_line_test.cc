#include "overlay/cli/command_line.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "overlay/cli/control_client.h"
#include "overlay/config/schema.h"
#include "overlay/control/control_api.h"
#include "overlay/control/event_log.h"
#include "overlay/control/local_socket.h"
#include "overlay/control/site_status_json.h"
#include "tests/net/lib/local_socket_client.h"
#include "tests/net/lib/sample_status.h"
#include "tests/unit/overlay/documents.h"

namespace greywire::cli {
namespace {

using testing::ControlThread;
using testing::TemporaryDirectory;

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

Outcome greywire(std::vector<const char*> arguments, const std::string& directory,
                 const std::string& input = {}) {
  arguments.insert(arguments.begin(), "greywire");
  std::istringstream in(input);
  std::ostringstream out, err;
  const auto code =
      run(static_cast<int>(arguments.size()), arguments.data(), {in, out, err, false, false, directory});
  return {static_cast<int>(code), out.str(), err.str()};
}

constexpr char kInventory[] = R"([mesh]
topology = "hub"
overlay  = "10.255.0.0/24"

[[site]]
name       = "ams"
number     = 1
public_key = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
endpoint   = "192.0.2.1:51820"
networks   = "10.1.0.0/16"
hub        = true

[[site]]
name     = "fra"
number   = 2
networks = "10.2.0.0/16"
)";

// A daemon that answers with the sample site.
class FakeDaemon {
 public:
  explicit FakeDaemon(const std::string& path) {
    api_.add_command("status", [](const boost::json::object&) -> Result<boost::json::value> {
      return control::to_json(testing::sample_status());
    });
    api_.add_command("routes", [](const boost::json::object&) -> Result<boost::json::value> {
      return control::to_json(control::RoutesReport{
          {{*Prefix::parse("10.2.0.0/16"), {"10.255.0.2"}, "fra", "accepted", ""},
           {*Prefix::parse("192.0.2.0/24"), {"10.255.0.2"}, "fra", "refused", "outside accept"}}});
    });
    api_.add_command("figures", [](const boost::json::object&) -> Result<boost::json::value> {
      return control::to_json(testing::sample_status());
    });
    api_.add_command("segments", [](const boost::json::object& request) -> Result<boost::json::value> {
      if (request.at("segment").as_string() == "lan-sge") return Error{"there is no segment 'lan-sge'; did you mean 'lan-seg'?"};
      return control::to_json(std::vector<control::MacReport>{
          {"lan-seg", "02:00:5e:10:00:01", 20, "fra", std::chrono::seconds(5)}, {"lan-seg", "02:00:5e:10:00:02", 0, "local", {}}});
    });
    api_.add_command("events", [](const boost::json::object& request) -> Result<boost::json::value> {
      control::EventLog log;
      log.add("peer", {1767323045, 678'900'000}, {{"peer", "fra"}, {"state", "up"}});
      return boost::json::value(log.since(request.at("after").to_number<std::uint64_t>()));
    });
    api_.add_command("ping", [](const boost::json::object& request) -> Result<boost::json::value> {
      if (request.at("peer").as_string() != "fra") return Error{"there is no peer 'far'; did you mean 'fra'?"};
      return boost::json::value(boost::json::object{{"id", 1}});
    });
    api_.add_command("pong", [](const boost::json::object&) -> Result<boost::json::value> {
      return boost::json::value(boost::json::object{{"round_trip_nanoseconds", 420'000}});
    });
    api_.add_command("diff", [](const boost::json::object& request) -> Result<boost::json::value> {
      const bool other = request.contains("file");
      return control::to_json(control::ReloadReport{true, other ? std::vector<std::string>{"peer fra changed: endpoint"} : std::vector<std::string>{}, {}, {}, {}});
    });
    api_.add_command("metrics", [](const boost::json::object&) -> Result<boost::json::value> {
      return boost::json::value("# TYPE greywire_uptime_seconds gauge\n");
    });
    api_.add_command("explain", [](const boost::json::object& request) -> Result<boost::json::value> {
      control::ExplainReport report;
      report.address = *IpAddress::parse(request.at("address").as_string().c_str());
      report.delivered = report.address.is_v4();
      report.peer = report.delivered ? "fra" : "";
      report.match = *Prefix::parse("10.2.0.0/16");
      report.origin = "learned";
      report.drop_reason = report.delivered ? "" : "no_peer";
      report.steps = {"looked up"};
      return control::to_json(report);
    });
    api_.add_command("reload", [](const boost::json::object& request) -> Result<boost::json::value> {
      if (const auto* wait = request.if_contains("confirm"); wait != nullptr) {
        return control::to_json(control::ReloadReport{true, {"peer fra added"}, {}, {}, std::chrono::seconds(wait->to_number<int>())});
      }
      return control::to_json(control::ReloadReport{false, {}, {"a.toml:3:1: warning: w"}, {"a.toml:7:1: unknown key"}, {}});
    });
    api_.add_command("audit", [](const boost::json::object&) -> Result<boost::json::value> { return control::to_json(control::AuditReport{}); });
    api_.add_command("confirm", [](const boost::json::object&) -> Result<boost::json::value> {
      return Error{"no reload waits for confirmation"};
    });
    api_.add_command("rollback", [](const boost::json::object&) -> Result<boost::json::value> {
      return control::to_json(control::ReloadReport{true, {"peer fra removed"}, {}, {}, {}});
    });
    thread_.run([&] { ASSERT_TRUE(api_.listen(thread_.io, path)); });
  }
  ~FakeDaemon() {
    thread_.run([&] { api_.stop(); });
  }

 private:
  control::ControlApi api_;
  ControlThread thread_;
};

TEST(CommandLine, MistakesAreNamed) {
  TemporaryDirectory none;
  const struct {
    std::vector<const char*> arguments;
    int code;
    std::string message;
  } cases[] = {
      {{"stauts"}, 2, "greywire: unknown command 'stauts'; did you mean 'status'?\n"},
      {{"tunnel"}, 2, "greywire: unknown command 'tunnel'; did you mean 'tunnels'?\n"},
      {{"zzz"},
       2,
       "greywire: unknown command 'zzz'; known: status, peers, tunnels, segments, routes, mtu, drops, "
       "metrics, top, events, ping, capture, explain, audit, diff, reload, confirm, rollback, frr-config, check, import, mesh, genkey, pubkey, genpsk, completion, man\n"},
      {{"status", "--jsno"}, 2, "greywire: unknown option '--jsno'; did you mean '--json'?\n"},
      {{"status", "fra"}, 2, "greywire: 'status' takes no further argument 'fra'\n"},
      {{"explain"}, 2, "greywire: ADDRESS is required\n"},
      {{"explain", "10.0.0"}, 2, "greywire: '10.0.0' is not an IP address\n"},
      {{"check", "/nonexistent"}, 2, "greywire: cannot read /nonexistent: No such file or directory\n"},
      {{"pubkey"},
       2,
       "greywire: standard input holds no private key: expected one line of 44 characters of base64\n"},
      {{"status"},
       3,
       "greywire: no daemon is running: no socket in " + none.path() +
           "; start one with 'greywired --config FILE', or name its socket with --socket\n"},
      {{"--site", "ams", "status"},
       3,
       "greywire: no daemon is running: " + (none / "ams.sock") +
           " does not exist; start one with 'greywired --config FILE'\n"},
  };
  for (const auto& c : cases) {
    const auto outcome = greywire(c.arguments, none.path());
    EXPECT_EQ(outcome.code, c.code) << c.message;
    EXPECT_EQ(outcome.err, c.message);
    EXPECT_EQ(outcome.out, "") << c.message;
  }
  EXPECT_EQ(greywire({}, none.path()).code, 2);
}

TEST(CommandLine, HelpDocumentsCommandsAndExitCodes) {
  const auto help = greywire({"--help"}, "/");
  EXPECT_EQ(help.code, 0);
  for (const char* text : {"status", "peers", "tunnels", "routes", "mtu", "drops", "explain", "reload", "check",
                           "genkey", "pubkey", "genpsk", "Exit status:", "  3  no daemon answers"}) {
    EXPECT_NE(help.out.find(text), std::string::npos) << text;
  }
}

TEST(CommandLine, AReloadOnTrialSaysHowLong) {
  TemporaryDirectory directory;
  FakeDaemon daemon(directory / "ams.sock");
  const auto reload = greywire({"reload", "--confirm", "60"}, directory.path());
  EXPECT_EQ(reload.code, 0);
  EXPECT_EQ(reload.out, "peer fra added\non trial: gone back from in 60 s unless `greywire confirm` comes\n");
  for (const char* wrong : {"0", "-1", "86401", "soon"}) {
    EXPECT_EQ(greywire({"reload", "--confirm", wrong}, directory.path()).code, 2) << wrong;
  }
  const auto confirm = greywire({"confirm"}, directory.path());
  EXPECT_EQ(confirm.code, 1);
  EXPECT_EQ(confirm.err, "greywire: no reload waits for confirmation\n");
  const auto back = greywire({"rollback"}, directory.path());
  EXPECT_EQ(back.code, 0);
  EXPECT_EQ(back.out, "peer fra removed\n");
}

TEST(CommandLine, ARefusedReloadSaysWhyAndEndsWithOne) {
  TemporaryDirectory directory;
  FakeDaemon daemon(directory / "ams.sock");
  const auto reload = greywire({"reload"}, directory.path());
  EXPECT_EQ(reload.code, 1);
  EXPECT_EQ(reload.out, "nothing was changed\n");
  EXPECT_EQ(reload.err, "a.toml:3:1: warning: w\na.toml:7:1: unknown key\n");
}

TEST(CommandLine, StatusShowsThePeersByNameAndPrefixesApart) {
  TemporaryDirectory directory;
  FakeDaemon daemon(directory / "ams.sock");
  const auto status = greywire({"status"}, directory.path());
  EXPECT_EQ(status.code, 0) << status.err;
  for (const char* line :
       {"ams: gw0 on UDP port 51820, up 1h 2m\n",
        "PEER  STATE  ENDPOINT            HANDSHAKE       RTT  RECEIVED      SENT   MTU\n",
        "fra   alive  198.51.100.2:51820  1m 12s ago  1.23 ms   1.4 MiB  16.0 EiB  1420\n",
        "nyc   dead   -                   never             -       0 B       0 B     -\n",
        "fra          static       2  10.255.0.2/32, fd00:255::2/128\n",
        "fra          learned      1  10.2.0.0/16\n", "fra          refused      1  192.0.2.0/24\n",
        "tap-fra  gretap  fra   up", "bad_tag  data that does not",
        "routing     zebra synced (FRR 8.2 to 8.5): 12 learned, 10 accepted, 2 refused, 4 unresolved"}) {
    EXPECT_NE(status.out.find(line), std::string::npos) << line << "\n" << status.out;
  }
  EXPECT_EQ(status.out.find('\x1b'), std::string::npos);
}

TEST(CommandLine, EveryViewAnswersInBothForms) {
  TemporaryDirectory directory;
  FakeDaemon daemon(directory / "ams.sock");
  const auto socket = directory / "ams.sock";
  const struct {
    const char* command;
    const char* in_text;
    const char* in_json;
  } cases[] = {
      {"status", "ams: gw0", "{\"site\":\"ams\""},
      {"peers", "  learned     10.2.0.0/16\n", "[{\"name\":\"fra\""},
      {"tunnels", "tap-fra", "[{\"name\":\"tap-fra\",\"kind\":\"gretap\""},
      {"routes", "192.0.2.0/24  fra   refused   10.255.0.2  outside accept\n",
       "[{\"prefix\":\"10.2.0.0/16\""},
      {"mtu", "gw0   device  1420  1500        80", "[{\"name\":\"gw0\""},
      {"mtu", "fra      complete    1400    1400   1500  12s ago  a router said so\n", "[{\"name\":\"gw0\""},
      {"metrics", "# TYPE greywire_uptime_seconds gauge\n", "\"# TYPE"},
      {"drops", "bad_tag        7  data that does not authenticate  look for a middlebox\n", "[{\"reason\":\"bad_tag\""},
      {"segments", "lan-seg  02:00:5e:10:00:01    20  fra    5s ago\n", "[{\"segment\":\"lan-seg\",\"mac\":\"02:00:5e:10:00:01\""},
  };
  for (const auto& c : cases) {
    const auto text = greywire({c.command, "--socket", socket.c_str()}, "/nonexistent");
    EXPECT_EQ(text.code, 0) << text.err;
    EXPECT_NE(text.out.find(c.in_text), std::string::npos) << c.command << "\n" << text.out;
    const auto json = greywire({c.command, "--json", "--site", "ams"}, directory.path());
    EXPECT_EQ(json.code, 0) << json.err;
    EXPECT_TRUE(json.out.starts_with(c.in_json)) << c.command << "\n" << json.out;
    EXPECT_TRUE(json.out.ends_with("\n")) << c.command;
    EXPECT_NO_THROW(boost::json::parse(json.out)) << c.command;
  }
}

TEST(CommandLine, OnePeerOrTunnelIsChosenByName) {
  TemporaryDirectory directory;
  FakeDaemon daemon(directory / "ams.sock");
  const auto one = greywire({"peers", "nyc"}, directory.path());
  EXPECT_EQ(one.code, 0);
  EXPECT_TRUE(one.out.starts_with("nyc: dead\n")) << one.out;
  const auto json = greywire({"peers", "fra", "--json"}, directory.path());
  EXPECT_EQ(boost::json::parse(json.out).as_array().size(), 1U);
  const struct {
    std::vector<const char*> arguments;
    const char* error;
  } unknown[] = {
      {{"peers", "fre"}, "greywire: there is no peer 'fre'; did you mean 'fra'?\n"},
      {{"tunnels", "tap-fa"}, "greywire: there is no tunnel 'tap-fa'; did you mean 'tap-fra'?\n"},
      {{"segments", "lan-sge"}, "greywire: there is no segment 'lan-sge'; did you mean 'lan-seg'?\n"},
      {{"ping", "far"}, "greywire: there is no peer 'far'; did you mean 'fra'?\n"},
  };
  for (const auto& c : unknown) {
    const auto outcome = greywire(c.arguments, directory.path());
    EXPECT_EQ(outcome.code, 2) << c.error;
    EXPECT_EQ(outcome.err, c.error);
    EXPECT_EQ(outcome.out, "");
  }
}

TEST(CommandLine, AllDropsAreExplained) {
  TemporaryDirectory directory;
  FakeDaemon daemon(directory / "ams.sock");
  const auto all = boost::json::parse(greywire({"drops", "--all", "--json"}, directory.path()).out).as_array();
  ASSERT_EQ(all.size(), kDropReasonCount);
  EXPECT_EQ(all[0].at("reason").as_string(), "bad_tag");
  EXPECT_EQ(all[0].at("packets").to_number<int>(), 7);
  for (const auto& drop : all) EXPECT_FALSE(drop.at("advice").as_string().empty());
}

TEST(CommandLine, EventsAreJsonLines) {
  TemporaryDirectory directory;
  FakeDaemon daemon(directory / "ams.sock");
  const auto events = greywire({"events"}, directory.path());
  EXPECT_EQ(events.code, 0) << events.err;
  EXPECT_EQ(events.out,
            "{\"sequence\":1,\"time\":\"2026-01-02T03:04:05.678Z\",\"event\":\"peer\",\"peer\":\"fra\",\"state\":\"up\"}\n");
}

TEST(CommandLine, PingAndTopSayHowFarAndHowMuch) {
  TemporaryDirectory directory;
  FakeDaemon daemon(directory / "ams.sock");
  const auto ping = greywire({"ping", "fra", "-c", "2", "-i", "0"}, directory.path());
  EXPECT_EQ(ping.code, 0) << ping.err;
  EXPECT_EQ(ping.out,
            "fra at 198.51.100.2:51820: takes 1340 bytes inside, 1400 outside\n1: 0.42 ms\n2: 0.42 ms\n"
            "2 sent, 2 answered; round trip 0.42 ms at least, 0.42 on average, 0.42 at most\n");
  const auto json = boost::json::parse(greywire({"ping", "fra", "-c", "1", "--json"}, directory.path()).out);
  EXPECT_EQ(json.at("answered").to_number<int>(), 1);
  EXPECT_EQ(json.at("inner_mtu").to_number<int>(), 1340);
  EXPECT_EQ(greywire({"ping", "fra", "-s", "70000"}, directory.path()).code, 2);
  const auto top = greywire({"top", "-c", "1", "-i", "0.01"}, directory.path());
  EXPECT_EQ(top.code, 0) << top.err;
  EXPECT_NE(top.out.find("fra   alive  1.23 ms  0.0 bit/s  0.0 bit/s"), std::string::npos) << top.out;
}

TEST(CommandLine, DiffSaysByItsExitCodeWhetherThereIsOne) {
  TemporaryDirectory directory;
  FakeDaemon daemon(directory / "ams.sock");
  const auto same = greywire({"diff"}, directory.path());
  EXPECT_EQ(same.code, 0);
  EXPECT_EQ(same.out, "the file says what runs\n");
  const auto other = greywire({"diff", "other.toml"}, directory.path());
  EXPECT_EQ(other.code, 1);
  EXPECT_EQ(other.out, "peer fra changed: endpoint\n");
}

TEST(CommandLine, NamesAreForCompletion) {
  TemporaryDirectory directory;
  FakeDaemon daemon(directory / "ams.sock");
  EXPECT_EQ(greywire({"names", "peer"}, directory.path()).out, "fra\nnyc\n");
  EXPECT_EQ(greywire({"names", "tunnel"}, directory.path()).out, "tap-fra\n");
  EXPECT_EQ(greywire({"names", "all"}, directory.path()).out, "fra\nnyc\ntap-fra\n");
  TemporaryDirectory none;
  EXPECT_EQ(greywire({"names", "peer"}, none.path()).err, "");
}

TEST(CommandLine, ManPageAndCompletionsHaveEveryCommand) {
  const auto page = greywire({"man"}, "/").out;
  EXPECT_TRUE(page.starts_with(".TH GREYWIRE 1")) << page;
  for (const char* command : {"status", "peers", "segments", "drops", "top", "events", "ping", "diff", "genpsk", "completion"}) {
    EXPECT_NE(page.find(std::string(".SS \\fBgreywire ") + command), std::string::npos) << command;
    for (const char* shell : {"bash", "zsh", "fish"}) {
      EXPECT_NE(greywire({"completion", shell}, "/").out.find(command), std::string::npos) << shell << " " << command;
    }
  }
  for (const char* nested : {"build", "diff", "graph", "enroll", "add\\-key", "revoke"}) {
    EXPECT_NE(page.find(std::string(".SS \\fBgreywire mesh ") + nested), std::string::npos) << nested;
  }
  EXPECT_NE(greywire({"completion", "bash"}, "/").out.find("\"mesh build\") words=\""), std::string::npos);
  EXPECT_NE(greywire({"completion", "fish"}, "/").out.find("'__fish_seen_subcommand_from mesh; and __fish_seen_subcommand_from build'"),
            std::string::npos);
  EXPECT_EQ(page.find("greywire names"), std::string::npos) << "it is for completion alone";
  EXPECT_NE(page.find(".SH EXIT STATUS\n.TP\n\\fB0\\fR\ndone\n"), std::string::npos) << page;
  EXPECT_EQ(greywire({"completion", "csh"}, "/").code, 2);
}

TEST(CommandLine, TheConfigsManPageHasEverySectionAndKey) {
  const auto page = greywire({"man", "greywire.toml"}, "/").out;
  EXPECT_TRUE(page.starts_with(".TH GREYWIRE.TOML 5")) << page;
  for (const auto& section : config::sections()) {
    EXPECT_NE(page.find(std::string(".SH ") + std::string(section.header)), std::string::npos) << section.header;
    for (const auto& key : section.keys) EXPECT_NE(page.find("\n\\fB" + std::string(key.name) + "\\fR\n"), std::string::npos) << key.name;
  }
  EXPECT_EQ(page.find('`'), std::string::npos) << "Markdown";
  EXPECT_TRUE(std::all_of(page.begin(), page.end(), [](char c) { return static_cast<unsigned char>(c) < 128; }));
  EXPECT_EQ(greywire({"man", "grywire"}, "/").code, 2);
}

TEST(CommandLine, DocsNameEveryCommandAndExitCode) {
  const auto text = testing::read_text(testing::in_tree("docs/cli.md"));
  std::istringstream page(greywire({"man"}, "/").out);
  for (std::string line; std::getline(page, line);) {
    constexpr std::string_view kCommand = ".SS \\fBgreywire ";
    if (!line.starts_with(kCommand)) continue;
    auto name = line.substr(kCommand.size(), line.find("\\fR", kCommand.size()) - kCommand.size());
    std::erase(name, '\\');  // "add\-key"
    EXPECT_NE(text.find("greywire " + name), std::string::npos) << name;
  }
  for (int code = 0; code <= static_cast<int>(ExitCode::kCannotWrite); ++code) {
    EXPECT_NE(text.find("| " + std::to_string(code) + " |"), std::string::npos) << code;
  }
}

// In 40 columns nothing is cut off, and no line is longer but a word that is.
TEST(CommandLine, ANarrowTerminalGetsParagraphs) {
  TemporaryDirectory directory;
  FakeDaemon daemon(directory / "ams.sock");
  for (const char* command : {"status", "peers", "tunnels", "segments", "routes", "mtu", "drops"}) {
    const char* arguments[] = {"greywire", command};
    std::istringstream in;
    std::ostringstream out, err;
    Surroundings narrow{in, out, err, false, false, directory.path()};
    narrow.columns = 40;
    EXPECT_EQ(run(2, arguments, narrow), ExitCode::kDone) << command;
    std::istringstream lines(out.str());
    for (std::string line; std::getline(lines, line);) {
      if (line.size() <= 40) continue;
      const auto text = line.find_last_of(' ') + 1;
      EXPECT_TRUE(line.size() - text > 20) << command << ": " << line;
    }
  }
}

TEST(CommandLine, ExplainSaysNoByItsExitCode) {
  TemporaryDirectory directory;
  FakeDaemon daemon(directory / "ams.sock");
  const auto yes = greywire({"explain", "10.2.3.4"}, directory.path());
  EXPECT_EQ(yes.code, 0);
  EXPECT_EQ(yes.out, "10.2.3.4 goes to peer fra, by 10.2.0.0/16 (learned)\n  1. looked up\n");
  const auto no = greywire({"explain", "fd00::1"}, directory.path());
  EXPECT_EQ(no.code, 1);
  EXPECT_TRUE(no.out.starts_with("fd00::1 is dropped: no_peer"));
}

TEST(CommandLine, SeveralSitesAreListedAndStaleSocketsDoNotCount) {
  TemporaryDirectory directory;
  FakeDaemon ams(directory / "ams.sock");
  auto stale = control::bind_local_socket(directory / "old.sock", 0700);
  ASSERT_TRUE(stale);
  ::close(stale->fd);
  EXPECT_EQ(greywire({"status"}, directory.path()).code, 0);
  {
    FakeDaemon fra(directory / "fra.sock");
    const auto which = greywire({"status"}, directory.path());
    EXPECT_EQ(which.code, 3);
    EXPECT_EQ(which.err, "greywire: several sites run here: ams, fra; name one with --site\n");
    EXPECT_EQ(greywire({"status", "--site", "fra"}, directory.path()).code, 0);
  }
  const auto dead = greywire({"status", "--site", "old"}, directory.path());
  EXPECT_EQ(dead.code, 3);
  EXPECT_NE(dead.err.find("is not running any more"), std::string::npos) << dead.err;
}

// What answers is no Greywire, or says no, or nothing.
TEST(ControlClient, BadAnswers) {
  const struct {
    const char* reply;
    int code;
    const char* text;
  } cases[] = {
      {"{\"ok\":false,\"error\":\"no such thing\"}\n", 0, "no such thing"},
      {"{\"ok\":false}\n", EPROTO, "the daemon refused without a reason"},
      {"hello\n", EPROTO, "is not a Greywire control socket"},
      {"[]\n", EPROTO, "is not a Greywire control socket"},
      {"{\"ok\":tr", ETIMEDOUT, "does not answer"},
      {"", ETIMEDOUT, "does not answer"},
  };
  for (const auto& c : cases) {
    TemporaryDirectory directory;
    auto bound = control::bind_local_socket(directory / "x.sock", 0700);
    ASSERT_TRUE(bound);
    std::thread server([&] {
      pollfd waiting{bound->fd, POLLIN, 0};
      ::poll(&waiting, 1, 10000);
      const int client = ::accept(bound->fd, nullptr, nullptr);
      char byte = 0;
      while (::recv(client, &byte, 1, 0) == 1 && byte != '\n') {
      }
      ::send(client, c.reply, std::strlen(c.reply), MSG_NOSIGNAL);
      ::recv(client, &byte, 1, 0);  // until the client gives up or is content
      ::close(client);
    });
    // Long where there is an answer: a machine that stops for a moment must not turn it into none.
    const std::chrono::milliseconds patience(c.code == ETIMEDOUT ? 300 : 30'000);
    const auto result = ask_daemon(directory / "x.sock", {{"command", "status"}}, patience);
    server.join();
    ::close(bound->fd);
    ASSERT_FALSE(result) << c.reply;
    EXPECT_EQ(result.error().code, c.code) << c.reply;
    EXPECT_NE(result.error().text.find(c.text), std::string::npos) << result.error().text;
  }
}

TEST(KeyCommands, MakeKeysThatFitTogether) {
  // The example of RFC 7748 §6.1, Alice.
  const auto known = greywire({"pubkey"}, "/", "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n");
  EXPECT_EQ(known.out, "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n");
  const auto key = greywire({"genkey"}, "/");
  EXPECT_EQ(key.out.size(), 45U);
  EXPECT_NE(key.out, greywire({"genkey"}, "/").out);
  EXPECT_EQ(greywire({"pubkey"}, "/", key.out).out.size(), 45U);
  EXPECT_EQ(greywire({"genpsk"}, "/").out.size(), 45U);
}

TEST(KeyCommands, WarnWhereOthersCanReadTheFile) {
  std::istringstream in;
  std::ostringstream out, err;
  const char* arguments[] = {"greywire", "genkey"};
  run(2, arguments, {in, out, err, false, true, "/"});
  EXPECT_EQ(err.str(), "greywire: warning: the key goes into a file that others can read; chmod 600 it\n");
}

TEST(CheckCommand, SaysWhatIsWrongAndThatAllIsWell) {
  TemporaryDirectory directory;
  const auto key = directory / "ams.key";
  std::ofstream(key) << greywire({"genkey"}, "/").out;
  ASSERT_EQ(::chmod(key.c_str(), 0600), 0);
  const auto good = directory / "good.toml";
  std::ofstream(good) << "[site]\nname = \"ams\"\nprivate_key_file = \"" << key
                      << "\"\noverlay_address = [\"10.255.0.1\"]\n";
  const auto fine = greywire({"check", good.c_str()}, "/");
  EXPECT_EQ(fine.code, 0) << fine.err;
  EXPECT_EQ(fine.out, good + ": ok, site ams: peers 0, tunnels 0\n");
  const auto bad = directory / "bad.toml";
  std::ofstream(bad) << "[site]\nnmae = \"ams\"\n";
  const auto wrong = greywire({"check", bad.c_str()}, "/");
  EXPECT_EQ(wrong.code, 1);
  EXPECT_EQ(wrong.out, "");
  EXPECT_NE(wrong.err.find(bad + ":2:"), std::string::npos) << wrong.err;
  EXPECT_NE(wrong.err.find("did you mean 'name'?"), std::string::npos) << wrong.err;
}

TEST(CheckCommand, LooksAtTheHostWhereAsked) {
  TemporaryDirectory directory;
  const auto key = directory / "ams.key", file = directory / "ams.toml";
  std::ofstream(key) << greywire({"genkey"}, "/").out;
  ASSERT_EQ(::chmod(key.c_str(), 0600), 0);
  std::ofstream(file) << "[site]\nname = \"ams\"\nprivate_key_file = \"" << key << "\"\noverlay_address = \"10.255.0.1\"\n";
  std::filesystem::create_directories(directory / "proc/sys/net/ipv4");
  std::filesystem::create_directories(directory / "dev/net");
  std::ofstream(directory / "proc/sys/net/ipv4/ip_forward") << "0\n";
  std::ofstream(directory / "dev/net/tun") << "";
  const auto check = [&](std::vector<const char*> arguments) {
    std::istringstream in;
    std::ostringstream out, err;
    Surroundings around{in, out, err};
    around.host_root = directory.path();
    arguments.insert(arguments.begin(), {"greywire", "check", file.c_str()});
    const auto code = run(static_cast<int>(arguments.size()), arguments.data(), around);
    return Outcome{static_cast<int>(code), out.str(), err.str()};
  };
  EXPECT_EQ(check({}).err.find("host:"), std::string::npos);
  const auto warned = check({"--host"});
  EXPECT_EQ(warned.code, 0);
  EXPECT_NE(warned.err.find("\nhost: warning: net.ipv4.ip_forward: is 0"), std::string::npos) << warned.err;
  EXPECT_EQ(warned.out, file + ": ok, site ams: peers 0, tunnels 0\n");
  std::filesystem::remove(directory / "dev/net/tun");
  const auto failed = check({"--host", "--json"});
  EXPECT_EQ(failed.code, 1);
  const auto seen = boost::json::parse(failed.out);
  EXPECT_FALSE(seen.at("ok").as_bool());
  EXPECT_EQ(seen.at("host").as_array().size(), 2U);
  EXPECT_EQ(seen.at("host").at(0).at("what").as_string(), "/dev/net/tun");
  EXPECT_TRUE(seen.at("host").at(0).at("fatal").as_bool());
}

// From an inventory with a site that has no key yet to one that it is in, and out of again.
TEST(MeshCommands, ASiteComesAndGoes) {
  TemporaryDirectory directory;
  const auto file = directory / "mesh.toml", out = directory / "out", key = directory / "fra.key";
  std::ofstream(file) << kInventory;
  const auto build = [&] { return greywire({"mesh", "build", file.c_str(), "-o", out.c_str()}, "/"); };
  const auto diff = [&] { return greywire({"mesh", "diff", file.c_str(), "-o", out.c_str()}, "/"); };
  const auto first = build();
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_NE(first.out.find("new " + out + "/ams/ams.toml\n"), std::string::npos) << first.out;
  EXPECT_NE(first.out.find("not enrolled yet: fra\n"), std::string::npos) << first.out;
  EXPECT_EQ(diff().code, 0);

  const auto line = greywire({"mesh", "enroll", "fra", "--key", key.c_str()}, "/");
  EXPECT_EQ(line.code, 0) << line.err;
  ASSERT_EQ(line.out.size(), 4 + 44 + 1U) << line.out;
  EXPECT_EQ(greywire({"mesh", "enroll", "fra", "--key", key.c_str()}, "/").out, line.out) << "the key stays";
  struct stat made {};
  ASSERT_EQ(::stat(key.c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 0777, 0600U);

  const auto public_key = line.out.substr(4, 44);
  EXPECT_EQ(greywire({"mesh", "add-key", "fra", public_key.c_str(), file.c_str()}, "/").code, 0);
  const auto seen = diff();
  EXPECT_EQ(seen.code, 1);
  EXPECT_NE(seen.out.find("--- a/ams/ams.toml\n+++ b/ams/ams.toml\n"), std::string::npos) << seen.out;
  EXPECT_NE(seen.out.find(public_key), std::string::npos) << seen.out;
  EXPECT_NE(seen.out.find("sites to reload: ams\n"), std::string::npos) << seen.out << "fra's own config is as it was";
  EXPECT_EQ(build().code, 0);
  EXPECT_EQ(diff().out, "");
  EXPECT_NE(build().out.find(out + " is as " + file + " says\n"), std::string::npos);

  const auto second = greywire({"mesh", "enroll", "fra", "--key", (key + "2").c_str()}, "/").out.substr(4, 44);
  EXPECT_EQ(greywire({"mesh", "add-key", "fra", second.c_str(), "--rotate", file.c_str()}, "/").code, 0);
  const auto rotating = build();
  EXPECT_NE(rotating.out.find("sites to reload: ams, fra\n"), std::string::npos) << rotating.out;
  EXPECT_NE(testing::read_text(out + "/fra/fra.toml").find("previous_key_file = \"fra-previous.key\""), std::string::npos);
  EXPECT_NE(testing::read_text(out + "/ams/ams.toml").find(second), std::string::npos);

  EXPECT_EQ(greywire({"mesh", "revoke", "fra", file.c_str()}, "/").code, 0);
  const auto last = build();
  EXPECT_NE(last.out.find("removed " + out + "/fra/fra.toml\n"), std::string::npos) << last.out;
  EXPECT_FALSE(std::filesystem::exists(out + "/fra"));
  EXPECT_TRUE(testing::read_text(file).starts_with(std::string(kInventory).substr(0, 200))) << "the rest of it is as it was";
}

TEST(MeshCommands, MistakesAreNamed) {
  TemporaryDirectory directory;
  const auto file = directory / "mesh.toml", none = directory / "none.toml";
  std::ofstream(file) << kInventory << "nmber = 3\n";
  const struct {
    std::vector<const char*> arguments;
    int code;
    const char* said;
  } cases[] = {
      {{"mesh"}, 2, "mesh needs a command: build, diff, graph, enroll, add-key, revoke"},
      {{"mesh", "biuld"}, 2, "unknown command 'mesh biuld'; did you mean 'build'?"},
      {{"mesh", "build", file.c_str()}, 2, "--out"},
      {{"mesh", "build", file.c_str(), "-o", "/nowhere"}, 1, "unknown key 'nmber'"},
      {{"mesh", "graph", none.c_str()}, 2, "none.toml"},
      {{"mesh", "graph", file.c_str(), "--format", "png"}, 2, "png"},
      {{"mesh", "add-key", "fra", "AAAA", file.c_str()}, 2, "'AAAA' is no public key"},
      {{"mesh", "enroll", "a/b"}, 2, "the site's name"},
  };
  for (const auto& c : cases) {
    const auto outcome = greywire(c.arguments, "/");
    EXPECT_EQ(outcome.code, c.code) << c.said << ": " << outcome.err;
    EXPECT_NE(outcome.err.find(c.said), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
}

TEST(MeshCommands, GraphsHaveEverySiteAndLink) {
  TemporaryDirectory directory;
  const auto file = directory / "mesh.toml";
  std::ofstream(file) << kInventory;
  const auto dot = greywire({"mesh", "graph", file.c_str()}, "/").out;
  EXPECT_NE(dot.find("\"ams\" -- \"fra\" [style=dashed];\n"), std::string::npos) << dot;
  EXPECT_NE(dot.find("peripheries=2"), std::string::npos) << dot;
  const auto svg = greywire({"mesh", "graph", file.c_str(), "--format", "svg"}, "/").out;
  EXPECT_TRUE(svg.starts_with("<svg ")) << svg;
  EXPECT_NE(svg.find(">fra</text>"), std::string::npos) << svg;
}

// Everything that shows something to people shows it to programs too.
TEST(CommandLine, EveryCommandPrintsJson) {
  TemporaryDirectory directory;
  FakeDaemon daemon(directory / "ams.sock");
  const auto key = directory / "ams.key", file = directory / "ams.toml", quick = directory / "wg0.conf", mesh = directory / "mesh.toml",
             built = directory / "built";
  const auto made = greywire({"genkey"}, "/").out;
  std::ofstream(key) << made;
  ASSERT_EQ(::chmod(key.c_str(), 0600), 0);
  std::ofstream(file) << "[site]\nname = \"ams\"\nprivate_key_file = \"" << key << "\"\noverlay_address = \"10.255.0.1\"\n"
                      << "[[peer]]\nname = \"fra\"\npublic_key = \"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\"\n"
                         "overlay_address = \"10.255.0.2\"\naccept = \"10.2.0.0/16\"\n[routing]\nasn = 65001\n";
  std::ofstream(quick) << "[Interface]\nAddress = 10.9.0.1/24\nPrivateKey = " << made;
  std::ofstream(mesh) << kInventory;
  const std::string out = directory.path();
  const struct {
    std::vector<const char*> arguments;
    const char* member;  // of each line
  } cases[] = {
      {{"status"}, "peers"}, {{"peers"}, nullptr}, {{"tunnels"}, nullptr}, {{"segments"}, nullptr}, {{"routes"}, nullptr}, {{"mtu"}, nullptr},
      {{"drops"}, nullptr}, {{"metrics"}, nullptr}, {{"top", "-c", "1", "-i", "0.01"}, "peers"}, {{"ping", "fra", "-c", "1"}, "answered"},
      {{"explain", "10.2.0.1"}, "delivered"}, {{"diff"}, "changes"}, {{"reload"}, "done"}, {{"reload", "--confirm", "9"}, "confirm_within_seconds"},
      {{"rollback"}, "changes"}, {{"events"}, "event"}, {{"audit"}, "repaired"}, {{"check", file.c_str()}, "findings"}, {{"frr-config", file.c_str()}, "bgpd"}, {{"genkey"}, "private_key"},
      {{"genpsk"}, "preshared_key"}, {{"pubkey"}, "public_key"},
      {{"mesh", "build", mesh.c_str(), "-o", built.c_str()}, "reload"}, {{"mesh", "diff", mesh.c_str(), "-o", built.c_str()}, "files"},
      {{"mesh", "graph", mesh.c_str()}, "dot"}, {{"mesh", "enroll", "fra", "--key", key.c_str()}, "public_key"},
      {{"mesh", "add-key", "fra", "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", mesh.c_str()}, "site"}, {{"mesh", "revoke", "fra", mesh.c_str()}, "site"},
      {{"import", quick.c_str(), "--name", "new", "--out", out.c_str()}, "files"},
  };
  for (auto c : cases) {
    c.arguments.push_back("--json");
    const auto outcome = greywire(c.arguments, directory.path(), made);
    ASSERT_FALSE(outcome.out.empty()) << c.arguments[0] << ": " << outcome.err;
    boost::system::error_code wrong;
    const auto seen = boost::json::parse(outcome.out, wrong);
    ASSERT_FALSE(wrong) << c.arguments[0] << ": " << outcome.out;
    if (c.member != nullptr) {
      EXPECT_TRUE(seen.as_object().contains(c.member)) << outcome.out;
    }
    EXPECT_EQ(outcome.out.find('\x1b'), std::string::npos);
  }
}

}  // namespace
}  // namespace greywire::cli
