// The manual page greywire(1), made from the command line itself. Pure.
#pragma once

#include <CLI/App.hpp>
#include <string>

namespace greywire::cli {

std::string man_page(const CLI::App& app);  // man(7)

}  // namespace greywire::cli
