#include "overlay/cli/man_page.h"

#include <fmt/format.h>

#include <sstream>

#include "overlay/cli/completion.h"
#include "overlay/manual/roff.h"

namespace greywire::cli {

using manual::escaped;
using manual::item;

std::string man_page(const CLI::App& app) {
  std::string out = manual::head("greywire", 1, "ask a running greywired, check its config, make its keys", "User Commands");
  out += ".SH SYNOPSIS\n\\fBgreywire\\fR [\\fB\\-\\-site\\fR \\fINAME\\fR] \\fICOMMAND\\fR [\\fIARGUMENT\\fR]\n";
  out += ".SH DESCRIPTION\n" + escaped(app.get_description()) + "\n.PP\nOptions of all commands:\n";
  out += manual::options(app, [](const CLI::Option&) { return true; });
  out += ".SH COMMANDS\n";
  for (const auto& [words, command] : all_commands(app)) {
    if (!shown_commands(*command).empty()) continue;  // it is nothing by itself
    std::string head = fmt::format("\\fBgreywire {}\\fR", escaped(words));
    std::string arguments;
    for (const CLI::Option* option : command->get_options([](const CLI::Option* o) { return o->get_positional(); })) {
      const std::string name = escaped(option->get_name());
      head += option->get_required() ? fmt::format(" \\fI{}\\fR", name) : fmt::format(" [\\fI{}\\fR]", name);
      arguments += item(fmt::format("\\fI{}\\fR", name), option->get_description());
    }
    out += fmt::format(".SS {}\n{}.\n{}", head, escaped(command->get_description()), arguments);
    out += manual::options(*command, [](const CLI::Option& option) {
      return !option.check_lname("help") && !option.check_lname("socket") && !option.check_lname("site");
    });
  }
  // The footer: "Title:", lines of "  CODE  meaning", then plain text.
  std::istringstream footer(app.get_footer());
  for (std::string line; std::getline(footer, line);) {
    if (line.ends_with(":")) {
      out += ".SH EXIT STATUS\n";
    } else if (line.starts_with("  ")) {
      out += item(fmt::format("\\fB{}\\fR", escaped(line.substr(2, 1))), line.substr(5));
    } else if (!line.empty()) {
      out += ".SH FILES\n" + item("\\fI/run/greywire/SITE.sock\\fR", "The control socket of a site. " + line);
    }
  }
  out += item("\\fI/etc/greywire/SITE.toml\\fR", "The config of a site.");
  return out + manual::see_also({"greywired(8)", "greywire.toml(5)", "wg(8)", "ip(8)", "vtysh(1)"});
}

}  // namespace greywire::cli
