#include "overlay/daemon/reload_trial.h"

#include <gtest/gtest.h>

namespace greywire::daemon {
namespace {

using std::chrono::seconds;

constexpr TimePoint kStart = TimePoint{} + std::chrono::hours(1);

ReloadTrial::ConfigPointer named(const char* name) {
  auto config = std::make_shared<config::Config>();
  config->site.name = name;
  return config;
}

TEST(ReloadTrial, IsDueAtItsTimeAndGoesBackToWhatRanBefore) {
  ReloadTrial trial;
  EXPECT_FALSE(trial.waiting());
  EXPECT_EQ(trial.deadline(), kNever);
  EXPECT_EQ(trial.left(kStart), std::nullopt);
  const auto before = named("before");
  trial.begin(before, seconds(60), kStart);
  EXPECT_EQ(trial.deadline(), kStart + seconds(60));
  EXPECT_EQ(trial.left(kStart), seconds(60));
  EXPECT_EQ(trial.left(kStart + std::chrono::milliseconds(100)), seconds(60));
  EXPECT_EQ(trial.left(kStart + seconds(59)), seconds(1));
  EXPECT_FALSE(trial.due(kStart + std::chrono::milliseconds(59'999)));
  EXPECT_TRUE(trial.due(kStart + seconds(60)));
  EXPECT_EQ(trial.left(kStart + seconds(70)), seconds(0));
  EXPECT_EQ(trial.end(), before);
  EXPECT_FALSE(trial.waiting());
  EXPECT_FALSE(trial.due(kStart + seconds(70)));
  EXPECT_EQ(trial.end(), nullptr);
}

TEST(ReloadTrial, AFurtherOneStartsTheTimeAnewAndStillGoesBackToTheFirst) {
  ReloadTrial trial;
  const auto confirmed = named("confirmed");
  trial.begin(confirmed, seconds(60), kStart);
  trial.begin(named("unconfirmed"), seconds(30), kStart + seconds(50));
  EXPECT_FALSE(trial.due(kStart + seconds(60)));
  EXPECT_EQ(trial.left(kStart + seconds(60)), seconds(20));
  EXPECT_TRUE(trial.due(kStart + seconds(80)));
  EXPECT_EQ(trial.end(), confirmed);
  const auto next = named("next");
  trial.begin(next, seconds(5), kStart + seconds(90));
  EXPECT_EQ(trial.before(), next);
}

TEST(ReloadTrial, HoldsTheConfigurationThoughNobodyElseDoes) {
  ReloadTrial trial;
  std::weak_ptr<const config::Config> watched;
  {
    const auto before = named("before");
    watched = before;
    trial.begin(before, seconds(1), kStart);
  }
  EXPECT_FALSE(watched.expired());
  trial.end();
  EXPECT_TRUE(watched.expired());  // keys are kept no longer than needed
}

TEST(ReloadTrial, OneOfAnotherProcessGoesOnToItsOwnDeadline) {
  ReloadTrial trial;
  const auto before = named("before");
  trial.resume(before, kStart + std::chrono::milliseconds(2500));
  EXPECT_EQ(trial.left(kStart), seconds(3));
  EXPECT_FALSE(trial.due(kStart + seconds(2)));
  EXPECT_TRUE(trial.due(kStart + std::chrono::milliseconds(2500)));
  trial.begin(named("unconfirmed"), seconds(30), kStart + seconds(1));
  EXPECT_EQ(trial.left(kStart + seconds(1)), seconds(30)) << "a further one takes over";
  EXPECT_EQ(trial.end(), before);
  trial.resume(before, kStart);
  EXPECT_TRUE(trial.due(kStart)) << "it was over before it was looked at";
}

TEST(ReloadTrial, TimesAreKeptWithinADay) {
  ReloadTrial trial;
  trial.begin(named("before"), seconds(0), kStart);
  EXPECT_EQ(trial.deadline(), kStart + seconds(1));
  trial.begin(named("before"), std::chrono::hours(1000), kStart);
  EXPECT_EQ(trial.deadline(), kStart + std::chrono::hours(24));
}

}  // namespace
}  // namespace greywire::daemon
