// Serves the UAPI of an in-memory device until its socket is removed or a signal comes, for
// tests/net/test_uapi_wg:
//   uapi_fake IFNAME [ALLOWED_IPS]    with a peer of ALLOWED_IPS learned prefixes besides
// Prints "ready" once the socket is there. The device's listen port 666 is always taken.
#include <fmt/format.h>

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdlib>

#include "overlay/control/uapi_server.h"
#include "tests/net/lib/fake_device.h"

int main(int argc, char** argv) {
  using namespace greywire;
  if (argc < 2) return 2;
  boost::asio::io_context io;
  testing::FakeDevice device;
  device.busy_port = 666;
  if (argc > 2) {
    auto& peer = device.state.peers.emplace_back();
    peer.public_key =
        *PublicKey::from_hex("58402e695ba1772b1cc9309755f043251ea77fdcf10fbe63989ceb7e19321376");
    peer.origin = Origin::kConfig;
    const auto count = static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10));
    for (std::uint32_t i = 0; i < count; ++i) {
      peer.allowed_ips.push_back({Prefix::host(IpAddress::v4(0x0a000000U + i)), Origin::kLearned});
    }
  }
  auto server = control::serve_uapi(io, argv[1], device, [&io] { io.stop(); });
  if (!server) {
    fmt::print(stderr, "uapi_fake: {}\n", server.error().text);
    return 1;
  }
  boost::asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&io](boost::system::error_code, int) { io.stop(); });
  fmt::print("ready\n");
  std::fflush(stdout);
  io.run();
  return 0;
}
