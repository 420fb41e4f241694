#include "overlay/mesh/unified_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "overlay/mesh/text_lines.h"

namespace greywire::mesh {
namespace {

using Lines = std::vector<std::string_view>;  // with their line ends

constexpr std::size_t kAround = 3;        // lines of context
constexpr std::ptrdiff_t kMostEdits = 2000;  // the search's memory grows with the square of them

struct Edit {
  char sign;  // ' ', '-', '+'
  std::string_view line;
};

// Myers, "An O(ND) difference algorithm and its variations" (1986), the greedy search of section 4. Ways of `d` edits end on
// diagonals -d..d; reached[d] holds how far each came before the d-th edit.
std::vector<Edit> edits(const Lines& from, const Lines& to) {
  const auto n = static_cast<std::ptrdiff_t>(from.size()), m = static_cast<std::ptrdiff_t>(to.size());
  const auto most = std::min(n + m, kMostEdits);
  const auto at = [](std::ptrdiff_t index) { return static_cast<std::size_t>(index); };
  std::vector<std::ptrdiff_t> far(at(2 * most + 3), 0);
  const auto slot = [&](std::ptrdiff_t diagonal) { return at(diagonal + most + 1); };
  std::vector<std::vector<std::ptrdiff_t>> reached;
  std::ptrdiff_t d = 0;
  for (bool done = false; !done && d <= most; d += done ? 0 : 1) {
    reached.emplace_back(far.begin() + (most + 1 - d - 1), far.begin() + (most + 1 + d + 2));
    for (std::ptrdiff_t k = -d; k <= d && !done; k += 2) {
      const bool down = k == -d || (k != d && far[slot(k - 1)] < far[slot(k + 1)]);
      auto x = down ? far[slot(k + 1)] : far[slot(k - 1)] + 1;
      while (x < n && x - k < m && from[at(x)] == to[at(x - k)]) ++x;
      far[slot(k)] = x;
      done = x >= n && x - k >= m;
    }
  }
  std::vector<Edit> out;
  if (d > most) {
    for (const auto line : from) out.push_back({'-', line});
    for (const auto line : to) out.push_back({'+', line});
    return out;
  }
  auto x = n, y = m;
  for (; d >= 0; --d) {
    const auto& before = reached[at(d)];  // diagonals -d-1..d+1
    const auto value = [&](std::ptrdiff_t diagonal) { return before[at(diagonal + d + 1)]; };
    const auto k = x - y;
    const bool down = k == -d || (k != d && value(k - 1) < value(k + 1));
    const auto last_x = d == 0 ? 0 : down ? value(k + 1) : value(k - 1);
    const auto last_y = d == 0 ? 0 : last_x - (down ? k + 1 : k - 1);
    while (x > last_x && y > last_y) {
      --x, --y;
      out.push_back({' ', from[at(x)]});
    }
    if (d == 0) break;
    if (down) {
      out.push_back({'+', to[at(--y)]});
    } else {
      out.push_back({'-', from[at(--x)]});
    }
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::string place(std::size_t before, std::size_t count) {
  // Of no lines diff -u names the line before.
  if (count == 1) return std::to_string(before + 1);
  return fmt::format("{},{}", count == 0 ? before : before + 1, count);
}

std::string hunks(const std::vector<Edit>& all) {
  std::string out;
  std::size_t old_line = 0, new_line = 0, at = 0;
  const auto step = [&](const Edit& edit) {
    old_line += edit.sign != '+';
    new_line += edit.sign != '-';
  };
  while (true) {
    auto first = at;
    while (first < all.size() && all[first].sign == ' ') ++first;
    if (first == all.size()) return out;
    // Up to kAround equal lines before and after; changes less than twice that apart stand together.
    auto last = first;
    for (auto i = first; i < all.size() && i <= last + 2 * kAround; ++i) {
      if (all[i].sign != ' ') last = i;
    }
    const auto begin = std::max(at, first - std::min(first, kAround)), end = std::min(all.size(), last + 1 + kAround);
    for (; at < begin; ++at) step(all[at]);
    const auto old_before = old_line, new_before = new_line;
    std::string body;
    for (; at < end; ++at) {
      step(all[at]);
      body += fmt::format("{}{}", all[at].sign, all[at].line);
      if (!all[at].line.ends_with('\n')) body += "\n\\ No newline at end of file\n";
    }
    out += fmt::format("@@ -{} +{} @@\n{}", place(old_before, old_line - old_before), place(new_before, new_line - new_before), body);
  }
}

}  // namespace

std::string unified_diff(std::string_view old_name, std::string_view old_text, std::string_view new_name, std::string_view new_text) {
  if (old_text == new_text) return {};
  auto from = lines_of(old_text), to = lines_of(new_text);
  const auto head = static_cast<std::size_t>(std::mismatch(from.begin(), from.end(), to.begin(), to.end()).first - from.begin());
  std::size_t tail = 0;
  while (tail < std::min(from.size(), to.size()) - head && from[from.size() - 1 - tail] == to[to.size() - 1 - tail]) ++tail;
  const auto middle = [&](const Lines& lines) {
    return Lines(lines.begin() + static_cast<std::ptrdiff_t>(head), lines.end() - static_cast<std::ptrdiff_t>(tail));
  };
  std::vector<Edit> all;
  for (std::size_t i = 0; i < head; ++i) all.push_back({' ', from[i]});
  const auto changed = edits(middle(from), middle(to));
  all.insert(all.end(), changed.begin(), changed.end());
  for (std::size_t i = from.size() - tail; i < from.size(); ++i) all.push_back({' ', from[i]});
  return fmt::format("--- {}\n+++ {}\n{}", old_name, new_name, hunks(all));
}

}  // namespace greywire::mesh
