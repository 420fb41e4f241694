// A blocking client of a Unix socket and a daemon's io_context on a thread of its own, for tests.
#pragma once

#include <dirent.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <future>
#include <string>
#include <string_view>
#include <thread>

namespace greywire::testing {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char name[] = "/tmp/greywire-test-XXXXXX";
    if (::mkdtemp(name) == nullptr) std::abort();
    path_ = name;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Runs what a daemon's control thread would. What is made on it must be destroyed on it, by run().
class ControlThread {
 public:
  ControlThread() : guard_(io.get_executor()), thread_([this] { io.run(); }) {}
  ~ControlThread() {
    guard_.reset();
    io.stop();
    thread_.join();
  }
  ControlThread(const ControlThread&) = delete;
  ControlThread& operator=(const ControlThread&) = delete;

  void run(std::function<void()> work) {
    std::promise<void> done;
    boost::asio::post(io, [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

  boost::asio::io_context io;

 private:
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  std::thread thread_;
};

class LocalClient {
 public:
  explicit LocalClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~LocalClient() { ::close(fd_); }
  LocalClient(const LocalClient&) = delete;
  LocalClient& operator=(const LocalClient&) = delete;

  bool connected() const { return connected_; }

  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  // Until `end` has come, the connection ends or ten seconds pass without a byte.
  std::string read_until(std::string_view end) const {
    std::string got;
    char buffer[65536];
    while (end.empty() || !got.ends_with(end)) {
      pollfd waiting{fd_, POLLIN, 0};
      if (::poll(&waiting, 1, 10000) != 1) return got + "<timeout>";
      const auto size = ::recv(fd_, buffer, sizeof buffer, 0);
      if (size <= 0) return got + "<end>";
      got.append(buffer, static_cast<std::size_t>(size));
    }
    return got;
  }
  std::string read_to_end() const { return read_until({}); }
  std::string ask(std::string_view request, std::string_view end) const {
    send(request);
    return read_until(end);
  }
  void stop_sending() const { ::shutdown(fd_, SHUT_WR); }

 private:
  int fd_;
  bool connected_ = false;
};

}  // namespace greywire::testing
