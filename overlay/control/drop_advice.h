// What to do about packets that were not delivered: one line for people, beside drop_reason_meaning. Constant, any thread.
#pragma once

#include <string_view>

#include "router/base/drop_reason.h"

namespace greywire::control {

std::string_view drop_advice(DropReason reason);

}  // namespace greywire::control
