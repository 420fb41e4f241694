#include "overlay/cli/host_check.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/net/lib/local_socket_client.h"

namespace greywire::cli {
namespace {

// A host in a folder, on which all is well.
class FakeHost {
 public:
  FakeHost() {
    write("dev/net/tun", "");
    write("proc/sys/net/ipv4/ip_forward", "1\n");
    write("proc/sys/net/ipv6/conf/all/forwarding", "1\n");
    write("proc/sys/net/ipv6/conf/default/disable_ipv6", "0\n");
    for (const char* name : {"all", "default", "lo", "eth0"}) write(std::string("proc/sys/net/ipv4/conf/") + name + "/rp_filter", "0\n");
    write("proc/sys/kernel/osrelease", "6.2.0-1-amd64\n");
    write("proc/self/status", "Name:\tgreywire\nUid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n");
    write("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse2 avx avx2 bmi2\n");
  }
  void write(const std::string& below, const std::string& content) {
    const auto path = std::filesystem::path(root()) / below;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << content;
  }
  void remove(const std::string& below) { std::filesystem::remove(std::filesystem::path(root()) / below); }
  std::string root() const { return folder_.path(); }

 private:
  testing::TemporaryDirectory folder_;
};

config::Config site(bool with_ipv6 = true) {
  config::Config config;
  config.site.overlay_addresses = {*IpAddress::parse("10.255.0.1")};
  if (with_ipv6) config.site.overlay_addresses.push_back(*IpAddress::parse("fd00:255::1"));
  return config;
}

TEST(HostCheck, NothingIsToldWhereAllIsWellOrNothingCanBeRead) {
  FakeHost host;
  EXPECT_EQ(check_host(site(), host.root()), std::vector<HostFinding>{});
  EXPECT_EQ(check_host(site(), "/nonexistent"), std::vector<HostFinding>{});
}

TEST(HostCheck, EachFindingNamesTheThingAndTheWayOut) {
  const struct {
    const char *file, *content, *what, *way_out;
    bool fatal = false;
  } cases[] = {
      {"dev/net/tun", nullptr, "/dev/net/tun", "modprobe tun", true},
      {"proc/sys/net/ipv4/ip_forward", "0\n", "net.ipv4.ip_forward", "sysctl -w net.ipv4.ip_forward=1"},
      {"proc/sys/net/ipv6/conf/all/forwarding", "0\n", "net.ipv6.conf.all.forwarding", "sysctl -w net.ipv6.conf.all.forwarding=1"},
      {"proc/sys/net/ipv6/conf/default/disable_ipv6", "1\n", "net.ipv6.conf.default.disable_ipv6", "disable_ipv6=0"},
      {"proc/sys/net/ipv4/conf/eth0/rp_filter", "1\n", "net.ipv4.conf.eth0.rp_filter", "rp_filter=2"},
      {"proc/sys/net/ipv4/conf/all/rp_filter", "1\n", "net.ipv4.conf.all.rp_filter", "is 1 for default, eth0"},
      {"proc/sys/kernel/osrelease", "4.14.1", "Linux 4.14", "4.18 or newer"},
      {"proc/sys/kernel/osrelease", "4.19.0", "Linux 4.19", "5.0 or newer"},
      {"proc/sys/kernel/osrelease", "6.1.0-40-amd64", "Linux 6.1", "6.2 or newer"},
      {"proc/self/status", "Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffefff\n", "CAP_NET_ADMIN", "start the container with it", true},
      {"proc/self/status", "Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffdfff\n", "CAP_NET_RAW", "probes alone"},
      {"proc/self/status", "Uid:\t0\t0\t0\t0\nCapEff:\t0000017fffdfffff\n", "CAP_BPF", "behind bulk"},
      {"proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse2 avx\n", "the CPU", "AVX2"},
  };
  for (const auto& c : cases) {
    FakeHost host;
    if (c.content == nullptr) {
      host.remove(c.file);
    } else {
      host.write(c.file, c.content);
    }
    const auto found = check_host(site(), host.root());
    ASSERT_EQ(found.size(), 1U) << c.what;
    EXPECT_EQ(found[0].what, c.what);
    EXPECT_EQ(found[0].fatal, c.fatal) << c.what;
    EXPECT_NE(found[0].problem.find(c.way_out), std::string::npos) << found[0].problem;
    EXPECT_EQ(found[0].line().starts_with("host: warning: "), !c.fatal);
  }
}

TEST(HostCheck, WhatDoesNotMatterIsNotTold) {
  FakeHost host;
  host.write("proc/sys/net/ipv6/conf/all/forwarding", "0\n");
  host.write("proc/sys/net/ipv6/conf/default/disable_ipv6", "1\n");
  EXPECT_TRUE(check_host(site(false), host.root()).empty());  // a site without IPv6
  host.write("proc/sys/net/ipv4/conf/all/rp_filter", "2\n");  // the greater counts
  host.write("proc/sys/net/ipv4/conf/eth0/rp_filter", "1\n");
  EXPECT_TRUE(check_host(site(false), host.root()).empty());
  host.write("proc/self/status", "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\n");  // who checks is not who runs it
  EXPECT_TRUE(check_host(site(false), host.root()).empty());
  host.write("proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd\n");
  EXPECT_TRUE(check_host(site(false), host.root()).empty());
  for (const char* odd : {"", "x", "6", "6.", "99999999999.1"}) {
    host.write("proc/sys/kernel/osrelease", odd);
    EXPECT_TRUE(check_host(site(false), host.root()).empty()) << odd;
  }
}

}  // namespace
}  // namespace greywire::cli
