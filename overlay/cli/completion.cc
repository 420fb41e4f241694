#include "overlay/cli/completion.h"

#include <fmt/format.h>

namespace greywire::cli {
namespace {

// What a command's argument is: the kind that `greywire names` knows, "file", "shell", or nothing that can be completed.
std::string_view argument_of(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options([](const CLI::Option* o) { return o->get_positional(); })) {
    const std::string name = option->get_name();
    if (name == "PEER") return "peer";
    if (name == "TUNNEL") return "tunnel";
    if (name == "SEGMENT") return "segment";
    if (name == "PEER|TUNNEL") return "all";
    if (name == "FILE") return "file";
    if (name == "SHELL") return "shell";
  }
  return {};
}

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

std::string shell_word(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Of bash's and zsh's script alike: sets `words` for what can stand here; `file` is said by "FILE".
std::string choices(const CLI::App& app) {
  std::string commands;
  std::string out = "  case $command in\n";
  for (const auto& [name, command] : all_commands(app)) {
    if (name == command->get_name()) commands += name + " ";
    std::string words = joined(option_names(*command));
    for (const CLI::App* below : shown_commands(*command)) words = below->get_name() + " " + words;
    const auto argument = argument_of(*command);
    if (argument == "file") {
      words += " FILE";
    } else if (argument == "shell") {
      words += " bash zsh fish";
    } else if (!argument.empty()) {
      words += fmt::format(" $(greywire names {} 2>/dev/null)", argument);
    }
    out += fmt::format("    {}) words=\"{}\" ;;\n", name.find(' ') == name.npos ? name : '"' + name + '"', words);
  }
  return out + fmt::format("    *) words=\"{}{}\" ;;\n  esac\n", commands, joined(option_names(app)));
}

// Options whose value follows, and what it is.
constexpr const char* kValues =
    "  case $previous in\n"
    "    --socket|-w|--write|--links|--key|-o|--out) words=FILE ;;\n"
    "    --format) words='dot svg' ;;\n"
    "    --site) words=$(cd /run/greywire 2>/dev/null && for s in *.sock; do printf '%s ' \"${s%.sock}\"; done) ;;\n"
    "    -c|--count|-i|--interval|-s|--size) words= ;;\n"
    "  esac\n";

// Commands that others stand below.
std::string parents(const CLI::App& app) {
  std::vector<std::string> out;
  for (const CLI::App* command : shown_commands(app)) {
    if (!shown_commands(*command).empty()) out.push_back(command->get_name());
  }
  return joined(out);
}

std::string bash(const CLI::App& app) {
  return fmt::format(
      "# bash completion for greywire, printed by `greywire completion bash`.\n"
      "_greywire() {{\n"
      "  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} command= words= i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case ${{COMP_WORDS[i]}} in\n"
      "      --socket|--site) ((i++)) ;;\n"
      "      -*) ;;\n"
      "      *) command+=${{command:+ }}${{COMP_WORDS[i]}}; [[ \" {} \" == *\" $command \"* ]] || break ;;\n"
      "    esac\n"
      "  done\n"
      "{}{}"
      "  COMPREPLY=()\n"
      "  if [[ \" $words \" == *\" FILE \"* ]]; then\n"
      "    compopt -o filenames 2>/dev/null\n"
      "    mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
      "    words=${{words/FILE/}}\n"
      "  fi\n"
      "  local word\n"
      "  while read -r word; do COMPREPLY+=(\"$word\"); done < <(compgen -W \"$words\" -- \"$current\")\n"
      "}}\n"
      "complete -F _greywire greywire\n",
      parents(app), choices(app), kValues);
}

std::string zsh(const CLI::App& app) {
  return fmt::format(
      "#compdef greywire\n"
      "# zsh completion for greywire, printed by `greywire completion zsh`.\n"
      "_greywire() {{\n"
      "  local previous=${{words[CURRENT-1]}} command= given=(\"${{(@)words}}\") i\n"
      "  for ((i = 2; i < CURRENT; i++)); do\n"
      "    case ${{given[i]}} in\n"
      "      --socket|--site) ((i++)) ;;\n"
      "      -*) ;;\n"
      "      *) command+=${{command:+ }}${{given[i]}}; [[ \" {} \" == *\" $command \"* ]] || break ;;\n"
      "    esac\n"
      "  done\n"
      "  local words=\n"
      "{}{}"
      "  if [[ \" $words \" == *\" FILE \"* ]]; then\n"
      "    _files\n"
      "    words=${{words/FILE/}}\n"
      "  fi\n"
      "  compadd -- ${{=words}}\n"
      "}}\n"
      "if [ \"$funcstack[1]\" = _greywire ]; then _greywire \"$@\"; else compdef _greywire greywire; fi\n",
      parents(app), choices(app), kValues);
}

std::string fish(const CLI::App& app) {
  std::string out = "# fish completion for greywire, printed by `greywire completion fish`.\ncomplete -c greywire -f\n";
  const auto option_lines = [&](const CLI::App& command, const std::string& when) {
    for (const CLI::Option* option : command.get_options([](const CLI::Option* o) { return o->nonpositional(); })) {
      std::string line = "complete -c greywire -n " + when;
      for (const auto& name : option->get_lnames()) line += " -l " + name;
      for (const auto& name : option->get_snames()) line += " -s " + name;
      if (option->get_items_expected_max() > 0) line += option->get_type_name() == "PATH" ? " -r -F" : " -x";
      out += line + " -d " + shell_word(option->get_description()) + "\n";
    }
  };
  option_lines(app, "__fish_use_subcommand");
  for (const auto& [name, command] : all_commands(app)) {
    const auto& word = command->get_name();
    const auto space = name.find(' ');
    const auto above = space == name.npos ? std::string() : name.substr(0, space);
    const std::string seen = "__fish_seen_subcommand_from ";
    std::string when, offered = "__fish_use_subcommand";
    if (above.empty()) {
      // `diff` is a word of `mesh diff` too.
      when = shown_commands(*command).empty() ? fmt::format("'{0}{1}; and not {0}{2}'", seen, word, parents(app))
                                              : fmt::format("'{}{}'", seen, word);
    } else {
      std::vector<std::string> beside;
      for (const CLI::App* one : shown_commands(*app.get_subcommand(above))) beside.push_back(one->get_name());
      when = fmt::format("'{}{}; and {}{}'", seen, above, seen, word);
      offered = fmt::format("'{}{}; and not {}{}'", seen, above, seen, joined(beside));
    }
    out += fmt::format("complete -c greywire -n {} -a {} -d {}\n", offered, word, shell_word(command->get_description()));
    option_lines(*command, when);
    const auto argument = argument_of(*command);
    if (argument == "file") {
      out += fmt::format("complete -c greywire -n {} -F\n", when);
    } else if (argument == "shell") {
      out += fmt::format("complete -c greywire -n {} -a 'bash zsh fish'\n", when);
    } else if (!argument.empty()) {
      out += fmt::format("complete -c greywire -n {} -a '(greywire names {} 2>/dev/null)'\n", when, argument);
    }
  }
  return out;
}

}  // namespace

std::vector<const CLI::App*> shown_commands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
}

std::vector<NamedCommand> all_commands(const CLI::App& app) {
  std::vector<NamedCommand> out;
  for (const CLI::App* command : shown_commands(app)) {
    out.push_back({command->get_name(), command});
    for (const CLI::App* below : shown_commands(*command)) out.push_back({command->get_name() + " " + below->get_name(), below});
  }
  return out;
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> out;
  for (const CLI::Option* option : command.get_options([](const CLI::Option* o) { return o->nonpositional(); })) {
    for (const auto& name : option->get_snames()) out.push_back("-" + name);
    for (const auto& name : option->get_lnames()) out.push_back("--" + name);
  }
  return out;
}

std::string completion(const CLI::App& app, std::string_view shell) {
  return shell == "bash" ? bash(app) : shell == "zsh" ? zsh(app) : fish(app);
}

}  // namespace greywire::cli
