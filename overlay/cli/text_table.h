// Plain aligned tables and figures for people: no frames, two spaces between columns, colour only where
// asked.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace greywire::cli {

enum class Style : std::uint8_t { kPlain, kHeading, kGood, kBad, kDim };

std::string styled(std::string_view text, Style style, bool colour);

struct Cell {
  std::string text;  // printable ASCII: its size is its width
  Style style = Style::kPlain;

  Cell(std::string content, Style look = Style::kPlain) : text(std::move(content)), style(look) {}  // NOLINT
  Cell(const char* content) : text(content) {}                                                      // NOLINT
};

class TextTable {
 public:
  enum class Align : std::uint8_t { kLeft, kRight };
  struct Column {
    std::string heading;
    Align align = Align::kLeft;
  };

  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

  void add_row(std::vector<Cell> cells);  // as many as columns; an empty one is shown as "-"
  bool empty() const { return rows_.empty(); }
  std::string to_string(bool colour) const;  // with its headings; no spaces at the line ends

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

std::string bytes_text(std::uint64_t bytes);                        // "0 B", "1.4 KiB", "12.0 GiB"
std::string age_text(std::chrono::seconds age);                     // "5s", "3m 2s", "4h 7m", "12d 3h"
std::string round_trip_text(std::chrono::microseconds round_trip);  // "0.42 ms"

}  // namespace greywire::cli
