#include "overlay/config/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>

namespace greywire::config {

// Part of a text may be quoted from the file.
void Diagnostics::add(Diagnostic diagnostic) {
  std::replace_if(diagnostic.text.begin(), diagnostic.text.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  const auto after = std::upper_bound(entries_.begin(), entries_.end(), diagnostic.at,
                                      [](const SourcePosition& at, const Diagnostic& d) { return at < d.at; });
  entries_.insert(after, std::move(diagnostic));
}

void Diagnostics::error(SourcePosition at, std::string text) {
  if (++errors_ <= kMaxErrors) add({Severity::kError, at, std::move(text)});
}

void Diagnostics::warning(SourcePosition at, std::string text) {
  if (entries_.size() < 2 * kMaxErrors) add({Severity::kWarning, at, std::move(text)});
}

std::string Diagnostics::line(const Diagnostic& entry) const {
  const auto place = entry.at.line == 0 ? file_name_ : fmt::format("{}:{}:{}", file_name_, entry.at.line, entry.at.column);
  return fmt::format("{}: {}{}", place, entry.severity == Severity::kWarning ? "warning: " : "", entry.text);
}

std::string Diagnostics::first_error() const {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [](const Diagnostic& d) { return d.severity == Severity::kError; });
  return found == entries_.end() ? std::string() : line(*found);
}

std::vector<std::string> Diagnostics::lines() const {
  std::vector<std::string> out;
  for (const auto& entry : entries_) out.push_back(line(entry));
  if (errors_ > kMaxErrors) out.push_back(fmt::format("{}: {} more errors", file_name_, errors_ - kMaxErrors));
  return out;
}

std::string Diagnostics::to_string() const {
  std::string out;
  for (const auto& line : lines()) out += line + '\n';
  return out;
}

}  // namespace greywire::config
