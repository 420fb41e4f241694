#include "overlay/cli/text_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace greywire::cli {
namespace {

constexpr std::string_view kReset = "\x1b[0m";

std::string_view escape_of(Style style) {
  switch (style) {
    case Style::kPlain:
      return "";
    case Style::kHeading:
      return "\x1b[1m";
    case Style::kGood:
      return "\x1b[32m";
    case Style::kBad:
      return "\x1b[31m";
    case Style::kDim:
      return "\x1b[2m";
  }
  return "";
}

}  // namespace

std::string styled(std::string_view text, Style style, const Look& look) {
  if (!look.colour || style == Style::kPlain) return std::string(text);
  return fmt::format("{}{}{}", escape_of(style), text, kReset);
}

void TextTable::add_row(std::vector<Cell> cells) {
  cells.resize(columns_.size(), Cell(""));
  for (Cell& cell : cells) {
    if (cell.text.empty()) cell = Cell("-", Style::kDim);
  }
  rows_.push_back(std::move(cells));
}

std::string TextTable::to_string(const Look& look) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = columns_[i].heading.size();
    for (const auto& row : rows_) width = std::max(width, row[i].text.size());
    widths.push_back(width);
  }
  std::size_t whole = 2 * (columns_.size() - 1);
  for (const std::size_t width : widths) whole += width;
  if (look.columns != 0 && whole > look.columns) return paragraphs(look);
  std::string out;
  const auto put = [&](std::size_t i, const std::string& text, Style style) {
    const std::string padding(widths[i] - text.size(), ' ');
    const bool last = i + 1 == columns_.size();
    if (columns_[i].align == Align::kRight) out += padding;
    out += styled(text, style, look);
    if (columns_[i].align == Align::kLeft && !last) out += padding;
    out += last ? "\n" : "  ";
  };
  for (std::size_t i = 0; i < columns_.size(); ++i) put(i, columns_[i].heading, Style::kHeading);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) put(i, row[i].text, row[i].style);
  }
  return out;
}

std::string TextTable::paragraphs(const Look& look) const {
  std::size_t label = 0;
  for (std::size_t i = 1; i < columns_.size(); ++i) label = std::max(label, columns_[i].heading.size());
  const auto indent = static_cast<unsigned>(label + 3);
  std::string out;
  for (const auto& row : rows_) {
    out += fmt::format("{} {}\n", styled(columns_[0].heading, Style::kDim, look),
                       styled(row[0].text, row[0].style == Style::kPlain ? Style::kHeading : row[0].style, look));
    for (std::size_t i = 1; i < row.size(); ++i) {
      if (row[i].text == "-") continue;
      const std::string text = wrapped(row[i].text, look.columns, indent);
      out += fmt::format("  {}{} {}\n", styled(columns_[i].heading, Style::kDim, look),
                         std::string(label - columns_[i].heading.size(), ' '), styled(text, row[i].style, look));
    }
  }
  return out;
}

std::string wrapped(std::string_view text, unsigned columns, unsigned indent) {
  if (columns == 0 || columns <= indent) return std::string(text);
  std::string out;
  std::size_t at = indent;
  while (!text.empty()) {
    const auto word = text.substr(0, text.find(' '));
    const bool first = out.empty();
    if (!first && at + 1 + word.size() > columns) {
      out += '\n' + std::string(indent, ' ');
      at = indent;
    } else if (!first) {
      out += ' ';
      ++at;
    }
    out += word;
    at += word.size();
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  return out;
}

std::string bytes_text(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::array<std::string_view, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 1023.95 would be printed as 1024.0.
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string age_text(std::chrono::seconds age) {
  const auto seconds = std::max<std::int64_t>(age.count(), 0);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m {}s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{}h {}m", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{}d {}h", seconds / 86400, seconds % 86400 / 3600);
}

std::string round_trip_text(std::chrono::microseconds round_trip) {
  return fmt::format("{:.2f} ms", static_cast<double>(round_trip.count()) / 1000);
}

}  // namespace greywire::cli
