#include "routing/zapi/client.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <time.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <optional>

#include "tests/unit/routing/zapi/wire.h"

namespace greywire::routing::zapi {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using Protocol = asio::local::stream_protocol;
using test::FakeZebra;

TimePoint clock_now() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return TimePoint(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
}

struct Recorder final : RouteSourceListener {
  void on_route(const Route& route, TimePoint) override { prefixes.push_back(route.prefix); }
  void on_withdraw(const Prefix&, TimePoint) override { ++withdrawn; }
  void on_source_state(SourceState s, std::string_view, std::string_view, TimePoint) override { state = s; }
  void on_source_notice(std::string_view line) override { notices.emplace_back(line); }
  TimePoint next_deadline() const override { return deadline; }
  void tick(TimePoint) override {
    ++ticks;
    deadline = kNever;
  }

  std::vector<Prefix> prefixes;
  std::vector<std::string> notices;
  SourceState state = SourceState::kDown;
  TimePoint deadline = kNever;
  int withdrawn = 0;
  int ticks = 0;
};

// A zebra on a socket in the same io_context: one client at a time.
class Server {
 public:
  Server(asio::io_context& io, const std::string& path, const Dialect& dialect, Bytes dump)
      : acceptor_(io, Protocol::endpoint(path)), socket_(io), dialect_(dialect), dump_(std::move(dump)) {
    accept();
  }
  void send(const Bytes& bytes) { asio::write(socket_, asio::buffer(bytes)); }
  void hang_up() { socket_.close(); }
  int accepted = 0;

 private:
  void accept() {
    acceptor_.async_accept(socket_, [this](boost::system::error_code error) {
      if (error) return;
      ++accepted;
      zebra_.emplace(dialect_);
      zebra_->dump = dump_;
      read();
    });
  }
  void start_over() {
    boost::system::error_code ignored;
    socket_.close(ignored);
    accept();
  }
  void read() {
    socket_.async_read_some(
        asio::buffer(buffer_), [this](boost::system::error_code error, std::size_t bytes) {
          if (error) return start_over();
          outbox_ = zebra_->answer(std::span(buffer_).first(bytes));
          asio::async_write(
              socket_, asio::buffer(outbox_),
              [this](boost::system::error_code failed, std::size_t) { failed ? start_over() : read(); });
        });
  }

  Protocol::acceptor acceptor_;
  Protocol::socket socket_;
  const Dialect dialect_;
  const Bytes dump_;
  std::optional<FakeZebra> zebra_;
  std::array<std::uint8_t, 4096> buffer_{};
  Bytes outbox_;
};

class ClientTest : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/greywire-zapi-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
    path_ = folder_ + "/zserv.api";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  template <class Condition>
  bool run_until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (!condition() && std::chrono::steady_clock::now() < end) io_.run_one_for(100ms);
    return condition();
  }
  static SessionTiming quick() { return {60s, 60s, 1ms, 4ms}; }

  std::string folder_;
  std::string path_;
  asio::io_context io_;
  Recorder recorder_;
};

TEST_F(ClientTest, ReadsALargeDumpFromASocket) {
  const auto& dialect = find_dialects(118, 18, 10).front();
  Bytes dump;
  constexpr std::uint32_t kRoutes = 20'000;
  for (std::uint32_t i = 0; i < kRoutes; ++i) {
    test::append(dump, test::route_add(dialect, Prefix(IpAddress::v4(0x0a000000U + (i << 8)), 24).to_string(),
                                       {{"10.255.0.2"}}));
  }
  Server server(io_, path_, dialect, dump);
  Client client(io_, path_, recorder_, clock_now, quick());
  client.start();
  ASSERT_TRUE(run_until([&] { return recorder_.state == SourceState::kSynced; }));
  EXPECT_EQ(recorder_.prefixes.size(), kRoutes);
  EXPECT_EQ(recorder_.prefixes.back().to_string(),
            Prefix(IpAddress::v4(0x0a000000U + ((kRoutes - 1) << 8)), 24).to_string());
  EXPECT_EQ(client.counters().routes, kRoutes);
  EXPECT_EQ(client.release(), "FRR 8.2 to 9.0");

  server.send(test::route_del(dialect, "10.0.0.0/24"));
  ASSERT_TRUE(run_until([&] { return recorder_.withdrawn == 1; }));

  server.hang_up();
  ASSERT_TRUE(run_until([&] { return recorder_.state == SourceState::kDown; }));
  ASSERT_TRUE(run_until([&] { return recorder_.state == SourceState::kSynced; }));
  EXPECT_EQ(server.accepted, 2);
}

TEST_F(ClientTest, WaitsForAZebraThatIsNotThereYet) {
  Client client(io_, path_, recorder_, clock_now, quick());
  client.start();
  ASSERT_TRUE(run_until([&] { return !recorder_.notices.empty(); }));
  EXPECT_NE(recorder_.notices[0].find("zebra is not running (no such socket)"), std::string::npos);
  int attempts = 0;
  auto last = recorder_.state;
  ASSERT_TRUE(run_until([&] {
    if (recorder_.state != last && recorder_.state == SourceState::kConnecting) ++attempts;
    last = recorder_.state;
    return attempts >= 3;
  }));
  EXPECT_EQ(recorder_.notices.size(), 1U) << "said once, not at every attempt";
  Server server(io_, path_, find_dialects(120, 19, 12).front(), {});
  ASSERT_TRUE(run_until([&] { return recorder_.state == SourceState::kSynced; }));
  EXPECT_EQ(client.release(), "FRR 10.2 to 10.5");
}

TEST_F(ClientTest, ServesTheListenersDeadlines) {
  Client client(io_, path_, recorder_, clock_now, {5s, 10s, 10s, 10s});
  client.start();
  recorder_.deadline = clock_now() + 1ms;
  client.rearm();
  EXPECT_TRUE(run_until([&] { return recorder_.ticks == 1; }));
}

TEST_F(ClientTest, APathThatIsTooLongIsATroubleLikeAnother) {
  Client client(io_, folder_ + "/" + std::string(120, 'x'), recorder_, clock_now, quick());
  client.start();
  EXPECT_EQ(client.state(), Session::State::kWaiting);
  EXPECT_NE(recorder_.notices.at(0).find("too long"), std::string::npos);
}

TEST_F(ClientTest, NothingIsCalledAfterItIsGone) {
  const auto& dialect = find_dialects(118, 18, 10).front();
  Server server(io_, path_, dialect, test::route_add(dialect, "10.2.0.0/16", {{"10.255.0.2"}}));
  auto listener = std::make_unique<Recorder>();
  for (int steps = 0; steps < 12; ++steps) {  // gone in every state of the handshake
    {
      Client client(io_, path_, *listener, clock_now, quick());
      client.start();
      for (int i = 0; i < steps; ++i) io_.run_one_for(1s);
    }
    listener = std::make_unique<Recorder>();
    io_.poll();
    EXPECT_TRUE(listener->notices.empty());
  }
  auto client = std::make_unique<Client>(io_, path_, recorder_, clock_now, quick());
  client->start();
  ASSERT_TRUE(run_until([&] { return recorder_.state == SourceState::kSynced; }));
  client->stop();
  EXPECT_EQ(recorder_.state, SourceState::kDown);
  client->start();
  ASSERT_TRUE(run_until([&] { return recorder_.state == SourceState::kSynced; }));
}

}  // namespace
}  // namespace greywire::routing::zapi
