#include "overlay/config/reading.h"

#include <fmt/format.h>

#include "overlay/config/near_miss.h"

namespace greywire::config {
namespace {

constexpr std::size_t kLongestSocketPath = 107;

}  // namespace

std::span<const TomlNode> Reading::items(const TomlNode& node) {
  if (node.kind == TomlNode::Kind::kList) return node.items;
  return {&node, 1};
}

void Reading::wrong_type(const TomlNode& node) {
  diagnostics_.error(node.at, fmt::format("'{}' must be {}, not {}", doc_->name, doc_->type, node.description()));
}

void Reading::refuse(const TomlNode& node, std::string_view error) {
  diagnostics_.error(node.at, fmt::format("'{}': {}", doc_->name, error));
}

void Reading::wrong_choice(const TomlNode& node, std::span<const std::string_view> words) {
  const auto hint = node.kind == TomlNode::Kind::kString ? did_you_mean(node.text, words) : std::string();
  diagnostics_.error(node.at, fmt::format("'{}' must be {}, not {}{}", doc_->name, doc_->type, node.description(), hint));
}

void Reading::path(const TomlNode& node, std::string& out) {
  if (node.kind != TomlNode::Kind::kString || node.text.empty()) return wrong_type(node);
  if (node.text.find('\0') != std::string::npos) return refuse(node, "a path cannot hold a NUL character");
  out = node.text;
}

void Reading::socket_path(const TomlNode& node, std::string& out) {
  std::string candidate;
  path(node, candidate);
  if (candidate.empty()) return;
  if (candidate.front() != '/') return refuse(node, fmt::format("'{}' must be an absolute path", candidate));
  if (candidate.size() > kLongestSocketPath) {
    return refuse(node, fmt::format("the path has {} characters: a unix socket's has at most {}", candidate.size(),
                                    kLongestSocketPath));
  }
  out = candidate;
}

void Reading::prefix_rules(const TomlNode& node, std::vector<routing::CeilingRule>& out, bool sets_allowed) {
  out.clear();
  for (const auto& item : items(node)) {
    const bool is_set = item.kind == TomlNode::Kind::kString && !item.text.empty() && item.text.front() == '@';
    if (!is_set) {
      std::optional<routing::CeilingRule> rule;
      text(item, routing::CeilingRule::parse, rule);
      if (rule) out.push_back(*rule);
      continue;
    }
    if (!sets_allowed) {
      refuse(item, fmt::format("'{}': a prefix set cannot hold another one", item.text));
      continue;
    }
    const auto name = std::string_view(item.text).substr(1);
    if (const auto found = prefix_sets_.find(name); found != prefix_sets_.end()) {
      out.insert(out.end(), found->second.begin(), found->second.end());
      continue;
    }
    std::vector<std::string_view> names;
    for (const auto& [known, rules] : prefix_sets_) names.push_back(known);
    refuse(item, fmt::format("[prefix_sets] has no '{}'{}", name, did_you_mean(name, names)));
  }
}

}  // namespace greywire::config
