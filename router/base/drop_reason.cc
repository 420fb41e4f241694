#include "router/base/drop_reason.h"

namespace greywire {
namespace {

struct Row {
  std::string_view name;
  std::string_view meaning;
};

constexpr Row kRows[] = {
#define GREYWIRE_X(name, wire, text) {wire, text},
    GREYWIRE_DROP_REASONS(GREYWIRE_X)
#undef GREYWIRE_X
};

}  // namespace

std::string_view drop_reason_name(DropReason reason) { return kRows[static_cast<std::size_t>(reason)].name; }
std::string_view drop_reason_meaning(DropReason reason) { return kRows[static_cast<std::size_t>(reason)].meaning; }

}  // namespace greywire
