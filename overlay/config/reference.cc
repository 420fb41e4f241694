#include <fmt/format.h>

#include "overlay/config/schema.h"

namespace greywire::config {
namespace {

std::vector<KeyDoc> default_docs() {
  std::vector<KeyDoc> out;
  for (const auto& key : peer_keys()) {
    if (key.doc.scope == Scope::kShared) out.push_back(key.doc);
  }
  return out;
}

std::string key_row(const KeyDoc& key) {
  const bool as_written = !key.fallback.empty() && (key.fallback.front() == '"' || key.fallback == "true" ||
                                                    key.fallback == "false" ||
                                                    key.fallback.find_first_not_of("0123456789") == key.fallback.npos);
  std::string fallback(key.fallback);
  if (key.presence == Presence::kRequired) {
    fallback = "**required**";
  } else if (as_written && key.fallback.find(' ', 1) == key.fallback.npos) {
    fallback = fmt::format("`{}`", key.fallback);
  }
  return fmt::format("| `{}` | {} | {} | {} |\n", key.name, key.type, fallback, key.meaning);
}

}  // namespace

std::vector<SectionDoc> sections() {
  return {
      {"site", "[site]", "This site. Required.", docs_of(site_keys())},
      {"prefix_sets", "[prefix_sets]",
       "Named lists of `accept` rules: `NAME = [\"PREFIX ge LENGTH le LENGTH\", …]`, used as `\"@NAME\"`. A set cannot hold "
       "another set.",
       {}},
      {"peer_defaults", "[peer_defaults]",
       "Values for every `[[peer]]` that does not set its own; a list is replaced, not added to. It takes the keys of "
       "`[[peer]]` but those that mean one peer alone (`name`, `public_key`, `endpoint`, `overlay_address`, "
       "`allowed_ips`).",
       default_docs()},
      {"peer", "[[peer]]", "Another site. Once for each.", docs_of(peer_keys())},
      {"tunnel", "[[tunnel]]", "A GRE or GRETAP link to a peer. Once for each.", docs_of(tunnel_keys())},
      {"underlay", "[underlay]",
       "Where outer packets go. By default they carry a mark, and a rule of ours keeps them off the routes through the "
       "tunnel.",
       docs_of(underlay_keys())},
      {"routing", "[routing]", "Where routes are learned from. Without the section nothing is learned.",
       docs_of(routing_keys())},
  };
}

std::string reference_markdown(std::span<const SectionDoc> documented) {
  std::string out;
  for (const auto& section : documented) {
    out += fmt::format("\n### `{}`\n\n{}\n", section.header, section.meaning);
    if (section.keys.empty() || section.name == "peer_defaults") continue;
    out += "\n| key | value | default | meaning |\n|---|---|---|---|\n";
    for (const auto& key : section.keys) out += key_row(key);
  }
  return out;
}

std::string reference_markdown() { return reference_markdown(sections()); }

}  // namespace greywire::config
