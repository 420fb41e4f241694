// A network namespace of the test's own, with loopback up. The calling thread, and threads that it starts,
// live in it from then on. Needs root.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>

namespace greywire::engine {

class InterfaceRequest {
 public:
  explicit InterfaceRequest(const std::string& name) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    name.copy(request_.ifr_name, IFNAMSIZ - 1);
  }
  InterfaceRequest(const InterfaceRequest&) = delete;
  InterfaceRequest& operator=(const InterfaceRequest&) = delete;
  ~InterfaceRequest() { ::close(fd_); }

  ifreq& request() { return request_; }
  bool perform(unsigned long what) { return ::ioctl(fd_, what, &request_) == 0; }

 private:
  int fd_;
  ifreq request_{};
};

inline bool set_up(const std::string& name, bool up = true) {
  InterfaceRequest r(name);
  if (!r.perform(SIOCGIFFLAGS)) return false;
  const auto flags = static_cast<unsigned>(static_cast<unsigned short>(r.request().ifr_flags));
  r.request().ifr_flags = static_cast<short>(up ? flags | IFF_UP : flags & ~static_cast<unsigned>(IFF_UP));
  return r.perform(SIOCSIFFLAGS);
}

inline bool is_running(const std::string& name) {
  InterfaceRequest r(name);
  return r.perform(SIOCGIFFLAGS) && (r.request().ifr_flags & IFF_RUNNING) != 0;
}

inline bool set_mtu(const std::string& name, int mtu) {
  InterfaceRequest r(name);
  r.request().ifr_mtu = mtu;
  return r.perform(SIOCSIFMTU);
}

inline bool set_address(const std::string& name, const char* address, const char* mask) {
  InterfaceRequest r(name);
  auto& a = reinterpret_cast<sockaddr_in&>(r.request().ifr_addr);
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = ::inet_addr(address);
  if (!r.perform(SIOCSIFADDR)) return false;
  a.sin_addr.s_addr = ::inet_addr(mask);
  return r.perform(SIOCSIFNETMASK);
}

inline bool switch_checksum_offload_off(const std::string& name) {
  InterfaceRequest r(name);
  ethtool_value value{ETHTOOL_STXCSUM, 0};
  r.request().ifr_data = reinterpret_cast<char*>(&value);
  return r.perform(SIOCETHTOOL);
}

class NetworkNamespace : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0) << std::strerror(errno) << ": these tests need root";
    ASSERT_TRUE(set_up("lo")) << std::strerror(errno);
  }
};

}  // namespace greywire::engine
