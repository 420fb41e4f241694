#include "overlay/daemon/service_manager.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

namespace greywire::daemon {
namespace {

using Names = std::vector<std::string>;

TEST(ListenFds, OnlyWhatIsMeantForThisProcess) {
  EXPECT_EQ(listen_fd_names("77", "2", "link.gw0:link.gre-fra", 77), (Names{"link.gw0", "link.gre-fra"}));
  EXPECT_EQ(listen_fd_names("77", "2", "link.gw0:link.gw0", 78), Names());
  EXPECT_EQ(listen_fd_names(nullptr, "2", "a:b", 77), Names());
  EXPECT_EQ(listen_fd_names("77", nullptr, "a:b", 77), Names());
}

TEST(ListenFds, WrongVariablesGiveNothingAndMissingNamesAreUnknown) {
  for (const char* count : {"", "0", "-1", "2x", " 2", "99999999999999999999", "70000"}) {
    EXPECT_EQ(listen_fd_names("77", count, "a:b", 77), Names()) << count;
  }
  EXPECT_EQ(listen_fd_names("77x", "1", "a", 77), Names());
  EXPECT_EQ(listen_fd_names("77", "3", "a", 77), (Names{"a", "unknown", "unknown"}));
  EXPECT_EQ(listen_fd_names("77", "3", ":b:", 77), (Names{"unknown", "b", "unknown"}));
  EXPECT_EQ(listen_fd_names("77", "2", nullptr, 77), (Names{"unknown", "unknown"}));
  EXPECT_EQ(listen_fd_names("77", "1", "a:b", 77), (Names{"a"}));
}

TEST(Watchdog, OnlyForThisProcess) {
  using std::chrono::microseconds;
  EXPECT_EQ(watchdog_interval("30000000", nullptr, 77), microseconds(30'000'000));
  EXPECT_EQ(watchdog_interval("30000000", "77", 77), microseconds(30'000'000));
  for (const auto& [usec, pid] : {std::pair{"30000000", "78"}, {"30000000", "x"}, {"0", "77"}, {"-5", "77"}, {"1s", "77"}, {"", "77"}}) {
    EXPECT_EQ(watchdog_interval(usec, pid, 77), std::nullopt) << usec << " " << pid;
  }
  EXPECT_EQ(watchdog_interval(nullptr, nullptr, 77), std::nullopt);
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }
int some_descriptor() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

TEST(HeldDescriptors, AreClosedUnlessTaken) {
  const int a = some_descriptor(), b = some_descriptor(), c = some_descriptor();
  {
    HeldDescriptors held;
    held.add("x", a);
    held.add("x", b);
    held.add("y", c);
    EXPECT_EQ(held.names(), (Names{"x", "y"}));
    HeldDescriptors moved = std::move(held);
    EXPECT_EQ(moved.take("x"), (std::vector<int>{a, b}));
    EXPECT_FALSE(moved.has("x"));
    EXPECT_EQ(moved.take("x"), std::vector<int>());
    EXPECT_TRUE(is_open(c));
    moved = HeldDescriptors();
    EXPECT_FALSE(is_open(c));
  }
  EXPECT_TRUE(is_open(a) && is_open(b));
  ::close(a);
  ::close(b);
}

// A store's end: the next message and the descriptors in it.
class Store {
 public:
  Store() : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un any{};
    any.sun_family = AF_UNIX;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&any), sizeof(sa_family_t)), 0);  // the kernel gives an abstract name
    socklen_t size = sizeof any;
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&any), &size), 0);
    name_ = "@" + std::string(any.sun_path + 1, size - sizeof(sa_family_t) - 1);
  }
  ~Store() { ::close(fd_); }
  const std::string& name() const { return name_; }

  std::string next(std::size_t* descriptors = nullptr) {
    std::array<char, 256> text;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(300 * sizeof(int))> control;
    iovec part{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const auto size = ::recvmsg(fd_, &message, MSG_DONTWAIT);
    if (size < 0) return "nothing";
    std::size_t count = 0;
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr) {
      count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
        ::close(fd);
      }
    }
    if (descriptors != nullptr) *descriptors = count;
    return std::string(text.data(), static_cast<std::size_t>(size));
  }

 private:
  int fd_;
  std::string name_;
};

TEST(ServiceManager, TellsStoresAndForgets) {
  Store store;
  const ServiceManager manager(store.name());
  ASSERT_TRUE(manager.tell("READY=1"));
  EXPECT_EQ(store.next(), "READY=1");

  const std::vector<int> fds(300, some_descriptor());
  ASSERT_TRUE(manager.store("link.gw0", fds));
  EXPECT_EQ(store.next(), "FDSTOREREMOVE=1\nFDNAME=link.gw0");
  std::size_t first = 0, second = 0;
  EXPECT_EQ(store.next(&first), "FDSTORE=1\nFDNAME=link.gw0");
  EXPECT_EQ(store.next(&second), "FDSTORE=1\nFDNAME=link.gw0");
  EXPECT_EQ(first, 253U);
  EXPECT_EQ(second, 47U);
  ::close(fds[0]);

  ASSERT_TRUE(manager.forget("link.gw0"));
  EXPECT_EQ(store.next(), "FDSTOREREMOVE=1\nFDNAME=link.gw0");
  EXPECT_EQ(store.next(), "nothing");
}

TEST(ServiceManager, WithoutASocketNobodyIsToldAndAWrongOneIsNamed) {
  EXPECT_TRUE(ServiceManager("").tell("READY=1"));
  EXPECT_FALSE(ServiceManager("").present());
  const auto gone = ServiceManager("/nonexistent/notify").tell("READY=1");
  ASSERT_FALSE(gone);
  EXPECT_NE(gone.error().text.find("/nonexistent/notify"), std::string::npos);
  EXPECT_FALSE(ServiceManager(std::string(200, 'x')).tell("READY=1"));
}

TEST(ServiceManager, TheEnvironmentIsTakenAway) {
  ::setenv("NOTIFY_SOCKET", "/run/x", 1);
  EXPECT_TRUE(ServiceManager::from_environment().present());
  EXPECT_EQ(::getenv("NOTIFY_SOCKET"), nullptr);
  EXPECT_FALSE(ServiceManager::from_environment().present());
}

}  // namespace
}  // namespace greywire::daemon
