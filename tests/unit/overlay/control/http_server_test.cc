#include "overlay/control/http_server.h"

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <string>
#include <vector>

#include "tests/net/lib/local_socket_client.h"

namespace greywire::control {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;

class Server {
 public:
  explicit Server(HttpServerOptions options = {}) {
    options.listen = *Endpoint::parse(where);
    thread.run([&] {
      auto made = HttpServer::listen(thread.io, options, [](std::string_view path) { return HttpReply{200, std::string(path)}; });
      ASSERT_TRUE(made) << made.error().text;
      server = std::move(*made);
      port = server->address().port;
    });
  }
  ~Server() {
    thread.run([&] { server.reset(); });
  }
  static constexpr const char* where = "127.0.0.1:0";
  testing::ControlThread thread;
  std::unique_ptr<HttpServer> server;
  std::uint16_t port = 0;
};

// A blocking client; what it reads until the server closes.
struct Client {
  explicit Client(std::uint16_t port) : socket(io) {
    socket.connect(tcp::endpoint(asio::ip::make_address("127.0.0.1"), port));
  }
  void send(const std::string& text) { asio::write(socket, asio::buffer(text)); }
  std::string rest() {
    std::string out;
    boost::system::error_code ec;
    asio::read(socket, asio::dynamic_buffer(out), ec);
    return out;
  }
  asio::io_context io;
  tcp::socket socket;
};

TEST(HttpServer, AnswersByTcp) {
  Server server;
  Client client(server.port);
  client.send("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nConnection: close\r\n\r\n");
  const auto out = client.rest();
  EXPECT_NE(out.find("\r\n\r\n/a"), std::string::npos) << out;
  EXPECT_TRUE(out.ends_with("\r\n\r\n/b")) << out;
}

TEST(HttpServer, WhoStallsIsCutOffAndWhoIsQuietMakesWay) {
  Server server({.listen = {}, .max_clients = 2, .stall_timeout = 1s});
  Client slow(server.port);
  slow.send("GET /a HT");
  EXPECT_EQ(slow.rest(), "");  // after a second
  std::vector<std::unique_ptr<Client>> quiet;
  for (int i = 0; i < 40; ++i) quiet.push_back(std::make_unique<Client>(server.port));
  Client busy(server.port);
  busy.send("GET /b HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(busy.rest().ends_with("/b"));
}

TEST(HttpServer, AnAddressThatIsTakenIsNamed) {
  Server server;
  testing::ControlThread thread;
  thread.run([&] {
    HttpServerOptions options;
    options.listen = {*IpAddress::parse("127.0.0.1"), server.port};
    const auto second = HttpServer::listen(thread.io, options, [](std::string_view) { return HttpReply{}; });
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, EADDRINUSE);
    EXPECT_NE(second.error().text.find("cannot listen on 127.0.0.1:"), std::string::npos) << second.error().text;
  });
}

}  // namespace
}  // namespace greywire::control
