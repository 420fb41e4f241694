// The manual page greywired(8), made from the command line itself. Pure.
#pragma once

#include <CLI/App.hpp>
#include <string>

namespace greywire::daemon {

std::string man_page(const CLI::App& app);  // man(7)

}  // namespace greywire::daemon
