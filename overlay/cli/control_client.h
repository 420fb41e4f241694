// The asking side of the control socket: one request, one reply, blocking, each with a time-out.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "router/base/result.h"

namespace greywire::cli {

inline constexpr std::size_t kMaxReply = 1ULL << 30;  // bytes; a table of 10^6 routes takes about 150 MB

// Sends `request` to the daemon on `socket_path` and returns the reply's "result". `timeout` bounds each
// silence of the daemon, not the whole. Error codes: ENOENT or ECONNREFUSED (no daemon answers), EACCES,
// ETIMEDOUT, EPROTO (what came is no reply), 0 (the daemon said no; the text is the daemon's).
Result<boost::json::value> ask_daemon(const std::string& socket_path, const boost::json::object& request,
                                      std::chrono::milliseconds timeout = std::chrono::seconds(10));

// The daemon that a command is meant for: `socket` as it is; else DIRECTORY/`site`.sock; else the only one
// that answers in `directory`. Errors list the sites that run there (code 0), or say that none does (ENOENT),
// or EACCES.
Result<std::string> choose_socket(const std::string& socket, const std::string& site,
                                  const std::string& directory);

}  // namespace greywire::cli
