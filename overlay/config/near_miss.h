// Finds the word that somebody probably meant to type.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace greywire::config {

// Edit distance in which a swap of two neighbours counts as one (optimal string alignment). Words longer than 64
// characters are taken as infinitely far apart: no key or name is that long.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate nearest to `word` where it is near enough to be a slip (a third of the word's length, at least one
// edit; letter case, '-' and '_' are free), else the first that `word` is a part of or the other way round (four
// characters at least), else empty. The first candidate wins a tie.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

// "; did you mean 'endpoint'?", or nothing. Meant to end a message.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace greywire::config
