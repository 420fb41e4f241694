#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "overlay/files/read_file.h"
#include "overlay/files/replace_file.h"
#include "tests/net/lib/local_socket_client.h"
#include "tests/unit/overlay/documents.h"

namespace {
bool disk_fails = false;
}

// In the place of the C library's, for the whole program.
extern "C" int fsync(int fd) {
  if (!disk_fails) return static_cast<int>(::syscall(SYS_fsync, fd));
  errno = EIO;
  return -1;
}

namespace greywire::files {
namespace {

namespace fs = std::filesystem;
using greywire::testing::read_text;
using greywire::testing::TemporaryDirectory;

constexpr std::size_t kMiB = 1024 * 1024;

unsigned mode_of(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
}

std::size_t entries_of(const std::string& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(ReplaceFile, APersonsFileKeepsItsRights) {
  TemporaryDirectory directory;
  const auto path = directory / "mesh.toml";
  ASSERT_TRUE(replace_file(path, "first").has_value());
  EXPECT_EQ(mode_of(path), 0644U);
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  ASSERT_TRUE(replace_file(path, "new").has_value());
  EXPECT_EQ(mode_of(path), 0640U);
  EXPECT_EQ(read_text(path), "new");
  EXPECT_EQ(entries_of(directory.path()), 1U) << "nothing is left beside it";
}

TEST(ReplaceFile, APersonsFileKeepsItsOwner) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  TemporaryDirectory directory;
  const auto path = directory / "ams.toml";
  std::ofstream(path) << "old";
  ASSERT_EQ(::chown(path.c_str(), 12345, 12346), 0);
  ASSERT_TRUE(replace_file(path, "new").has_value());
  struct stat after {};
  ASSERT_EQ(::stat(path.c_str(), &after), 0);
  EXPECT_EQ(after.st_uid, 12345U);
  EXPECT_EQ(after.st_gid, 12346U);
}

TEST(ReplaceFile, AnErrorNamesTheFileAndLeavesNothing) {
  TemporaryDirectory directory;
  const auto done = replace_file(directory / "none/mesh.toml", "new");
  ASSERT_FALSE(done.has_value());
  EXPECT_NE(done.error().text.find("none/mesh.toml"), std::string::npos) << done.error().text;
  fs::create_directory(directory / "folder");
  EXPECT_FALSE(replace_file(directory / "folder", "new").has_value()) << "a folder is not replaced";
  EXPECT_EQ(entries_of(directory.path()), 1U);
}

TEST(ReplaceState, IsForItsOwnerAloneInAFolderThatIsMade) {
  TemporaryDirectory directory;
  const auto path = directory / "a/b/trial";
  for (const auto when : {OnDisk::kNow, OnDisk::kInTime}) {
    for (const std::string text : {"one", "another", ""}) {
      ASSERT_TRUE(replace_state(path, text, when).has_value());
      EXPECT_EQ(**read_state(path, kMiB), text);
      EXPECT_EQ(mode_of(path), 0600U);
    }
  }
  EXPECT_EQ(mode_of(directory / "a/b"), 0700U);
  EXPECT_EQ(entries_of(directory / "a/b"), 1U);
  ASSERT_EQ(::chmod((directory / "a/b").c_str(), 0750), 0);
  ASSERT_TRUE(replace_state(path, "x", OnDisk::kNow).has_value());
  EXPECT_EQ(mode_of(directory / "a/b"), 0750U) << "the rights of a folder that is there are somebody's choice";
}

TEST(ReplaceState, WhatAKilledWriterLeftGoes) {
  TemporaryDirectory directory;
  const auto path = directory / "trial", elsewhere = directory / "elsewhere";
  std::ofstream(elsewhere) << "not ours";
  fs::create_symlink(elsewhere, path + ".new");
  ASSERT_TRUE(replace_state(path, "new", OnDisk::kNow).has_value());
  EXPECT_EQ(read_text(elsewhere), "not ours") << "a link is not followed";
  std::ofstream(path + ".new") << "half of it";
  ASSERT_TRUE(replace_state(path, "newer", OnDisk::kNow).has_value());
  EXPECT_EQ(read_text(path), "newer");
  EXPECT_FALSE(fs::exists(path + ".new"));
}

TEST(ReplaceState, TheOldOneStaysWhereTheNewOneCannotBeWritten) {
  for (const char* path : {"/dev/null/x/trial", "/proc/nowhere/trial"}) {
    const auto done = replace_state(path, "new", OnDisk::kNow);
    ASSERT_FALSE(done.has_value()) << path;
    EXPECT_NE(done.error().text.find(fs::path(path).parent_path().string()), std::string::npos) << done.error().text;
  }
  TemporaryDirectory directory;
  const auto path = directory / "trial";
  ASSERT_TRUE(replace_state(path, "old", OnDisk::kNow).has_value());
  fs::create_directories(path + ".new/in the way");
  EXPECT_FALSE(replace_state(path, "new", OnDisk::kNow).has_value());
  EXPECT_EQ(read_text(path), "old");
}

TEST(RemoveState, ItIsGoneAndGoneTwiceIsNoError) {
  TemporaryDirectory directory;
  const auto path = directory / "trial";
  ASSERT_TRUE(replace_state(path, "x", OnDisk::kNow).has_value());
  EXPECT_TRUE(remove_state(path).has_value());
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(remove_state(path).has_value());
  EXPECT_TRUE(remove_state("/dev/null/trial").has_value());
  fs::create_directory(path);
  const auto done = remove_state(path);
  ASSERT_FALSE(done.has_value());
  EXPECT_NE(done.error().text.find(path), std::string::npos);
}

TEST(RemoveState, OneThatIsGoneIsStillToBeOnTheDisk) {
  TemporaryDirectory directory;
  const auto path = directory / "trial";
  ASSERT_TRUE(replace_state(path, "x", OnDisk::kNow).has_value());
  disk_fails = true;
  const auto first = remove_state(path), again = remove_state(path);
  disk_fails = false;
  EXPECT_FALSE(first.has_value());
  EXPECT_FALSE(again.has_value()) << "it is not there any more, and may be after a loss of power";
  EXPECT_TRUE(remove_state(path).has_value());
}

TEST(ReadState, InAFolderThatSomebodyElseMayWriteToItIsRefused) {
  TemporaryDirectory directory;
  const auto path = directory / "trial";
  ASSERT_TRUE(replace_state(path, "x", OnDisk::kNow).has_value());
  for (const auto& [mode, good] : {std::pair<mode_t, bool>{0770, false}, {0702, false}, {01777, true}, {0755, true}}) {
    ASSERT_EQ(::chmod(directory.path().c_str(), mode), 0);
    const auto read = read_state(path, kMiB);
    EXPECT_EQ(read.has_value(), good) << mode;
    if (good) continue;
    EXPECT_NE(read.error().text.find(path + ": others may write to its folder"), std::string::npos) << read.error().text;
  }
  if (::geteuid() != 0) return;
  ASSERT_EQ(::chown(directory.path().c_str(), 12345, 12345), 0);
  ASSERT_FALSE(read_state(path, kMiB).has_value());
  EXPECT_NE(read_state(path, kMiB).error().text.find("its folder belongs to user 12345"), std::string::npos);
}

TEST(ReadState, WhatSomebodyElseMayHaveWrittenIsRefused) {
  TemporaryDirectory directory;
  const auto path = directory / "trial";
  EXPECT_EQ(*read_state(path, kMiB), std::nullopt) << "none";
  EXPECT_EQ(*read_state("/dev/null/trial", kMiB), std::nullopt);
  const auto refused = [&](const char* why) {
    const auto read = read_state(path, kMiB);
    ASSERT_FALSE(read.has_value()) << why;
    EXPECT_NE(read.error().text.find(path + ": "), std::string::npos) << read.error().text;
    EXPECT_NE(read.error().text.find(why), std::string::npos) << read.error().text;
    EXPECT_EQ(read.error().text.find('\n'), std::string::npos);
  };
  std::ofstream(path) << "text";
  for (const mode_t mode : {0620U, 0602U, 0666U}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    refused("others may write to it");
  }
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  EXPECT_EQ(**read_state(path, kMiB), "text");
  std::ofstream(path) << std::string(kMiB + 1, 'x');
  refused("larger than 1 MiB");
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(path.c_str(), 12345, 12345), 0);
    refused("it belongs to user 12345");
  }
  fs::rename(path, directory / "elsewhere");
  fs::create_symlink(directory / "elsewhere", path);
  refused("");
  fs::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  refused("no regular file");
}

TEST(ReadFile, IsReadUpToALimit) {
  TemporaryDirectory directory;
  const auto path = directory / "ams.toml";
  std::ofstream(path) << "text";
  EXPECT_EQ(*read_file(path, kMiB), "text");
  EXPECT_EQ(read_file(path, 3).error().code, EFBIG);
  EXPECT_EQ(read_file(directory / "none", kMiB).error().code, ENOENT);
  EXPECT_EQ(read_file(directory.path(), kMiB).error().code, EISDIR);
}

}  // namespace
}  // namespace greywire::files
