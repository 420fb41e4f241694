#include "overlay/daemon/stored_trial.h"

#include <gtest/gtest.h>

#include <limits>

#include "overlay/daemon/reload_trial.h"

namespace greywire::daemon {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr TimePoint kBoot = TimePoint{} + hours(5);
constexpr std::int64_t kWall = 1'800'000'000;

Clocks at(Duration after, const char* boot_id = "a boot") {
  return {boot_id, kBoot + after, {kWall + std::chrono::floor<seconds>(after).count(),
                                   static_cast<std::uint32_t>((after - std::chrono::floor<seconds>(after)).count())}};
}

// Of a later boot, `up` ago, so long after the trial began by the time of day.
Clocks rebooted(Duration after, Duration up = minutes(1)) {
  Clocks out = at(after, "another boot");
  out.boot = TimePoint{} + up;
  return out;
}

StoredTrial sample(seconds wait = minutes(2)) {
  StoredTrial trial;
  trial.file = "/etc/greywire/\xff \"a\".toml";
  trial.before = "[site]\nname = \"ams\"\t# caf\xc3\xa9\n";
  trial.keys = {{"/etc/greywire/ams.key", fingerprint("1")}, {"/etc/greywire/\xff.psk", fingerprint("2")}};
  trial.tried = fingerprint("tried");
  trial.until = deadline_after(wait, at({}));
  return trial;
}

TEST(StoredTrial, IsReadAsItWasWritten) {
  for (auto trial : {sample(), sample(hours(24)), sample(seconds(1))}) {
    EXPECT_EQ(*parse_stored_trial(to_text(trial)), trial);
    trial.starting = true;
    EXPECT_EQ(*parse_stored_trial(to_text(trial)), trial);
    trial.until.reset();
    trial.keys.clear();
    EXPECT_EQ(*parse_stored_trial(to_text(trial)), trial);
  }
  auto before_1970 = sample();
  before_1970.until->wall = milliseconds(-5);
  EXPECT_EQ(*parse_stored_trial(to_text(before_1970)), before_1970);
}

TEST(StoredTrial, CutShortAnywhereItIsRefused) {
  const auto whole = to_text(sample());
  for (std::size_t size = 0; size + 1 < whole.size(); ++size) {  // the last line end may go
    const auto read = parse_stored_trial(std::string_view(whole).substr(0, size));
    ASSERT_FALSE(read.has_value()) << size;
    EXPECT_EQ(read.error().text, "it is no JSON object");
  }
}

std::string replaced(std::string text, std::string_view old, std::string_view now) {
  const auto from = text.find(old);
  EXPECT_NE(from, std::string::npos) << old;
  return text.replace(from, old.size(), now);
}

TEST(StoredTrial, SaysInAFewWordsWhatIsWrong) {
  auto trial = sample();
  trial.file = "/f";
  const auto good = to_text(trial);
  const auto wrong = [](std::string_view what) { return "it has no \"" + std::string(what) + "\", or a wrong one"; };
  const struct {
    std::string text, says;
  } cases[] = {
      {"", "it is no JSON object"},
      {"\n", "it is no JSON object"},
      {"[]", "it is no JSON object"},
      {"@400000006b49d20a3b000000\n", "it is no JSON object"},
      {good + good, "it is no JSON object"},
      {std::string(100'000, '['), "it is no JSON object"},
      {"{}", wrong("version")},
      {replaced(good, "\"version\":1", "\"version\":\"1\""), wrong("version")},
      {replaced(good, "\"version\":1", "\"version\":0"), wrong("version")},
      {replaced(good, "\"version\":1", "\"version\":2"), "it is of version 2, and this greywired knows 1"},
      {"{\"version\":7,\"entirely\":\"else\"}", "it is of version 7, and this greywired knows 1"},
      {replaced(good, "\"file\":\"/f\"", "\"file\":\"\""), wrong("file")},
      {replaced(good, "\"before\":", "\"after\":"), wrong("before")},
      {replaced(good, "\"tried\":", "\"tried\":1,\"\":"), wrong("tried")},
      {replaced(good, "\"keys\":{", "\"keys\":{\"a\":1,"), wrong("keys")},
      {replaced(good, "\"until\":{", "\"until\":1,\"\":{"), wrong("until")},
      {replaced(good, "\"until\":", "\"from\":"), wrong("until")},
      {replaced(good, "\"until\":", "\"starting\":1,\"until\":"), wrong("starting")},
      {replaced(good, "\"wait_seconds\":120", "\"wait_seconds\":0"), wrong("wait_seconds")},
      {replaced(good, "\"wait_seconds\":120", "\"wait_seconds\":86401"), wrong("wait_seconds")},
      {replaced(good, "\"wait_seconds\":120", "\"wait_seconds\":1e2"), wrong("wait_seconds")},
      {replaced(good, "\"boot_milliseconds\":1812", "\"boot_milliseconds\":9223372036854771812"), wrong("boot_milliseconds")},
      {replaced(good, "\"boot_milliseconds\":", "\"boot_milliseconds\":-"), wrong("boot_milliseconds")},
      {replaced(good, "\"unix_milliseconds\":1", "\"unix_milliseconds\":1000000"), wrong("unix_milliseconds")},
      {replaced(good, "\"boot_id\":\"a boot\"", "\"boot_id\":null"), wrong("boot_id")},
  };
  ASSERT_TRUE(parse_stored_trial(good).has_value());
  for (const auto& [text, says] : cases) {
    const auto read = parse_stored_trial(text);
    ASSERT_FALSE(read.has_value()) << text;
    EXPECT_EQ(read.error().text, says) << text;
  }
}

TEST(StoredTrial, KeepsItsDeadlineByTheBootClockWhileTheHostRuns) {
  const auto trial = sample(seconds(120));
  const struct {
    Clocks now;
    Duration left;
  } cases[] = {
      {at({}), seconds(120)},
      {at(seconds(50)), seconds(70)},
      {at(milliseconds(119'999)), milliseconds(1)},
      {at(seconds(120)), {}},
      {at(hours(100)), {}},
  };
  for (const auto& [now, left] : cases) EXPECT_EQ(time_left(trial, now), left);
  for (const std::int64_t set_by : {-1'000'000'000LL, -60LL, 60LL, 1'000'000'000LL}) {  // somebody sets the time
    auto now = at(seconds(50));
    now.wall.seconds += set_by;
    EXPECT_EQ(time_left(trial, now), seconds(70)) << set_by;
  }
}

TEST(StoredTrial, AfterARebootItGoesByTheTimeOfDay) {
  const auto trial = sample(seconds(120));
  EXPECT_EQ(time_left(trial, rebooted(seconds(50))), seconds(70));
  EXPECT_EQ(time_left(trial, rebooted(seconds(50), hours(5))), seconds(70)) << "the boot clock means nothing";
  EXPECT_EQ(time_left(trial, rebooted(seconds(120))), Duration::zero());
  EXPECT_EQ(time_left(trial, rebooted(hours(24 * 365))), Duration::zero());
  EXPECT_EQ(time_left(trial, rebooted({})), seconds(120));
  EXPECT_EQ(time_left(trial, rebooted(-seconds(1))), Duration::zero()) << "the clock is slow: nobody knows how long it was down";
  EXPECT_EQ(time_left(trial, rebooted(-hours(24 * 365 * 50))), Duration::zero());
  auto unknown = trial;
  unknown.until->boot_id.clear();
  EXPECT_EQ(time_left(unknown, at(seconds(50), "")), seconds(70)) << "no boot is known, so the time of day counts";
  auto moved = at(seconds(50), "");
  moved.boot = TimePoint{};
  EXPECT_EQ(time_left(unknown, moved), seconds(70));
}

TEST(StoredTrial, MovedToTheNewBootItKeepsItsDeadlineThoughSomebodySetsTheTime) {
  auto trial = sample(seconds(120));
  const auto same = trial;
  move_to_boot(trial, at(seconds(50)));
  EXPECT_EQ(trial, same) << "no reboot";
  move_to_boot(trial, at(seconds(50), ""));
  EXPECT_EQ(trial, same) << "the boot is not known";
  move_to_boot(trial, rebooted(seconds(50), minutes(1)));
  for (const std::int64_t set_by : {-100'000LL, 0LL, 100'000LL}) {
    auto later = rebooted(seconds(60), minutes(1) + seconds(10));
    later.wall.seconds += set_by;
    EXPECT_EQ(time_left(trial, later), seconds(60)) << set_by;
  }
  EXPECT_EQ(*parse_stored_trial(to_text(trial)), trial);
  trial.until.reset();
  move_to_boot(trial, rebooted(seconds(50)));
  EXPECT_FALSE(trial.until.has_value());
}

TEST(StoredTrial, NothingIsLeftOfOneThatWasGoneBackFrom) {
  auto trial = sample();
  trial.until.reset();
  EXPECT_EQ(time_left(trial, at({})), Duration::zero());
}

TEST(StoredTrial, NumbersOfAnySizeDoNotOverflow) {
  auto trial = sample(ReloadTrial::kLongest);
  for (const std::int64_t wall : {-9'000'000'000'000LL, 9'000'000'000'000LL}) {
    for (const std::int64_t boot : {0LL, 9'000'000'000'000LL}) {
      trial.until->wall = milliseconds(wall);
      trial.until->boot = milliseconds(boot);
      EXPECT_EQ(time_left(trial, at({})), Duration::zero());
      EXPECT_EQ(time_left(trial, rebooted({})), Duration::zero());
    }
  }
}

TEST(StoredTrial, FingerprintsTellKeysApartAndDoNotTellThem) {
  config::Config config;
  config.site.private_key_file = "ams.key";
  config.site.private_key = *PrivateKey::from_base64("yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=");
  config.peers.resize(2);
  config.peers[0].preshared_key_file = "/keys/fra.psk";
  config.peers[0].preshared_key = *PresharedKey::from_base64("FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=");
  const auto prints = key_fingerprints(config, "/etc/greywire/ams.toml");
  ASSERT_EQ(prints.size(), 2U) << "of those that there are";
  EXPECT_TRUE(prints.contains("/etc/greywire/ams.key"));
  EXPECT_TRUE(prints.contains("/keys/fra.psk"));
  StoredTrial trial = sample();
  trial.keys = prints;
  const auto text = to_text(trial);
  for (const auto& secret : {config.site.private_key.reveal_base64(), config.site.private_key.reveal_hex(),
                             config.peers[0].preshared_key.reveal_base64(), config.peers[0].preshared_key.reveal_hex()}) {
    EXPECT_EQ(text.find(secret), std::string::npos);
  }
  config.peers[0].preshared_key.writable_bytes()[31] ^= 1;
  const auto other = key_fingerprints(config, "/etc/greywire/ams.toml");
  EXPECT_NE(other.at("/keys/fra.psk"), prints.at("/keys/fra.psk"));
  EXPECT_EQ(other.at("/etc/greywire/ams.key"), prints.at("/etc/greywire/ams.key"));
}

}  // namespace
}  // namespace greywire::daemon
