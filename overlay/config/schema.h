// The one table of what a config file may hold: every key with its section, type, default, meaning and reader. The
// parser is driven by it and docs/config.md is printed from it, so the two cannot differ.
//
// Constant data, any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/config/config.h"
#include "overlay/config/toml_document.h"

namespace greywire::config {

enum class Presence : std::uint8_t { kOptional, kRequired };
enum class Scope : std::uint8_t { kShared, kOwn };  // kOwn: means one peer alone, so it cannot be in [peer_defaults]

struct KeyDoc {
  std::string_view name;
  std::string_view type;      // follows "must be": "a port from 1 to 65535"
  std::string_view fallback;  // as it would be written, or in words; empty: none
  std::string_view meaning;   // one line of Markdown without '|'
  Presence presence = Presence::kOptional;
  Scope scope = Scope::kShared;
};

class Reading;  // reading.h

template <class Section>
struct Key {
  KeyDoc doc;
  void (*read)(Reading&, const TomlNode&, Section&);
};

template <class Section>
std::vector<KeyDoc> docs_of(std::span<const Key<Section>> keys) {
  std::vector<KeyDoc> out;
  for (const auto& key : keys) out.push_back(key.doc);
  return out;
}

std::span<const Key<Site>> site_keys();
std::span<const Key<Peer>> peer_keys();
std::span<const Key<Tunnel>> tunnel_keys();
std::span<const Key<Underlay>> underlay_keys();
std::span<const Key<Routing>> routing_keys();

struct SectionDoc {
  std::string_view name;     // "peer"
  std::string_view header;   // "[[peer]]"
  std::string_view meaning;  // Markdown
  std::vector<KeyDoc> keys;  // empty where the names are free ([prefix_sets])
};

std::vector<SectionDoc> sections();  // all of them, in the order of the reference

// The reference of all sections and keys as Markdown, what stands between the marks in docs/config.md.
std::string reference_markdown();
std::string reference_markdown(std::span<const SectionDoc> documented);

}  // namespace greywire::config
