// Any bytes on the UAPI socket, in any cuts: no crash, no reply without an errno, bounded memory.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "overlay/control/uapi_codec.h"
#include "tests/net/lib/fake_device.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace greywire;
  if (size < 1) return 0;
  const std::size_t step = 1 + bytes[0] % 64;
  const std::string_view input(reinterpret_cast<const char*>(bytes + 1), size - 1);
  testing::FakeDevice device;
  control::UapiSession session(device, [](const std::string&) { return 0U; });
  const auto check = [](const std::string& reply) {
    if (!reply.empty() && (!reply.ends_with("\n\n") || reply.find("errno=") == std::string::npos))
      std::abort();
  };
  for (std::size_t at = 0; at < input.size() && !session.finished(); at += step) {
    std::string_view part = input.substr(at, step);
    while (!part.empty() && !session.finished()) {
      std::string reply;
      const std::size_t used = session.consume(part, reply);
      if (used == 0 || used > part.size()) std::abort();
      part.remove_prefix(used);
      check(reply);
    }
  }
  std::string reply;
  if (!session.finished()) session.end_of_input(reply);
  check(reply);
  return 0;
}
