// The control protocol of a site's daemon: one JSON object a line in, one JSON object a line out.
//
//   {"command":"status"}                        -> {"ok":true,"result":{…}}
//   {"command":"explain","address":"10.2.3.4"}  -> {"ok":true,"result":{…}}
//   {"command":"stauts"}                        -> {"ok":false,"error":"unknown command 'stauts' (known: …)"}
//
// A line that is no JSON object is answered with an error and the connection stays usable; a line longer than
// kMaxControlRequest is answered with an error and ends it. Empty lines are skipped. Control thread only.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "overlay/control/stream_session.h"
#include "router/base/result.h"

namespace greywire::control {

inline constexpr std::size_t kMaxControlRequest = 64 * 1024;  // bytes a line
inline constexpr std::size_t kMaxControlDepth = 16;           // nesting of JSON

// Answers one command. Returns what goes into "result", or an Error whose text goes into "error".
using Provider = std::function<Result<boost::json::value>(const boost::json::object& request)>;

class ControlCommands {
 public:
  void add(std::string name, Provider provider) { providers_[std::move(name)] = std::move(provider); }

  // One request line without its newline to one reply line with it. Never throws.
  std::string answer(std::string_view line) const;

 private:
  std::map<std::string, Provider, std::less<>> providers_;
};

class ControlSession final : public StreamSession {
 public:
  // `commands` outlives the session.
  explicit ControlSession(const ControlCommands& commands) : commands_(commands) {}

  std::size_t consume(std::string_view bytes, std::string& reply) override;
  void end_of_input(std::string& reply) override;  // an unfinished line is not answered
  bool finished() const override { return finished_; }
  bool idle() const override { return line_.empty(); }

 private:
  const ControlCommands& commands_;
  std::string line_;
  bool finished_ = false;
};

}  // namespace greywire::control
