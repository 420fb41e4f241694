// What is started while there is a trial, from files as they would be, in virtual time.
#include "overlay/daemon/start_choice.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "overlay/config/load.h"
#include "overlay/daemon/trial_store.h"
#include "tests/net/lib/local_socket_client.h"

namespace greywire::daemon {
namespace {

using std::chrono::seconds;
using Then = TrialAtStart::Then;

constexpr const char* kKey = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
constexpr const char* kOtherKey = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=";

Clocks at(seconds after) { return {"a boot", TimePoint{} + seconds(1000) + after, {1'800'000'000 + after.count(), 0}}; }

class Starts : public ::testing::Test {
 protected:
  Starts() {
    write("ams.key", kKey);
    write("fra.psk", kOtherKey);
    std::filesystem::create_directories(root());
  }

  std::string root() const { return folder_ / "state"; }
  std::string file() const { return folder_ / "ams.toml"; }
  TrialStore store() const { return TrialStore(root() + "/ams"); }

  void write(const std::string& name, const std::string& text) const {
    const auto path = folder_ / name;
    std::ofstream(path) << text;
    ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  }
  // `site` and `peer` are more lines of each.
  std::string text(const std::string& peer, const std::string& site = "") const {
    return "[site]\nname = \"ams\"\nprivate_key_file = \"ams.key\"\noverlay_address = \"10.255.0.1\"\nstate_dir = \"state/ams\"\n" + site +
           "[[peer]]\nname = \"fra\"\npublic_key = \"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\"\noverlay_address = \"10.255.0.2\"\n" +
           "preshared_key_file = \"fra.psk\"\n" + peer;
  }
  std::string before() const { return text("allowed_ips = \"10.2.0.0/24\"\n"); }
  std::string tried() const { return text("allowed_ips = \"10.3.0.0/24\"\n"); }

  // As the daemon does it: `before` runs, the file says `tried`, 120 s.
  void begin() const {
    write("ams.toml", tried());
    begin_state();
  }
  void begin_state() const {
    auto ran = config::load_text(before(), file());
    ASSERT_TRUE(ran.config.has_value()) << ran.diagnostics.to_string();
    auto trial = trial_of(*ran.config, file(), tried());
    trial.until = deadline_after(seconds(120), at(seconds(0)));
    ASSERT_TRUE(store().write(trial).has_value());
  }
  void gone_back() const {
    auto trial = **store().read();
    trial.until.reset();
    ASSERT_TRUE(store().write(trial).has_value());
  }
  StartChoice start(seconds after) const { return choose_start(file(), at(after), root()); }

  static std::string alerts(const StartChoice& choice) {
    std::string out;
    for (const auto& line : choice.trial.alerts) out += line + "\n";
    return out;
  }
  void expect_file(const StartChoice& choice, const std::string& text, Then then) const {
    ASSERT_TRUE(choice.config.has_value());
    EXPECT_EQ(choice.config->text, text);
    EXPECT_EQ(choice.trial.then, then);
    EXPECT_EQ(choice.trial.before, nullptr);
  }
  void expect_before(const StartChoice& choice, const std::string& says) const {
    ASSERT_TRUE(choice.config.has_value());
    EXPECT_EQ(choice.config->text, before());
    EXPECT_EQ(choice.config->site.private_key.reveal_base64(), kKey) << "with its keys";
    EXPECT_EQ(choice.trial.then, Then::kGoneBack);
    EXPECT_EQ(choice.trial.before, nullptr);
    ASSERT_EQ(choice.trial.alerts.size(), 1U) << alerts(choice);
    EXPECT_NE(alerts(choice).find(says), std::string::npos) << alerts(choice);
  }

  testing::TemporaryDirectory folder_;
};

TEST_F(Starts, WithoutATrialTheFileIsStarted) {
  write("ams.toml", tried());
  const auto choice = start(seconds(0));
  expect_file(choice, tried(), Then::kKeep);
  EXPECT_EQ(alerts(choice), "");
  EXPECT_FALSE(choice.trial.stored.has_value());
  write("ams.toml", "[site\n");
  const auto broken = start(seconds(0));
  EXPECT_FALSE(broken.config.has_value());
  EXPECT_EQ(broken.lines.size(), 1U);
}

TEST_F(Starts, WithinTheTimeTheFileIsOnTrial) {
  begin();
  for (const int after : {0, 1, 119}) {
    const auto choice = start(seconds(after));
    ASSERT_TRUE(choice.config && choice.trial.before && choice.trial.stored) << after;
    EXPECT_EQ(choice.config->text, tried());
    EXPECT_EQ(choice.trial.before->text, before());
    EXPECT_EQ(choice.trial.before->peers.at(0).preshared_key.reveal_base64(), kOtherKey);
    EXPECT_EQ(choice.trial.then, Then::kKeep);
    EXPECT_EQ(alerts(choice), "");
    EXPECT_EQ(time_left(*choice.trial.stored, at(seconds(after))), seconds(120 - after));
  }
  const auto edited = tried() + "mtu = 1400\n";
  write("ams.toml", edited);
  const auto choice = start(seconds(60));
  ASSERT_TRUE(choice.config && choice.trial.before);
  EXPECT_EQ(choice.config->text, edited) << "whatever it says by now";
}

TEST_F(Starts, AfterItWhatRanBeforeIsStarted) {
  begin();
  for (const int after : {120, 121, 100'000}) expect_before(start(seconds(after)), "tried and not confirmed");
  gone_back();
  for (const int after : {0, 60, 100'000}) expect_before(start(seconds(after)), "tried and not confirmed");
}

TEST_F(Starts, WhatWasEditedWithinTheTimeIsNotConfirmedEither) {
  begin();
  for (const auto& edited : {tried() + "# looked at\n", text("allowed_ips = \"10.4.0.0/24\"\n"), text("", "listen_port = 4500\n")}) {
    write("ams.toml", edited);
    const auto choice = start(seconds(120));
    expect_before(choice, "tried and not confirmed");
    EXPECT_EQ(choice.trial.stored->tried, fingerprint(edited)) << "nor by the start after this one";
  }
  write("ams.toml", before());
  expect_file(start(seconds(120)), before(), Then::kForget);
}

TEST_F(Starts, AFileThatWasEditedAfterItIsStarted) {
  begin();
  gone_back();
  for (const auto& edited : {tried() + "# looked at\n", text("allowed_ips = \"10.4.0.0/24\"\n"), before()}) {
    write("ams.toml", edited);
    const auto choice = start(seconds(120));
    expect_file(choice, edited, Then::kForget);
    EXPECT_EQ(alerts(choice), "");
  }
}

TEST_F(Starts, AFileWithWhichTheDaemonDiedIsGoneBackFrom) {
  begin();
  auto trial = **store().read();
  trial.starting = true;
  ASSERT_TRUE(store().write(trial).has_value());
  expect_before(start(seconds(5)), "ended while it began to run " + file());
  const auto edited = tried() + "mtu = 1400\n";
  write("ams.toml", edited);
  const auto choice = start(seconds(5));
  ASSERT_TRUE(choice.config && choice.trial.before) << "another file is on trial still: " << alerts(choice);
  EXPECT_EQ(choice.config->text, edited);
}

TEST_F(Starts, AFileThatWasPutBackEndsIt) {
  begin();
  write("ams.toml", "# as it was\n" + before());
  const auto choice = start(seconds(5));
  expect_file(choice, "# as it was\n" + before(), Then::kForget);
  EXPECT_EQ(alerts(choice), "");
}

TEST_F(Starts, AFileThatCannotBeUsedIsGoneBackFrom) {
  begin();
  for (const auto& broken : {std::string("[site\n"), text("mtuu = 1400\n"), text("preshared_key_file = \"none\"\n"), std::string()}) {
    write("ams.toml", broken);
    for (const int after : {5, 120}) {
      const auto choice = start(seconds(after));
      expect_before(choice, "cannot be used (" + file());
      EXPECT_FALSE(choice.lines.empty()) << "what is wrong with the file is said";
    }
  }
  std::filesystem::remove(file());
  expect_before(start(seconds(5)), "cannot open the file");
}

TEST_F(Starts, ATrialIsFoundThoughTheFileDoesNotSayOfWhichSiteItIs) {
  begin();
  std::filesystem::create_directories(root() + "/fra");
  std::ofstream(root() + "/fra/trial") << "no trial\n";
  std::ofstream(root() + "/ams-2") << "no folder\n";
  write("ams.toml", "[site\n");
  expect_before(start(seconds(5)), "cannot be used");
  const auto other = choose_start(folder_ / "fra.toml", at(seconds(5)), root());
  EXPECT_FALSE(other.config.has_value()) << "another file's is not taken";
  std::filesystem::remove_all(root());
  EXPECT_FALSE(start(seconds(5)).config.has_value());
}

TEST_F(Starts, ATrialIsFoundThoughTheFileSaysAnotherStateDirOrSite) {
  begin();
  for (const auto& [old, now] : {std::pair{"state/ams", "state/ams-2"}, {"name = \"ams\"\n", "name = \"ams-2\"\n"}}) {
    auto moved = tried();
    moved.replace(moved.find(old), std::string_view(old).size(), now);
    write("ams.toml", moved);
    begin_state();
    const auto choice = start(seconds(5));
    expect_before(choice, "of [site], from which nobody could go back");
    EXPECT_EQ(choice.trial.store->path(), store().path());
    gone_back();
    const auto next = start(seconds(6));
    expect_file(next, moved, Then::kForget);
    EXPECT_EQ(next.trial.store->path(), store().path()) << "is forgotten where it lies";
  }
}

TEST_F(Starts, ATrialOfAnotherFileWithTheSameStateDirIsLeftAlone) {
  begin();
  write("rescue.toml", text(""));
  for (const int after : {5, 120}) {
    const auto choice = choose_start(folder_ / "rescue.toml", at(seconds(after)), root());
    expect_file(choice, text(""), Then::kKeep);
    EXPECT_FALSE(choice.trial.stored.has_value());
    EXPECT_NE(alerts(choice).find(store().path() + " is of a trial of " + file()), std::string::npos) << alerts(choice);
  }
  write("rescue.toml", "[site\nstate_dir = \"state/ams\"\n");
  EXPECT_FALSE(choose_start(folder_ / "rescue.toml", at(seconds(5)), root()).config.has_value());
  auto fra = tried();
  fra.replace(fra.find("\"ams\""), 5, "\"fra\"");
  fra.replace(fra.rfind("\"fra\""), 5, "\"ams\"");
  write("fra.toml", fra);
  std::filesystem::remove(file());
  expect_file(choose_start(folder_ / "fra.toml", at(seconds(5)), root()), fra, Then::kKeep);
  write("ams-2.toml", tried());
  const auto renamed = choose_start(folder_ / "ams-2.toml", at(seconds(5)), root());
  ASSERT_TRUE(renamed.config && renamed.trial.before) << "the file was renamed: " << alerts(renamed);
}

TEST_F(Starts, WhatAnotherSitePutIntoItsOwnFolderIsNoTrialOfThisOne) {
  begin();
  std::filesystem::create_directories(root() + "/fra");
  std::filesystem::rename(store().path(), root() + "/fra/trial");
  for (const auto& says : {std::string("[site\n"), tried()}) {
    write("ams.toml", says);
    const auto choice = start(seconds(120));
    EXPECT_EQ(choice.config.has_value(), says == tried());
    EXPECT_FALSE(choice.trial.stored.has_value());
  }
}

TEST_F(Starts, TheFileSaysWhetherThereIsARightToZebra) {
  begin();
  EXPECT_EQ(start(seconds(5)).file_says_zebra, false);
  auto trial = **store().read();
  trial.before += "[routing]\n";
  ASSERT_TRUE(store().write(trial).has_value());
  const auto choice = start(seconds(5));
  ASSERT_TRUE(choice.config && choice.config->routing);
  EXPECT_EQ(choice.file_says_zebra, false);
  EXPECT_NE(alerts(choice).find("does not get the right to zebra's socket"), std::string::npos) << alerts(choice);
  write("ams.toml", tried() + "[routing]\n");
  EXPECT_EQ(start(seconds(5)).file_says_zebra, true);
  write("ams.toml", tried() + "[routing]\nsource = \"kernel\"\n");
  EXPECT_EQ(start(seconds(5)).file_says_zebra, false);
  write("ams.toml", "[site\n");
  EXPECT_EQ(start(seconds(5)).file_says_zebra, std::nullopt);
}

TEST_F(Starts, AFileThatCannotBeGoneBackFromAtRunTimeIsNotTried) {
  begin();
  const auto moved = text("", "listen_port = 4500\n");
  write("ams.toml", moved);
  const auto choice = start(seconds(5));
  expect_before(choice, "'listen_port' of [site]");
  gone_back();  // as the daemon notes it then
  expect_file(start(seconds(6)), moved, Then::kForget);
  begin_state();
  EXPECT_NE(alerts(start(seconds(5))).find("a further restart takes the file\n"), std::string::npos);
  auto trial = **store().read();
  trial.tried = fingerprint(moved);  // a reload took it, and only the way back over two needs a restart
  ASSERT_TRUE(store().write(trial).has_value());
  EXPECT_NE(alerts(start(seconds(5))).find("a further restart takes the file once it was edited\n"), std::string::npos);
}

TEST_F(Starts, ATrialOfAKeyAloneIsOverAndThisIsTold) {
  begin();
  write("ams.toml", before());
  write("fra.psk", kKey);
  const auto choice = start(seconds(5));
  expect_file(choice, before(), Then::kForget);
  EXPECT_NE(alerts(choice).find("that key is gone, so the trial is over"), std::string::npos) << alerts(choice);
}

TEST_F(Starts, AKeyThatIsAnotherOneByNowIsTold) {
  begin();
  write("fra.psk", kKey);
  for (const int after : {5, 120}) {
    const auto choice = start(seconds(after));
    ASSERT_TRUE(choice.config.has_value());
    EXPECT_NE(alerts(choice).find(folder_ / "fra.psk" + " holds another key than before the trial"), std::string::npos) << alerts(choice);
    EXPECT_EQ((choice.trial.before ? *choice.trial.before : *choice.config).peers.at(0).preshared_key.reveal_base64(), kKey);
  }
}

TEST_F(Starts, WithoutAKeyOfItsOwnThereIsNoWayBackAndThisIsTold) {
  begin();
  const auto alone = before().substr(0, before().find("[[peer]]"));
  write("ams.toml", alone);
  auto trial = **store().read();
  trial.tried = fingerprint(alone);
  ASSERT_TRUE(store().write(trial).has_value());
  std::filesystem::remove(folder_ / "fra.psk");
  for (const int after : {5, 120}) {
    const auto choice = start(seconds(after));
    expect_file(choice, alone, Then::kKeep);
    EXPECT_NE(alerts(choice).find("cannot be loaded (" + file()), std::string::npos) << alerts(choice);
    EXPECT_NE(alerts(choice).find("fra.psk does not exist"), std::string::npos) << alerts(choice);
  }
  write("ams.toml", "[site\n");
  const auto nothing = start(seconds(5));
  EXPECT_FALSE(nothing.config.has_value());
  ASSERT_EQ(nothing.lines.size(), 2U);
  EXPECT_NE(nothing.lines.back().find("what ran before the trial cannot be started either"), std::string::npos);
  EXPECT_EQ(nothing.errors, 1U);
}

TEST_F(Starts, AStateThatCannotBeUsedIsToldAndTheFileStarted) {
  begin();
  const auto whole = to_text(**store().read());
  const struct {
    std::string text;
    mode_t mode;
    const char* says;
  } cases[] = {
      {whole.substr(0, whole.size() / 2), 0600, "it is no JSON object"},
      {"", 0600, "it is no JSON object"},
      {"{\"version\":2}", 0600, "it is of version 2, and this greywired knows 1"},
      {whole, 0666, "others may write to it"},
  };
  for (const auto& [text, mode, says] : cases) {
    std::ofstream(store().path()) << text;
    ASSERT_EQ(::chmod(store().path().c_str(), mode), 0);
    const auto choice = start(seconds(120));
    expect_file(choice, tried(), Then::kKeep);
    ASSERT_EQ(choice.trial.alerts.size(), 1U);
    EXPECT_NE(alerts(choice).find("cannot use " + store().path() + ": " + says), std::string::npos) << alerts(choice);
  }
  write("ams.toml", text("mtuu = 1400\n"));
  const auto nothing = start(seconds(5));
  EXPECT_FALSE(nothing.config.has_value());
  EXPECT_NE(nothing.lines.back().find(store().path()), std::string::npos) << "why it was no help";
}

TEST_F(Starts, ARelativePathOfTheFileIsTheSameFile) {
  begin();
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  const auto choice = choose_start("ams.toml", at(seconds(5)), root());
  std::filesystem::current_path(here);
  ASSERT_TRUE(choice.config && choice.trial.before) << alerts(choice);
  EXPECT_EQ(alerts(choice), "");
}

TEST_F(Starts, TheStateIsWrittenReadAndRemoved) {
  const auto none = store().read();
  ASSERT_TRUE(none.has_value());
  EXPECT_FALSE(none->has_value());
  begin();
  struct stat found {};
  ASSERT_EQ(::stat(store().path().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600U);
  EXPECT_EQ((*store().read())->before, before());
  EXPECT_TRUE(store().remove().has_value());
  EXPECT_TRUE(store().remove().has_value());
  EXPECT_FALSE(store().read()->has_value());
  EXPECT_FALSE(TrialStore("/proc/nowhere").write({}).has_value());
}

TEST(ClocksNow, KnowsTheBoot) {
  const auto one = clocks_now(), other = clocks_now();
  EXPECT_EQ(one.boot_id.size(), 36U) << one.boot_id;
  EXPECT_EQ(one.boot_id, other.boot_id);
  EXPECT_LE(one.boot, other.boot);
}

}  // namespace
}  // namespace greywire::daemon
