// Differences of two texts line by line, as `diff -u` prints them. Pure.
#pragma once

#include <string>
#include <string_view>

namespace greywire::mesh {

// Empty where the texts are equal. `old_name` and `new_name` go into the two lines at the top. Texts that differ in very many
// lines are shown as one replaced by the other between what they have in common at both ends.
std::string unified_diff(std::string_view old_name, std::string_view old_text, std::string_view new_name, std::string_view new_text);

}  // namespace greywire::mesh
