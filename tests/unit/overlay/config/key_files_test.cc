#include "overlay/config/key_files.h"

#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "overlay/config/load.h"
#include "router/crypto/x25519.h"

namespace greywire::config {
namespace {

constexpr const char* kKey = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";

class KeyFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "greywire-keys-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    const auto path = folder_ + "/" + name;
    std::ofstream(path) << text;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  std::string error_of(const std::string& path) const {
    const auto key = read_private_key(path);
    return key ? "read" : key.error().text;
  }

  std::string folder_;
};

TEST_F(KeyFiles, ReadsWhatGenkeyWrites) {
  for (const auto& text : {std::string(kKey), std::string(kKey) + "\n", " " + std::string(kKey) + " \r\n"}) {
    const auto key = read_private_key(write("a.key", text));
    ASSERT_TRUE(key.has_value()) << key.error().text;
    EXPECT_EQ(key->reveal_base64(), kKey);
  }
  EXPECT_TRUE(read_private_key(write("b.key", kKey, 0400)).has_value());
  EXPECT_TRUE(read_preshared_key(write("c.psk", kKey)).has_value());
}

TEST_F(KeyFiles, RefusesWhatOthersCanTouch) {
  for (const mode_t mode : {0640U, 0604U, 0644U, 0620U, 0602U, 0610U, 0777U}) {
    const auto path = write("a.key", kKey, mode);
    char octal[8];
    std::snprintf(octal, sizeof octal, "%04o", mode);
    EXPECT_EQ(error_of(path), "the private key file " + path + " is open to group or others (mode " + octal +
                                  "): run chmod 600 " + path);
  }
}

// As a daemon whose user and group are not root's.
TEST_F(KeyFiles, ItsOwnGroupMayReadIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  ASSERT_EQ(::chmod(folder_.c_str(), 0755), 0);
  constexpr gid_t kOwn = 12345, kOther = 12346;
  const struct {
    gid_t group;
    mode_t mode;
    const char* says;
  } cases[] = {
      {kOwn, 0640, "read"},   {kOwn, 0440, "read"},          {kOwn, 0660, "is open to"},          {kOwn, 0644, "is open to"},
      {kOther, 0604, "is open to"}, {kOther, 0640, "Permission denied: run chown :greywire"}, {kOwn, 0600, "Permission denied: run chown :greywire"},
  };
  for (const auto& c : cases) {
    const auto path = write("a.key", kKey, c.mode);
    ASSERT_EQ(::chown(path.c_str(), 0, c.group), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setgroups(0, nullptr) != 0 || ::setgid(kOwn) != 0 || ::setuid(kOwn) != 0) ::_exit(2);
      ::_exit(error_of(path).find(c.says) != std::string::npos ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0) << std::oct << c.mode << " " << c.group << ": " << c.says;
  }
}

TEST_F(KeyFiles, RefusesAnotherUsersFile) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give a file away";
  const auto path = write("a.key", kKey);
  ASSERT_EQ(::chown(path.c_str(), 12345, 0), 0);
  EXPECT_EQ(error_of(path), "the private key file " + path + " belongs to user 12345: run chown root " + path);
}

TEST_F(KeyFiles, NamesTheWayOut) {
  const auto missing = folder_ + "/none.key";
  EXPECT_EQ(error_of(missing), "the private key file " + missing + " does not exist: make one with (umask 077; greywire "
                               "genkey > " + missing + ")");
  EXPECT_EQ(read_preshared_key(missing).error().text, "the preshared key file " + missing + " does not exist: make one "
                                                      "with (umask 077; greywire genpsk > " + missing + ")");
  EXPECT_EQ(error_of(folder_), "the private key file " + folder_ + " is not a regular file");
  const auto fifo = folder_ + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(error_of(fifo), "the private key file " + fifo + " is not a regular file");
}

TEST_F(KeyFiles, NeverQuotesTheContent) {
  const std::string zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  for (const auto& text : {std::string(), std::string("secret"), std::string(kKey) + std::string(kKey),
                           std::string(kKey).substr(1), zero, std::string(100'000, 'x')}) {
    const auto error = error_of(write("a.key", text));
    EXPECT_NE(error.find("does not hold one base64 key"), std::string::npos) << error;
    EXPECT_EQ(error.find("secret"), std::string::npos);
    EXPECT_EQ(error.find("yAnz"), std::string::npos);
  }
}

TEST_F(KeyFiles, RelativePathsStartAtTheConfigFile) {
  EXPECT_EQ(beside("/etc/greywire/ams.toml", "ams.key"), "/etc/greywire/ams.key");
  EXPECT_EQ(beside("/etc/greywire/ams.toml", "/root/ams.key"), "/root/ams.key");
  EXPECT_EQ(beside("ams.toml", "ams.key"), "ams.key");
}

TEST_F(KeyFiles, LoadReadsTheKeysThatAConfigNames) {
  write("ams.key", kKey);
  write("fra.psk", kKey);
  const std::string site = "[site]\nname = \"ams\"\nprivate_key_file = \"ams.key\"\noverlay_address = \"10.255.0.1\"\n";
  const std::string peer = "[[peer]]\nname = \"fra\"\noverlay_address = \"10.255.0.2\"\npreshared_key_file = \"";
  const std::string other = "public_key = \"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\"\n";
  const auto good = load(write("good.toml", site + peer + "fra.psk\"\n" + other));
  ASSERT_TRUE(good.config.has_value()) << good.diagnostics.to_string();
  EXPECT_EQ(good.config->site.private_key.reveal_base64(), kKey);
  EXPECT_EQ(good.config->site.public_key, derive_public_key(good.config->site.private_key));
  EXPECT_EQ(good.config->peers.at(0).preshared_key.reveal_base64(), kKey);

  const auto path = write("bad.toml", site + peer + "nyc.psk\"\n" + other);
  const auto bad = load(path);
  EXPECT_FALSE(bad.config.has_value());
  EXPECT_EQ(bad.diagnostics.to_string(), path + ":8:1: the preshared key file " + folder_ + "/nyc.psk does not exist: make "
                                         "one with (umask 077; greywire genpsk > " + folder_ + "/nyc.psk)\n");

  const auto own = "public_key = \"" + good.config->site.public_key.to_base64() + "\"\n";
  const auto self = write("self.toml", site + peer + "fra.psk\"\n" + own);
  EXPECT_EQ(load(self).diagnostics.to_string(),
            self + ":9:1: peer 'fra' has this site's own public key: one of them is the wrong one\n");
}

TEST_F(KeyFiles, ATextThatTheFileHadOnceIsLoadedLikeTheFile) {
  write("ams.key", kKey);
  const std::string text = "[site]\nname = \"ams\"\nprivate_key_file = \"ams.key\"\noverlay_address = \"10.255.0.1\"\n";
  const auto path = write("ams.toml", text);
  const auto now = load(path), then = load_text("# once\n" + text, path);
  ASSERT_TRUE(now.config && then.config);
  EXPECT_EQ(now.config->text, text);
  EXPECT_EQ(then.config->text, "# once\n" + text);
  EXPECT_EQ(then.config->site, now.config->site);
}

TEST_F(KeyFiles, WhereTheStateIsIsKnownOfAFileWithErrorsToo) {
  const auto of = [&](const std::string& lines) { return load(write("ams.toml", "[site]\nname = \"ams\"\n" + lines)).state_dir; };
  EXPECT_EQ(of(""), "/var/lib/greywire/ams");
  EXPECT_EQ(of("state_dir = \"/srv/state\"\n[[tunnel]]\n"), "/srv/state");
  EXPECT_EQ(of("state_dir = \"state\"\n"), folder_ + "/state") << "relative to the file's folder";
  EXPECT_EQ(of("[peer\n"), "") << "no TOML";
}

TEST_F(KeyFiles, LoadSaysWhyAFileCannotBeRead) {
  const auto missing = folder_ + "/none.toml";
  EXPECT_EQ(load(missing).diagnostics.to_string(), missing + ": cannot open the file: No such file or directory\n");
  EXPECT_EQ(load(folder_).diagnostics.to_string(), folder_ + ": cannot read the file: Is a directory\n");
  const auto large = write("large.toml", std::string(kLargestFile + 1, '#'));
  EXPECT_EQ(load(large).diagnostics.to_string(), large + ": the file is larger than 16 MiB: it is no config\n");
}

}  // namespace
}  // namespace greywire::config
