// Any bytes on the control socket: every line gets exactly one JSON line back, and any JSON is read as a
// report or refused, never a crash.
#include <algorithm>
#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "overlay/control/control_session.h"
#include "overlay/control/site_status_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace greywire;
  control::ControlCommands commands;
  commands.add("read", [](const boost::json::object& request) -> Result<boost::json::value> {
    const auto* value = request.if_contains("value");
    if (value == nullptr) return Error{"no value"};
    const auto status = control::site_status_from_json(*value);
    const auto routes = control::routes_from_json(*value);
    const auto explain = control::explain_from_json(*value);
    if (!status) return status.error();
    if (control::to_json(*status).as_object().empty()) std::abort();
    return *value;
  });
  control::ControlSession session(commands);
  std::string_view rest(reinterpret_cast<const char*>(bytes), size);
  const auto feed = [&](std::string_view part) {
    while (!part.empty() && !session.finished()) {
      std::string reply;
      const std::size_t used = session.consume(part, reply);
      if (used == 0 || used > part.size()) std::abort();
      part.remove_prefix(used);
      const auto lines = std::count(reply.begin(), reply.end(), '\n');
      if (lines > 1 || (lines == 1 && reply.back() != '\n')) std::abort();
    }
  };
  feed(rest);
  feed("\n");
  // The input once more as the value of a request, so that the report readers see whatever is JSON.
  feed("{\"command\":\"read\",\"value\":");
  feed(rest);
  feed("}\n");
  return 0;
}
