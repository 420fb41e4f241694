#include "overlay/daemon/timestamp_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace greywire::daemon {
namespace {

class StateFolder : public ::testing::Test {
 protected:
  StateFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "greywire-state-XXXXXX").string();
    base = ::mkdtemp(pattern.data());
  }
  ~StateFolder() override { std::filesystem::remove_all(base); }
  static unsigned mode_of(const std::string& path) {
    struct stat found {};
    return ::stat(path.c_str(), &found) == 0 ? found.st_mode & 0777 : 0;
  }
  std::string base;
};

using TimestampFileTest = StateFolder;

TEST_F(TimestampFileTest, KeepsTheLastStamp) {
  const TimestampFile file(base + "/a/b");
  ASSERT_TRUE(file.read());
  EXPECT_FALSE(*file.read()) << "nothing yet";
  for (const std::int64_t seconds : {1'700'000'000, 1'800'000'000}) {
    const auto stamp = wireguard::tai64n({seconds, 999'999'999});
    ASSERT_TRUE(file.write(stamp));
    EXPECT_EQ(**TimestampFile(base + "/a/b").read(), stamp);
  }
  EXPECT_EQ(mode_of(base + "/a/b"), 0700U);
  EXPECT_EQ(mode_of(file.path()), 0600U);
  EXPECT_FALSE(std::filesystem::exists(file.path() + ".new"));
  std::string text;
  std::getline(std::ifstream(file.path()), text);
  EXPECT_EQ(text, "@400000006b49d20a3b000000") << "a TAI64N label";
}

TEST_F(TimestampFileTest, SaysWhatIsWrong) {
  const TimestampFile file(base);
  for (const char* text : {"", "@40", "x40000000654df10a00000000", "@400000006b49d20a3b00000g\n"}) {
    std::ofstream(file.path()) << text;
    const auto read = file.read();
    ASSERT_FALSE(read) << text;
    EXPECT_NE(read.error().text.find(file.path()), std::string::npos);
  }
  EXPECT_TRUE(file.write(wireguard::tai64n({1, 0}))) << "what holds no label is replaced";
  EXPECT_FALSE(TimestampFile("/proc/nowhere").write(wireguard::tai64n({1, 0})));
  EXPECT_FALSE(*TimestampFile("/proc/nowhere").read());
}

}  // namespace
}  // namespace greywire::daemon
