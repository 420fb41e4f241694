// What manual pages are made of: man(7). Pure.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <string>
#include <string_view>

namespace greywire::manual {

// As text: nothing in it is a request or an escape.
std::string escaped(std::string_view text);

// Markdown of one paragraph: `code` becomes bold, the rest text.
std::string from_markdown(std::string_view text);

// ".TH GREYWIRE 1 ..." with this version, and the NAME section.
std::string head(std::string_view name, int section, std::string_view what, std::string_view manual);

// A term, which is roff, and what is said of it, which is text.
std::string item(std::string_view term, std::string_view text);

// The command's options that are `wanted`, not its positional ones, an item each.
std::string options(const CLI::App& command, const std::function<bool(const CLI::Option&)>& wanted);

// ".SH SEE ALSO": "wg(8)" and so on.
std::string see_also(std::initializer_list<std::string_view> pages);

}  // namespace greywire::manual
