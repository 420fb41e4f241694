#include "overlay/config/config.h"

namespace greywire::config {

const Peer* Config::find_peer(std::string_view name) const {
  for (const auto& peer : peers) {
    if (peer.name == name) return &peer;
  }
  return nullptr;
}

std::string_view to_string(TunnelKind kind) { return kind == TunnelKind::kGre ? "gre" : "gretap"; }

std::string_view to_string(SourceCheck check) { return check == SourceCheck::kCeiling ? "ceiling" : "strict"; }

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace: return "trace";
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "info";
}

}  // namespace greywire::config
