#include "routing/ceiling.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace greywire::routing {
namespace {

constexpr std::string_view kSpaces = " \t";

std::string_view next_word(std::string_view& rest) {
  const auto start = rest.find_first_not_of(kSpaces);
  if (start == std::string_view::npos) {
    rest = {};
    return {};
  }
  rest.remove_prefix(start);
  const auto word = rest.substr(0, rest.find_first_of(kSpaces));
  rest.remove_prefix(word.size());
  return word;
}

Result<unsigned> parse_length(std::string_view keyword, std::string_view digits, const Prefix& prefix) {
  unsigned length = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  const unsigned bits = prefix.address().bits();
  if (digits.empty() || ec != std::errc{} || end != digits.data() + digits.size() ||
      length < prefix.length() || length > bits) {
    return Error{fmt::format("'{}' after '{} {}' must be a length from {} to {}", digits, prefix.to_string(),
                             keyword, prefix.length(), bits)};
  }
  return length;
}

Result<Prefix> parse_prefix(std::string_view text) {
  auto prefix = Prefix::parse(text);
  if (!prefix) return prefix;
  const auto address = IpAddress::parse(text.substr(0, text.find('/')));
  if (address && *address != prefix->address()) {
    return Error{fmt::format("'{}' has host bits set: write {}", text, prefix->to_string())};
  }
  return prefix;
}

}  // namespace

Result<CeilingRule> CeilingRule::parse(std::string_view text) {
  std::string_view rest = text;
  const auto prefix = parse_prefix(next_word(rest));
  if (!prefix) return prefix.error();
  bool has_ge = false;
  bool has_le = false;
  CeilingRule rule{*prefix, prefix->length(), prefix->length()};
  for (auto word = next_word(rest); !word.empty(); word = next_word(rest)) {
    const bool is_ge = word == "ge";
    if (!is_ge && word != "le") {
      return Error{fmt::format("'{}' in '{}' is not understood (expected PREFIX [ge LENGTH] [le LENGTH])",
                               word, text)};
    }
    if (is_ge ? has_ge : has_le) return Error{fmt::format("'{}' stands twice in '{}'", word, text)};
    const auto length = parse_length(word, next_word(rest), *prefix);
    if (!length) return length.error();
    (is_ge ? rule.ge : rule.le) = *length;
    (is_ge ? has_ge : has_le) = true;
  }
  if (has_ge && !has_le) rule.le = prefix->address().bits();
  if (rule.ge > rule.le) return Error{fmt::format("'{}' admits nothing: ge is greater than le", text)};
  return rule;
}

bool CeilingRule::admits(const Prefix& candidate) const {
  return candidate.length() >= ge && candidate.length() <= le && prefix.contains(candidate);
}

std::string CeilingRule::to_string() const {
  std::string text = prefix.to_string();
  const unsigned bits = prefix.address().bits();
  if (ge != prefix.length()) text += fmt::format(" ge {}", ge);
  const unsigned le_without_word = ge != prefix.length() ? bits : prefix.length();
  if (le != le_without_word) text += fmt::format(" le {}", le);
  return text;
}

bool Ceiling::admits(const Prefix& candidate) const {
  return std::any_of(rules_.begin(), rules_.end(),
                     [&](const CeilingRule& rule) { return rule.admits(candidate); });
}

bool Ceiling::covers(const IpAddress& address) const {
  return std::any_of(rules_.begin(), rules_.end(),
                     [&](const CeilingRule& rule) { return rule.prefix.contains(address); });
}

}  // namespace greywire::routing
