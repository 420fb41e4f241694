// One client's side of a request/reply protocol over a byte stream, without the stream: bytes in, bytes out.
// LocalServer carries the bytes; tests and fuzzers feed them by hand. One thread, the control thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace greywire::control {

class StreamSession {
 public:
  virtual ~StreamSession() = default;

  // Takes bytes up to the end of the first request that yields a reply, appends that reply to `reply` and
  // says how many bytes were taken. Fewer than given means: write the reply, then call again with the rest.
  // An incomplete request is kept inside, within a bound. `bytes` is not kept.
  virtual std::size_t consume(std::string_view bytes, std::string& reply) = 0;

  // The client sent its last byte, or is gone, or was cut off. Nothing is consumed afterwards.
  virtual void end_of_input(std::string& reply) = 0;

  // True once the connection is to be closed after the last reply.
  virtual bool finished() const = 0;

  // True between requests: only then may a server close a quiet client in favour of a new one.
  virtual bool idle() const = 0;
};

}  // namespace greywire::control
