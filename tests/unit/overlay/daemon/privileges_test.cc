#include "overlay/daemon/privileges.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>

#include "overlay/config/load.h"

namespace greywire::daemon {
namespace {

config::Config site(const std::string& lines, const std::string& rest) {
  auto loaded = config::parse("[site]\nname = \"ams\"\nprivate_key_file = \"ams.key\"\noverlay_address = \"10.255.0.1\"\n" + lines + rest,
                              "ams.toml");
  EXPECT_TRUE(loaded.config.has_value());
  return loaded.config ? std::move(*loaded.config) : config::Config();
}

bool has(const std::vector<int>& rights, int capability) {
  return std::find(rights.begin(), rights.end(), capability) != rights.end();
}

TEST(Rights, OfTwoConfigsAreThoseOfEither) {
  const auto both = either({{1, 2}, {}}, {{2, 3}, {4}});
  EXPECT_EQ(both.always, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(both.on_call, (std::vector<int>{4}));
}

TEST(Rights, OfAStartThatIsNotOfTheFileHoldZebrasSocketOnlyIfTheFileSaysSo) {
  const auto zebra = site("listen_port = 443\n", "[routing]\n"), none = site("", "");
  EXPECT_TRUE(has(rights_at_start(zebra, nullptr, true).on_call, CAP_DAC_OVERRIDE));
  EXPECT_TRUE(has(rights_at_start(zebra, nullptr, std::nullopt).on_call, CAP_DAC_OVERRIDE));
  EXPECT_TRUE(has(rights_at_start(none, &zebra, true).on_call, CAP_DAC_OVERRIDE)) << "what may be gone back to";
  EXPECT_TRUE(has(rights_at_start(none, &zebra, false).always, CAP_NET_BIND_SERVICE));
  for (const auto& [started, before] : {std::pair{&zebra, &none}, {&none, &zebra}, {&zebra, &zebra}}) {
    EXPECT_TRUE(rights_at_start(*started, before, false).on_call.empty());
  }
}

TEST(Rights, AreThoseThatTheConfigNeeds) {
  struct Case {
    const char* lines;
    const char* rest;
    bool low_port, zebra;
  };
  const Case cases[] = {
      {"", "", false, false},
      {"listen_port = 1024\n", "", false, false},
      {"listen_port = 443\n", "", true, false},
      {"metrics = \"127.0.0.1:9586\"\n", "", false, false},
      {"metrics = \"127.0.0.1:80\"\n", "", true, false},
      {"", "[routing]\n", false, true},
      {"", "[routing]\nsource = \"kernel\"\n", false, false},
  };
  for (const Case& c : cases) {
    const Rights rights = rights_for(site(c.lines, c.rest));
    EXPECT_EQ(has(rights.always, CAP_NET_BIND_SERVICE), c.low_port) << c.lines;
    EXPECT_EQ(rights.on_call, c.zebra ? std::vector<int>{CAP_DAC_OVERRIDE} : std::vector<int>()) << c.rest;
    for (const int always : {CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF}) EXPECT_TRUE(has(rights.always, always)) << always;
    for (const int never : {CAP_SYS_ADMIN, CAP_SETPCAP, CAP_DAC_OVERRIDE}) EXPECT_FALSE(has(rights.always, never)) << never;
  }
}

TEST(Rights, LockedMemoryTakesARightOnlyWhereItIsLimited) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_MEMLOCK, &before), 0);
  rlimit limited = before;
  limited.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &limited), 0);
  EXPECT_TRUE(has(rights_for_bare_device().always, CAP_IPC_LOCK));
  ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &before), 0);
  EXPECT_EQ(has(rights_for_bare_device().always, CAP_IPC_LOCK), before.rlim_cur != RLIM_INFINITY);
}

// In a process of its own: what is given up is gone for good.
int status_of(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::uint64_t of_status(const char* line) {
  std::ifstream file("/proc/thread-self/status");
  for (std::string text; std::getline(file, text);) {
    if (text.starts_with(line)) return std::stoull(text.substr(text.find(':') + 1), nullptr, 16);
  }
  return ~0ULL;
}

constexpr std::uint64_t bit(int capability) { return 1ULL << capability; }

TEST(KeepOnly, IsForGoodAndTheOneOnCallComesAndGoes) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root's capabilities";
  if ((of_status("CapPrm") & bit(CAP_DAC_OVERRIDE)) == 0) GTEST_SKIP() << "has not root's capabilities";
  EXPECT_EQ(status_of([] {
    const Rights rights{{CAP_NET_RAW, CAP_SYSLOG}, {CAP_DAC_OVERRIDE}};
    const std::uint64_t before = of_status("CapPrm");
    const auto kept = keep_only(rights);
    const std::uint64_t permitted = (bit(CAP_NET_RAW) | bit(CAP_SYSLOG) | bit(CAP_DAC_OVERRIDE)) & before;
    const std::uint64_t effective = permitted & ~bit(CAP_DAC_OVERRIDE);
    if (of_status("CapPrm") != permitted || of_status("CapEff") != effective) return 1;
    if (of_status("CapInh") != 0 || of_status("CapAmb") != 0 || of_status("NoNewPrivs") != 1) return 2;
    if (kept.empty() != (of_status("CapBnd") == permitted)) return 3;
    {
      const auto right = right_to_zebra();
      if (of_status("CapEff") != permitted) return 4;
    }
    if (of_status("CapEff") != effective) return 5;
    const RaisedRight nobodys(CAP_SYS_ADMIN);
    return of_status("CapEff") == effective ? 0 : 6;
  }), 0);
}

TEST(KeepOnly, SaysWhatItCouldNotGiveUp) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root's capabilities";
  EXPECT_EQ(status_of([] {
    keep_only(Rights{{CAP_NET_RAW, CAP_NET_ADMIN}, {}});
    // The right to shrink the bounding set further is gone.
    const auto kept = keep_only(Rights{{CAP_NET_RAW}, {}});
    if (of_status("CapEff") != (of_status("CapPrm") & bit(CAP_NET_RAW))) return 1;
    if ((of_status("CapBnd") & bit(CAP_NET_ADMIN)) == 0) return kept.empty() ? 0 : 2;
    return kept.size() == 1 && kept[0].find("CAP_SETPCAP") != std::string::npos ? 0 : 3;
  }), 0);
}

}  // namespace
}  // namespace greywire::daemon
