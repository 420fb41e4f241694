#include "overlay/daemon/man_page.h"

#include <fmt/format.h>

#include "overlay/manual/roff.h"

namespace greywire::daemon {

using manual::from_markdown;
using manual::item;

std::string man_page(const CLI::App& app) {
  std::string out = manual::head("greywired", 8, "a GRE/WireGuard overlay router", "System Administration");
  out += ".SH SYNOPSIS\n\\fBgreywired \\-\\-config\\fR \\fIFILE\\fR [\\fB\\-\\-takeover\\fR] [\\fB\\-\\-workers\\fR \\fINUMBER\\fR]\n.br\n"
         "\\fBgreywired\\fR [\\fB\\-f\\fR] [\\fB\\-\\-workers\\fR \\fINUMBER\\fR] \\fIIFNAME\\fR\n";
  out += ".SH DESCRIPTION\n" + from_markdown(
      "With `--config` it runs one site in the foreground: an interface with WireGuard peers, GRE and GRETAP links inside, and "
      "prefixes that BGP learned, inside the ceilings of the config, in the peers' allowed-IPs. With the name of a device it is a "
      "bare WireGuard device, which `wg` configures, and goes to the background.") + "\n";
  out += ".SH OPTIONS\n" + manual::options(app, [](const CLI::Option& option) { return !option.get_group().empty(); });
  out += ".SH SIGNALS\n" + item("\\fBSIGHUP\\fR", "Reads the config again, as greywire reload does; one with an error changes nothing.");
  out += item("\\fBSIGTERM\\fR, \\fBSIGINT\\fR", "End it. Devices, rules and routes of its own go.");
  out += ".SH ENVIRONMENT\n" + item("\\fBNOTIFY_SOCKET\\fR, \\fBWATCHDOG_USEC\\fR, \\fBLISTEN_FDS\\fR",
      "What systemd says to a service of Type=notify: devices are kept over a restart by its store of descriptors.");
  out += item("\\fBWG_PROCESS_FOREGROUND\\fR", "1: a bare device stays in the foreground, as with -f.");
  out += ".SH RIGHTS\n" + from_markdown(
      "It needs CAP_NET_ADMIN, CAP_NET_RAW and, for a queue for routing traffic, CAP_BPF; CAP_NET_BIND_SERVICE for ports below 1024; "
      "CAP_DAC_OVERRIDE for zebra's socket. All others it gives up once the config is read. The systemd unit `greywire@SITE` runs "
      "it as user greywire.") + "\n";
  out += ".SH EXIT STATUS\n" + item("\\fB0\\fR", "ended as asked") + item("\\fB1\\fR", "could not start, or a device of its own was deleted") +
         item("\\fB2\\fR", "wrong command line") + item("\\fB78\\fR", "a config that cannot be used: the unit does not try it again");
  out += ".SH FILES\n" + item("\\fI/etc/greywire/SITE.toml\\fR", "The config of a site.");
  out += item("\\fI/run/greywire/SITE.sock\\fR", "The control socket that greywire(1) asks.");
  out += item("\\fI/run/wireguard/IFNAME.sock\\fR", "The socket of wg(8).");
  out += item("\\fI/var/lib/greywire/SITE\\fR", "What is kept over restarts: the last time stamp, peers' endpoints, what a reload on trial goes back to.");
  return out + manual::see_also({"greywire(1)", "greywire.toml(5)", "wg(8)", "wg-quick(8)", "systemd.service(5)"});
}

}  // namespace greywire::daemon
