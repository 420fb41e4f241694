#include "overlay/manual/roff.h"

#include <fmt/format.h>

namespace greywire::manual {
namespace {

std::string names_of(const CLI::Option& option) {
  std::string out;
  for (const auto& name : option.get_snames()) out += fmt::format("{}\\fB\\-{}\\fR", out.empty() ? "" : ", ", escaped(name));
  for (const auto& name : option.get_lnames()) out += fmt::format("{}\\fB\\-\\-{}\\fR", out.empty() ? "" : ", ", escaped(name));
  const std::string type = option.get_type_name();  // "NUMBER:UINT in [1 - 64]" where it is checked
  if (option.get_items_expected_max() > 0) out += fmt::format(" \\fI{}\\fR", escaped(type.substr(0, type.find(':'))));
  return out;
}

}  // namespace

std::string escaped(std::string_view text) {
  constexpr std::string_view kEllipsis = "…";
  std::string out;
  while (!text.empty()) {
    const char c = text.front();
    if (text.starts_with(kEllipsis)) {
      out += "...";
      text.remove_prefix(kEllipsis.size());
      continue;
    }
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) {
      out += fmt::format("\\&{}", c);
    } else {
      out += c;
    }
    text.remove_prefix(1);
  }
  return out;
}

std::string from_markdown(std::string_view text) {
  std::string out;
  for (bool code = false;; code = !code) {
    const auto end = text.find('`');
    const auto part = escaped(text.substr(0, end));
    if (code) {
      out += fmt::format("\\fB{}\\fR", part);
    } else {
      // Behind a font change nothing stands at the beginning of a line.
      out += out.empty() || !part.starts_with("\\&") ? part : part.substr(2);
    }
    if (end == text.npos) return out;
    text.remove_prefix(end + 1);
  }
}

std::string head(std::string_view name, int section, std::string_view what, std::string_view manual) {
  std::string upper(name);
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return fmt::format(".TH {} {} \"\" \"Greywire {}\" \"{}\"\n.SH NAME\n{} \\- {}\n", upper, section, GREYWIRE_VERSION, manual, name,
                     escaped(what));
}

std::string item(std::string_view term, std::string_view text) { return fmt::format(".TP\n{}\n{}\n", term, escaped(text)); }

std::string options(const CLI::App& command, const std::function<bool(const CLI::Option&)>& wanted) {
  std::string out;
  for (const CLI::Option* option : command.get_options([](const CLI::Option* o) { return o->nonpositional(); })) {
    if (wanted(*option)) out += item(names_of(*option), option->get_description());
  }
  return out;
}

std::string see_also(std::initializer_list<std::string_view> pages) {
  std::string out;
  for (const std::string_view page : pages) {
    const auto section = page.find('(');
    out += fmt::format("{}\\fB{}\\fR{}", out.empty() ? "" : ", ", escaped(page.substr(0, section)), page.substr(section));
  }
  return ".SH SEE ALSO\n" + out + "\n";
}

}  // namespace greywire::manual
