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

// How the reader sees it.
struct Look {
  bool colour = false;
  unsigned columns = 0;  // of the terminal; 0: as many as it takes

  Look(bool colours) : colour(colours) {}  // NOLINT
  Look(bool colours, unsigned width) : colour(colours), columns(width) {}
};

std::string styled(std::string_view text, Style style, const Look& look);

// The text in lines of at most `columns`, broken at spaces; every line but the first begins with `indent` spaces. A word
// that is longer stands alone. 0: one line.
std::string wrapped(std::string_view text, unsigned columns, unsigned indent);

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
  // With its headings; no spaces at the line ends. Where it is wider than the terminal, each row becomes a paragraph: its
  // first cell, and a line a cell below it.
  std::string to_string(const Look& look) const;

 private:
  std::string paragraphs(const Look& look) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

std::string bytes_text(std::uint64_t bytes);                        // "0 B", "1.4 KiB", "12.0 GiB"
std::string age_text(std::chrono::seconds age);                     // "5s", "3m 2s", "4h 7m", "12d 3h"
std::string round_trip_text(std::chrono::microseconds round_trip);  // "0.42 ms"

}  // namespace greywire::cli
