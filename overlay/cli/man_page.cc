#include "overlay/cli/man_page.h"

#include <fmt/format.h>

#include <sstream>

#include "overlay/cli/completion.h"

namespace greywire::cli {
namespace {

// As text: nothing in it is a request or an escape.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) {
      out += fmt::format("\\&{}", c);
    } else {
      out += c;
    }
  }
  return out;
}

std::string option_text(const CLI::Option& option) {
  std::string out;
  for (const auto& name : option.get_snames()) out += fmt::format("{}\\fB\\-{}\\fR", out.empty() ? "" : ", ", escaped(name));
  for (const auto& name : option.get_lnames()) out += fmt::format("{}\\fB\\-\\-{}\\fR", out.empty() ? "" : ", ", escaped(name));
  if (option.get_items_expected_max() > 0) out += fmt::format(" \\fI{}\\fR", escaped(option.get_type_name()));
  return out;
}

void add_options(std::string& out, const CLI::App& command, bool (*wanted)(const CLI::Option&)) {
  for (const CLI::Option* option : command.get_options([](const CLI::Option* o) { return o->nonpositional(); })) {
    if (wanted(*option)) out += fmt::format(".TP\n{}\n{}\n", option_text(*option), escaped(option->get_description()));
  }
}

}  // namespace

std::string man_page(const CLI::App& app) {
  std::string out = ".TH GREYWIRE 1 \"\" \"Greywire " GREYWIRE_VERSION "\" \"User Commands\"\n";
  out += ".SH NAME\ngreywire \\- ask a running greywired, check its config, make its keys\n";
  out += ".SH SYNOPSIS\n\\fBgreywire\\fR [\\fB\\-\\-site\\fR \\fINAME\\fR] \\fICOMMAND\\fR [\\fIARGUMENT\\fR]\n";
  out += ".SH DESCRIPTION\n" + escaped(app.get_description()) + "\n.PP\nOptions of all commands:\n";
  add_options(out, app, [](const CLI::Option&) { return true; });
  out += ".SH COMMANDS\n";
  for (const CLI::App* command : shown_commands(app)) {
    std::string head = fmt::format("\\fBgreywire {}\\fR", escaped(command->get_name()));
    std::string arguments;
    for (const CLI::Option* option : command->get_options([](const CLI::Option* o) { return o->get_positional(); })) {
      const std::string name = escaped(option->get_name());
      head += option->get_required() ? fmt::format(" \\fI{}\\fR", name) : fmt::format(" [\\fI{}\\fR]", name);
      arguments += fmt::format(".TP\n\\fI{}\\fR\n{}\n", name, escaped(option->get_description()));
    }
    out += fmt::format(".SS {}\n{}.\n{}", head, escaped(command->get_description()), arguments);
    add_options(out, *command, [](const CLI::Option& option) {
      return !option.check_lname("help") && !option.check_lname("socket") && !option.check_lname("site");
    });
  }
  // The footer: "Title:", lines of "  CODE  meaning", then plain text.
  std::istringstream footer(app.get_footer());
  for (std::string line; std::getline(footer, line);) {
    if (line.ends_with(":")) {
      out += ".SH EXIT STATUS\n";
    } else if (line.starts_with("  ")) {
      out += fmt::format(".TP\n\\fB{}\\fR\n{}\n", escaped(line.substr(2, 1)), escaped(line.substr(5)));
    } else if (!line.empty()) {
      out += ".SH FILES\n.TP\n\\fI/run/greywire/SITE.sock\\fR\nThe control socket of a site. " + escaped(line) + "\n";
    }
  }
  out += ".TP\n\\fI/etc/greywire/SITE.toml\\fR\nThe config of a site.\n";
  out += ".SH SEE ALSO\n\\fBwg\\fR(8), \\fBip\\fR(8), \\fBvtysh\\fR(1)\n";
  return out;
}

}  // namespace greywire::cli
