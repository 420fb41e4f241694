// Result<T>: a value or an Error, for control paths. The data path uses DropReason instead.
#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <utility>

namespace greywire {

// `text` names the thing and the way out, in one plain line. `code` is an errno value where the system said no, else 0.
struct Error {
  std::string text;
  int code = 0;
};

[[noreturn]] inline void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw std::runtime_error(error.text);
}

template <class T>
using Result = boost::system::result<T, Error>;

}  // namespace greywire
