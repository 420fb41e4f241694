// What the readers of single keys share: turning TOML values into types, with a message where one does not fit.
// One object lives for one parse; not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "overlay/config/schema.h"

namespace greywire::config {

using PrefixSets = std::map<std::string, std::vector<routing::CeilingRule>, std::less<>>;

template <class Value>
struct Choice {
  std::string_view word;
  Value value;
};

class Reading {
 public:
  explicit Reading(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  Diagnostics& diagnostics() { return diagnostics_; }
  PrefixSets& prefix_sets() { return prefix_sets_; }
  void start_key(const KeyDoc& doc) { doc_ = &doc; }  // the key that the messages below are about

  // Each of these stores into `out`, or leaves it alone and adds an error.
  template <class Parse, class Out>
  void text(const TomlNode& node, Parse parse, Out& out) {
    if (node.kind != TomlNode::Kind::kString) return wrong_type(node);
    auto value = parse(std::string_view(node.text));
    if (value) {
      out = std::move(*value);
    } else {
      refuse(node, value.error().text);
    }
  }
  template <class Parse, class Out>
  void list(const TomlNode& node, Parse parse, std::vector<Out>& out) {  // one text counts as a list of one
    out.clear();
    for (const auto& item : items(node)) {
      std::optional<Out> value;
      text(item, parse, value);
      if (value) out.push_back(std::move(*value));
    }
  }
  template <class Out>
  void integer(const TomlNode& node, std::int64_t least, std::int64_t greatest, Out& out) {
    if (node.kind != TomlNode::Kind::kInteger || node.integer < least || node.integer > greatest) return wrong_type(node);
    if constexpr (requires { typename Out::value_type; }) {
      out = static_cast<typename Out::value_type>(node.integer);
    } else {
      out = static_cast<Out>(node.integer);
    }
  }
  template <class Out>
  void mtu(const TomlNode& node, Out& out) {
    std::optional<std::uint32_t> bytes;
    integer(node, kLeastMtu, kGreatestMtu, bytes);
    if (bytes) out = Mtu{*bytes};
  }
  template <class Out>
  void boolean(const TomlNode& node, Out& out) {
    if (node.kind != TomlNode::Kind::kBoolean) return wrong_type(node);
    out = node.boolean;
  }
  template <class Value, class Out>
  void choice(const TomlNode& node, std::span<const Choice<std::type_identity_t<Value>>> choices, Out& out) {
    std::vector<std::string_view> words;
    for (const auto& choice : choices) {
      if (node.kind == TomlNode::Kind::kString && choice.word == node.text) {
        out = choice.value;
        return;
      }
      words.push_back(choice.word);
    }
    wrong_choice(node, words);
  }
  void path(const TomlNode& node, std::string& out);         // not empty, no NUL
  void socket_path(const TomlNode& node, std::string& out);  // absolute, at most 107 bytes (unix(7), sun_path)
  void prefix_rules(const TomlNode& node, std::vector<routing::CeilingRule>& out, bool sets_allowed);

  void wrong_type(const TomlNode& node);                          // "'key' must be TYPE, not …"
  void refuse(const TomlNode& node, std::string_view error);      // "'key': error"

 private:
  void wrong_choice(const TomlNode& node, std::span<const std::string_view> words);
  static std::span<const TomlNode> items(const TomlNode& node);

  Diagnostics& diagnostics_;
  PrefixSets prefix_sets_;
  const KeyDoc* doc_ = nullptr;
};

}  // namespace greywire::config
