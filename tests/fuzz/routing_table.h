// What a routing adapter is given in the fuzz targets of its sources: a table that insists on removals of what is there, and
// nobody who listens.
#pragma once

#include <map>

#include "routing/adapter.h"
#include "tests/fuzz/check.h"

namespace greywire::routing::fuzz {

struct Table final : AllowedIpsSink {
  void define_group(NextHopGroupId, std::span<const WeightedPeer>) override {}
  void drop_group(NextHopGroupId) override {}
  void for_each_learned(const std::function<void(const LearnedChange&)>& visit) override {
    for (const auto& [prefix, change] : entries) visit(change);
  }
  void apply(std::span<const LearnedChange> changes) override {
    for (const auto& change : changes) {
      if (change.action == LearnedChange::Action::kRemove) {
        FUZZ_CHECK(entries.erase(change.prefix) == 1);
      } else {
        entries[change.prefix] = change;
      }
    }
  }
  std::map<Prefix, LearnedChange> entries;
};

struct Silent final : RoutingEvents {
  void notice(std::string_view) override {}
  void alert(std::string_view) override {}
};

}  // namespace greywire::routing::fuzz
