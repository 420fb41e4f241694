// The manual page greywire.toml(5), made from the table of a config's keys. Pure.
#pragma once

#include <string>

namespace greywire::manual {

std::string config_page();  // man(7)

}  // namespace greywire::manual
