// What the commands that ask a daemon share: their options, asking, and how failures are told.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "overlay/cli/command_line.h"
#include "router/base/result.h"

namespace greywire::cli {

struct Options {
  std::string socket;
  std::string site;
  bool json = false;
  std::string address;   // explain
  std::string file;      // check, diff; capture -w; mesh: the inventory
  std::string name;      // a peer, tunnel or segment; import, mesh: the site
  std::vector<std::string> files;  // import
  std::string links;               // import
  std::string out;                 // import, mesh build and diff: a folder
  bool first_key = false;          // import
  bool all = false;      // drops
  bool host = false;     // check
  bool follow = false;   // events
  unsigned count = 0;    // ping, top; 0: the command's own
  double interval = 1;   // seconds, ping and top
  unsigned size = 0;     // bytes, ping
  bool outer = false;    // capture
  unsigned confirm = 0;  // seconds, reload; 0: not on trial
  std::string shell;     // completion
  std::string page;      // man
  std::string key;       // mesh enroll: a file; mesh add-key: a public key
  bool rotate = false;   // mesh add-key
  std::string format = "dot";  // mesh graph
};

// One line on `err`, and the code back.
ExitCode complain(const Surroundings& around, ExitCode code, std::string_view text);
ExitCode code_of(const Error& error);
// Of a file that could not be read or written: kNoPermission where it is not permitted, else `otherwise`.
ExitCode code_of_file(const Error& error, ExitCode otherwise);

// The socket of the daemon that is meant; where there is none it is told, and `code` says how to end.
Result<std::string> socket_of(const Surroundings& around, const Options& options, ExitCode& code);

// Asks the daemon and hands its answer to `show`; a failure is told and becomes the exit code, `refused` where the daemon
// answered with an error.
ExitCode ask(const Surroundings& around, const Options& options, const boost::json::object& request,
             const std::function<ExitCode(const boost::json::value&)>& show, ExitCode refused = ExitCode::kDaemonFailed);

}  // namespace greywire::cli
