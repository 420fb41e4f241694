// What is wrong with a config file: every finding with its place, so that one run of `greywire check` shows them all.
//
// Values, no threads. Nothing here is trimmed silently: past kMaxErrors a last line says how many more there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace greywire::config {

// Line and column count from 1, columns in characters; line 0 means the file as a whole.
struct SourcePosition {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  friend auto operator<=>(const SourcePosition&, const SourcePosition&) = default;
};

enum class Severity : std::uint8_t { kError, kWarning };  // a warning never keeps a config from being used

struct Diagnostic {
  Severity severity = Severity::kError;
  SourcePosition at;
  std::string text;  // one line without a full stop: names the thing, what was expected and the way out
};

class Diagnostics {
 public:
  static constexpr std::size_t kMaxErrors = 100;

  explicit Diagnostics(std::string file_name) : file_name_(std::move(file_name)) {}

  // Control characters become '?'.
  void error(SourcePosition at, std::string text);
  void warning(SourcePosition at, std::string text);

  bool has_errors() const { return errors_ != 0; }
  std::size_t error_count() const { return errors_; }  // also those past kMaxErrors
  const std::string& file_name() const { return file_name_; }

  // In the order of the file; errors and warnings mixed.
  std::span<const Diagnostic> entries() const { return entries_; }

  // "site.toml:12:3: unknown key …", "site.toml:30:1: warning: …", in the order of the file, without line ends.
  std::vector<std::string> lines() const;
  std::string to_string() const;  // lines(), each ended by a line end
  std::string first_error() const;  // its line; empty: there is none

 private:
  void add(Diagnostic diagnostic);
  std::string line(const Diagnostic& entry) const;

  std::string file_name_;
  std::vector<Diagnostic> entries_;
  std::size_t errors_ = 0;
};

}  // namespace greywire::config
