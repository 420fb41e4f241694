#include "routing/route.h"

namespace greywire::routing {

std::string_view source_state_name(SourceState state) {
  switch (state) {
    case SourceState::kDown:
      return "down";
    case SourceState::kConnecting:
      return "connecting";
    case SourceState::kIdentifying:
      return "identifying";
    case SourceState::kSyncing:
      return "syncing";
    case SourceState::kSynced:
      return "synced";
  }
  return "unknown";
}

}  // namespace greywire::routing
