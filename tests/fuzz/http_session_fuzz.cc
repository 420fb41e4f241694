// Any bytes on the metrics port: never a crash, replies that begin as HTTP does, and the same whether they come at once or
// one by one.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "overlay/control/http_session.h"

namespace {

std::string feed(std::string_view input, std::size_t step) {
  using namespace greywire::control;
  HttpSession session([](std::string_view path) { return HttpReply{path == "/metrics" ? 200U : 404U, std::string(path)}; });
  std::string out;
  for (std::size_t at = 0; at < input.size() && !session.finished(); at += step) {
    auto part = input.substr(at, step);
    while (!part.empty() && !session.finished()) {
      std::string reply;
      const auto used = session.consume(part, reply);
      if (used == 0 || used > part.size()) std::abort();
      if (!reply.empty() && !reply.starts_with("HTTP/1.1 ")) std::abort();
      part.remove_prefix(used);
      out += reply;
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  if (feed(input, 1) != feed(input, size == 0 ? 1 : size)) std::abort();
  return 0;
}
