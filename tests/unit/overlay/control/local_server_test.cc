#include "overlay/control/local_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "overlay/control/control_api.h"
#include "overlay/control/local_socket.h"
#include "overlay/control/uapi_server.h"
#include "tests/net/lib/fake_device.h"
#include "tests/net/lib/local_socket_client.h"

namespace greywire::control {
namespace {

using testing::ControlThread;
using testing::FakeDevice;
using testing::LocalClient;
using testing::TemporaryDirectory;
using namespace std::chrono_literals;

constexpr char kEnd[] = "\n\n";
constexpr char kPeer[] = "public_key=b85996fecc9c7f1fc6d2572a76eda11d59bcd20be8e543b15ce4bd85a8e75a33\n";

// A UAPI server of a fake device on its own control thread.
class UapiServer {
 public:
  explicit UapiServer(LocalServerOptions options, std::function<void()> on_removed = {}) {
    thread.run([&] {
      auto made = serve_uapi(thread.io, std::move(options), device, std::move(on_removed));
      if (made) {
        server = std::move(*made);
      } else {
        error = made.error();
      }
    });
  }
  ~UapiServer() { stop(); }
  void stop() {
    thread.run([&] { server.reset(); });
  }

  FakeDevice device;
  std::unique_ptr<LocalServer> server;
  Error error;
  ControlThread thread;
};

LocalServerOptions at(const std::string& path) {
  LocalServerOptions options;
  options.path = path;
  return options;
}

mode_t mode_of(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
}

// Leaves what a killed daemon leaves: a socket file that nobody listens on.
void leave_stale_socket(const std::string& path) {
  auto bound = bind_local_socket(path, 0700);
  ASSERT_TRUE(bound);
  ::close(bound->fd);
}

TEST(LocalServer, MakesDirectoryAndPrivateSocketAndTakesThemAway) {
  TemporaryDirectory directory;
  const auto path = directory / "run/wireguard/gw0.sock";
  const mode_t before = ::umask(0);
  {
    UapiServer uapi(at(path));
    ::umask(before);
    ASSERT_TRUE(uapi.server);
    EXPECT_EQ(mode_of(path), 0600U);
    EXPECT_EQ(mode_of(directory / "run/wireguard"), 0700U);
    EXPECT_EQ(LocalClient(path).ask("set=1\nlisten_port=7\n\n", kEnd), "errno=0\n\n");
    EXPECT_EQ(LocalClient(path).ask("get=1\n\n", kEnd), "listen_port=7\nerrno=0\n\n");
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(LocalServer, ReplacesAStaleSocket) {
  TemporaryDirectory directory;
  const auto path = directory / "gw0.sock";
  leave_stale_socket(path);
  EXPECT_FALSE(LocalClient(path).connected());
  UapiServer uapi(at(path));
  ASSERT_TRUE(uapi.server) << uapi.error.text;
  EXPECT_EQ(LocalClient(path).ask("get=1\n\n", kEnd), "errno=0\n\n");
}

TEST(LocalServer, RefusesThePathOfALiveDaemon) {
  TemporaryDirectory directory;
  const auto path = directory / "gw0.sock";
  UapiServer first(at(path));
  {
    UapiServer second(at(path));
    EXPECT_FALSE(second.server);
    EXPECT_EQ(second.error.code, EADDRINUSE);
    EXPECT_NE(second.error.text.find("another daemon answers on " + path), std::string::npos)
        << second.error.text;
  }
  EXPECT_EQ(LocalClient(path).ask("get=1\n\n", kEnd), "errno=0\n\n");
}

TEST(LocalServer, RefusesWhatIsNoSocketAndPathsThatDoNotFit) {
  TemporaryDirectory directory;
  const auto file = directory / "gw0.sock";
  ::close(::open(file.c_str(), O_CREAT | O_WRONLY, 0600));
  EXPECT_EQ(UapiServer(at(file)).error.code, EEXIST);
  EXPECT_TRUE(std::filesystem::is_regular_file(file));
  EXPECT_EQ(UapiServer(at(directory / std::string(108, 'x'))).error.code, ENAMETOOLONG);
  EXPECT_EQ(UapiServer(at("")).error.code, ENAMETOOLONG);
  EXPECT_EQ(UapiServer(at(file + "/below/gw0.sock")).error.code, ENOTDIR);
}

TEST(LocalServer, AClientThatStopsInTheMiddleHindersNobodyAndIsCutOff) {
  TemporaryDirectory directory;
  auto options = at(directory / "gw0.sock");
  options.stall_timeout = 100ms;
  UapiServer uapi(options);
  LocalClient stuck(options.path);
  stuck.send(std::string("set=1\nlisten_port=9\n") + kPeer + "allowed_ip=10.0.0.0/8\nallowed_ip=11.0");
  EXPECT_EQ(LocalClient(options.path).ask("get=1\n\n", kEnd).substr(0, 14), "listen_port=9\n");
  EXPECT_EQ(stuck.read_to_end(), "<end>");
  // What stood before stays, but half a line is nothing.
  uapi.thread.run([&] {
    ASSERT_EQ(uapi.device.state.peers.size(), 1U);
    EXPECT_EQ(uapi.device.state.peers[0].allowed_ips.size(), 1U);
  });
}

TEST(LocalServer, AClientThatDoesNotReadHindersNobodyAndIsCutOff) {
  TemporaryDirectory directory;
  auto options = at(directory / "gw0.sock");
  options.stall_timeout = 1s;
  UapiServer uapi(options);
  uapi.thread.run([&] {
    auto& peer = uapi.device.state.peers.emplace_back();
    for (std::uint32_t i = 0; i < 100000; ++i) {
      peer.allowed_ips.push_back({Prefix::host(IpAddress::v4(0x0a000000U + i)), Origin::kLearned});
    }
  });
  LocalClient deaf(options.path);
  deaf.send("get=1\n\n");
  const auto whole = LocalClient(options.path).ask("get=1\n\n", "errno=0\n\n");
  EXPECT_TRUE(whole.ends_with("allowed_ip=10.1.134.159/32\nerrno=0\n\n"));
  // Only once the server has given up does the deaf one listen: the answer is there in part, and then it
  // ends.
  for (bool gone = false; !gone; std::this_thread::yield()) {
    uapi.thread.run([&] { gone = uapi.server->client_count() == 0; });
  }
  const auto part = deaf.read_to_end();
  EXPECT_LT(part.size(), whole.size());
  EXPECT_TRUE(part.ends_with("<end>"));
}

TEST(LocalServer, AnIdleClientStaysAndMakesWayOnlyWhenTheHouseIsFull) {
  TemporaryDirectory directory;
  auto options = at(directory / "gw0.sock");
  options.max_clients = 2;
  options.stall_timeout = 60s;
  UapiServer uapi(options);
  LocalClient idle(options.path);
  LocalClient busy(options.path);
  EXPECT_EQ(idle.ask("get=1\n\n", kEnd), "errno=0\n\n");
  EXPECT_EQ(busy.ask("get=1\n\nset=1\n", kEnd), "errno=0\n\n");
  LocalClient third(options.path);
  EXPECT_EQ(third.ask("get=1\n\n", kEnd), "errno=0\n\n");
  EXPECT_EQ(idle.read_to_end(), "<end>");
  third.send("set=1\nlisten_port=5\n");
  for (bool seen = false; !seen; std::this_thread::yield()) {
    uapi.thread.run([&] { seen = uapi.device.state.listen_port == 5; });
  }
  EXPECT_EQ(LocalClient(options.path).read_to_end(), "<end>");
  EXPECT_EQ(busy.ask("\n", kEnd), "errno=0\n\n");
}

TEST(LocalServer, ManyClientsWithInterleavedRequests) {
  TemporaryDirectory directory;
  UapiServer uapi(at(directory / "gw0.sock"));
  std::vector<std::unique_ptr<LocalClient>> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(std::make_unique<LocalClient>(uapi.server->path()));
  for (const char* part : {"ge", "t=", "1\n", "\nset=1\nlisten_port=0", "\n"}) {
    for (const auto& client : clients) client->send(part);
  }
  for (const auto& client : clients) {
    const auto first = client->read_until(kEnd);
    EXPECT_TRUE(first == "errno=0\n\n" || first == "listen_port=40000\nerrno=0\n\n") << first;
    EXPECT_EQ(client->ask("\n", kEnd), "errno=0\n\n");
  }
}

TEST(LocalServer, ClosesAfterAnAnswerThatEndsTheSession) {
  TemporaryDirectory directory;
  UapiServer uapi(at(directory / "gw0.sock"));
  EXPECT_EQ(LocalClient(uapi.server->path()).ask("GET / HTTP/1.1\r\n\r\n", "<end>"), "errno=-71\n\n<end>");
  LocalClient half(uapi.server->path());
  half.send("set=1\nlisten_port=3\n");
  half.stop_sending();
  EXPECT_EQ(half.read_to_end(), "errno=0\n\n<end>");
  LocalClient probing(uapi.server->path());  // as `wg show` does: connects and closes
}

TEST(LocalServer, TellsOnceThatItsSocketIsGoneAndLeavesAForeignFileAlone) {
  for (const bool replaced : {false, true}) {
    TemporaryDirectory directory;
    auto options = at(directory / "gw0.sock");
    options.watch_interval = 5ms;
    std::promise<void> removed;
    auto gone = removed.get_future();
    UapiServer uapi(options, [&] { removed.set_value(); });
    LocalClient before(options.path);
    EXPECT_EQ(before.ask("get=1\n\n", kEnd), "errno=0\n\n");
    ::unlink(options.path.c_str());
    if (replaced) leave_stale_socket(options.path);
    ASSERT_EQ(gone.wait_for(10s), std::future_status::ready);
    EXPECT_EQ(before.ask("get=1\n\n", kEnd), "errno=0\n\n");
    uapi.stop();
    EXPECT_EQ(std::filesystem::exists(options.path), replaced);
    EXPECT_EQ(before.read_to_end(), "<end>");
  }
}

TEST(ControlApi, AnswersOverItsSocket) {
  TemporaryDirectory directory;
  ControlThread thread;
  ControlApi api;
  api.add_command("echo", [](const boost::json::object& request) -> Result<boost::json::value> {
    return request.at("text");
  });
  std::string failure;
  thread.run([&] {
    if (auto listening = api.listen(thread.io, directory / "ams.sock"); !listening)
      failure = listening.error().text;
  });
  ASSERT_EQ(failure, "");
  EXPECT_EQ(mode_of(directory / "ams.sock"), 0600U);
  LocalClient client(directory / "ams.sock");
  EXPECT_EQ(client.ask("{\"command\":\"echo\",\"text\":\"a\"}\n", "\n"), "{\"ok\":true,\"result\":\"a\"}\n");
  EXPECT_EQ(client.ask("rubbish\n", "\n").substr(0, 11), "{\"ok\":false");
  EXPECT_EQ(client.ask("{\"command\":\"echo\",\"text\":2}\n", "\n"), "{\"ok\":true,\"result\":2}\n");
  thread.run([&] { api.stop(); });
  EXPECT_EQ(client.read_to_end(), "<end>");
}

TEST(ControlApi, AnswersNobodyButRootAndItsOwnUser) {
  TemporaryDirectory directory;
  ASSERT_EQ(::chmod(directory.path().c_str(), 0711), 0);
  const auto path = directory / "ams.sock";
  ControlThread thread;
  ControlApi api;
  thread.run([&] { ASSERT_TRUE(api.listen(thread.io, path)); });
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  std::string answer;
  std::thread stranger([&] {
    // The raw call changes this thread's user only.
    ASSERT_EQ(::syscall(SYS_setresuid, 65534, 65534, 65534), 0);
    answer = LocalClient(path).ask("{\"command\":\"status\"}\n", "\n");
  });
  stranger.join();
  EXPECT_EQ(answer, "<end>");
  thread.run([&] { api.stop(); });
}

}  // namespace
}  // namespace greywire::control
