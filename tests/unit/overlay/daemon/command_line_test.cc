#include "overlay/daemon/command_line.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace greywire::daemon {
namespace {

struct Parsed {
  std::optional<CommandLine> line;
  int exit_status = -1;
  std::string out, err;
};

Parsed parsed(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "greywired");
  Parsed result;
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  result.line = parse_command_line(static_cast<int>(arguments.size()), arguments.data(), result.exit_status);
  result.out = ::testing::internal::GetCapturedStdout();
  result.err = ::testing::internal::GetCapturedStderr();
  return result;
}

TEST(DaemonCommandLine, IsASiteOrADevice) {
  const auto site = parsed({"--config", "ams.toml", "--takeover", "--workers", "3"});
  ASSERT_TRUE(site.line.has_value()) << site.err;
  EXPECT_EQ(std::get<RunSite>(site.line->run).config_file, "ams.toml");
  EXPECT_TRUE(std::get<RunSite>(site.line->run).takeover);
  EXPECT_EQ(site.line->workers, 3U);
  const auto device = parsed({"-f", "wg0"});
  ASSERT_TRUE(device.line.has_value()) << device.err;
  EXPECT_EQ(std::get<RunDevice>(device.line->run).interface, "wg0");
  EXPECT_TRUE(std::get<RunDevice>(device.line->run).foreground);
}

TEST(DaemonCommandLine, MistakesEndWithTwo) {
  const std::vector<const char*> mistakes[] = {{}, {"-c", "a.toml", "wg0"}, {"--takeover", "wg0"}, {"wg0", "--workers", "65"}, {"--wokers", "1", "wg0"}};
  for (const auto& arguments : mistakes) {
    const auto result = parsed(arguments);
    EXPECT_FALSE(result.line.has_value());
    EXPECT_EQ(result.exit_status, 2);
    EXPECT_NE(result.err, "");
  }
}

TEST(DaemonCommandLine, TheManPageHasEveryOptionThatHelpHas) {
  const auto page = parsed({"--man"});
  EXPECT_EQ(page.exit_status, 0);
  EXPECT_TRUE(page.out.starts_with(".TH GREYWIRED 8")) << page.out;
  for (const char* name : {"config", "takeover", "foreground", "workers", "version"}) {
    EXPECT_NE(page.out.find(std::string("\\fB\\-\\-") + name + "\\fR"), std::string::npos) << name;
  }
  EXPECT_EQ(page.out.find("\\-\\-man"), std::string::npos) << "it is for the build alone";
  EXPECT_EQ(page.out.find("INT in"), std::string::npos) << page.out;
  for (const char* section : {"SYNOPSIS", "SIGNALS", "EXIT STATUS", "FILES", "SEE ALSO"}) {
    EXPECT_NE(page.out.find(std::string(".SH ") + section), std::string::npos) << section;
  }
}

}  // namespace
}  // namespace greywire::daemon
