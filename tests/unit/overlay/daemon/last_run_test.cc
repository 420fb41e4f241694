#include "overlay/daemon/last_run.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace greywire::daemon {
namespace {

PublicKey key(std::uint8_t first) { return PublicKey(std::array<std::uint8_t, kKeySize>{first}); }

LastRun sample() {
  LastRun run;
  run.underlay = links::Underlay{0x67, 4242, true};
  run.endpoints.emplace(key(1), *Endpoint::parse("192.0.2.1:51820"));
  run.endpoints.emplace(key(2), *Endpoint::parse("[2001:db8::1]:4500"));
  return run;
}

TEST(LastRun, IsReadAsItWasWritten) {
  EXPECT_EQ(parse_last_run(to_text(sample())), sample());
  LastRun own;
  own.underlay = links::Underlay{0xffffffff, 7, false};
  EXPECT_EQ(parse_last_run(to_text(own)), own);
  EXPECT_EQ(to_text(LastRun()), "");
}

TEST(LastRun, WhatIsNotUnderstoodIsLeftOut) {
  for (const char* text : {"", "\n\n", "underlay", "underlay 1 2", "underlay 1 x mirror", "underlay 1 99999999999 mirror",
                           "endpoint", "endpoint abc 192.0.2.1:1",
                           "endpoint AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= 192.0.2.1", "something else\n"}) {
    EXPECT_EQ(parse_last_run(text), LastRun()) << text;
  }
  const auto mixed = parse_last_run("from the future 7\n" + to_text(sample()) + "endpoint x y\n");
  EXPECT_EQ(mixed, sample());
}

TEST(LastRun, TheFileIsMadeAndReplaced) {
  std::string folder = ::testing::TempDir() + "last-run-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string deeper = folder + "/a/b";
  EXPECT_EQ(read_last_run(deeper), LastRun());
  ASSERT_TRUE(write_last_run(deeper, sample()));
  EXPECT_EQ(read_last_run(deeper), sample());
  ASSERT_TRUE(write_last_run(deeper, LastRun()));
  EXPECT_EQ(read_last_run(deeper), LastRun());
  EXPECT_FALSE(write_last_run("/dev/null/x", sample()));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace greywire::daemon
