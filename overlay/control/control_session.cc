#include "overlay/control/control_session.h"

#include <fmt/format.h>

#include <boost/json.hpp>

namespace greywire::control {
namespace {

namespace json = boost::json;

std::string error_line(std::string_view text) {
  json::object reply;
  reply["ok"] = false;
  reply["error"] = json::string(text);
  return json::serialize(reply) + "\n";
}

}  // namespace

std::string ControlCommands::answer(std::string_view line) const {
  json::parse_options options;
  options.max_depth = kMaxControlDepth;
  boost::system::error_code ec;
  const json::value request = json::parse(line, ec, {}, options);
  if (ec) return error_line(fmt::format("the request is not JSON: {}", ec.message()));
  const json::object* object = request.if_object();
  const json::value* command = object == nullptr ? nullptr : object->if_contains("command");
  if (command == nullptr || !command->is_string()) {
    return error_line("expected a JSON object with a string \"command\"");
  }
  const json::string& name = command->get_string();
  const auto found = providers_.find(std::string_view(name.data(), name.size()));
  if (found == providers_.end()) {
    std::string known;
    for (const auto& [known_name, provider] : providers_) known += (known.empty() ? "" : ", ") + known_name;
    return error_line(
        fmt::format("unknown command '{}' (known: {})", std::string_view(name.data(), name.size()), known));
  }
  auto result = found->second(*object);
  if (!result) return error_line(result.error().text);
  json::object reply;
  reply["ok"] = true;
  reply["result"] = std::move(*result);
  return json::serialize(reply) + "\n";
}

std::size_t ControlSession::consume(std::string_view bytes, std::string& reply) {
  const std::size_t reply_before = reply.size();
  std::size_t used = 0;
  while (used < bytes.size() && !finished_ && reply.size() == reply_before) {
    const std::size_t newline = bytes.find('\n', used);
    const bool complete = newline != std::string_view::npos;
    const auto part = bytes.substr(used, complete ? newline - used : std::string_view::npos);
    used += part.size() + (complete ? 1 : 0);
    if (line_.size() + part.size() > kMaxControlRequest) {
      reply.append(error_line(fmt::format("a request takes at most {} bytes", kMaxControlRequest)));
      finished_ = true;
      line_.clear();
      break;
    }
    line_.append(part);
    if (!complete) break;
    if (!line_.empty()) reply.append(commands_.answer(line_));
    line_.clear();
  }
  return finished_ ? bytes.size() : used;
}

void ControlSession::end_of_input(std::string&) {
  finished_ = true;
}

}  // namespace greywire::control
