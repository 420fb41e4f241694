// Completion for shells, made from the command line itself: commands, their options, and the names that a running daemon
// knows. Pure.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace greywire::cli {

// Those that are not hidden.
std::vector<const CLI::App*> shown_commands(const CLI::App& app);
// Those too that stand below another, by all their words: "mesh", "mesh build".
struct NamedCommand {
  std::string name;
  const CLI::App* app = nullptr;
};
std::vector<NamedCommand> all_commands(const CLI::App& app);
// "--json", "-f", "--follow"
std::vector<std::string> option_names(const CLI::App& command);

std::string completion(const CLI::App& app, std::string_view shell);  // bash | zsh | fish

}  // namespace greywire::cli
