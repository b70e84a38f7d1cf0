#include "shard/spin_policy.h"

#include <gtest/gtest.h>

namespace moonshard::shard {
namespace {

constexpr TimeNs kSecond = 1'000'000'000;

TEST(SpinPolicy, ModesMeanWhatTheySay) {
  SpinPolicy policy;
  policy.Init({BusyPoll::Mode::kNo, 0}, 64, 1, 0);
  EXPECT_EQ(policy.SpinNs(kSecond * 100), 0);
  policy.Init({BusyPoll::Mode::kFixed, 7}, 1, 64, 0);
  EXPECT_EQ(policy.SpinNs(kSecond * 100), 7'000);
}

TEST(SpinPolicy, AutomaticNeedsACoreToSpareForSeveralShards) {
  SpinPolicy policy;
  policy.Init({BusyPoll::Mode::kAuto, 0}, 4, 4, 0);
  EXPECT_EQ(policy.SpinNs(1), 0);
  policy.Init({BusyPoll::Mode::kAuto, 0}, 1, 1, 0);
  EXPECT_GT(policy.SpinNs(1), 0);
  policy.Init({BusyPoll::Mode::kAuto, 0}, 5, 4, 0);
  EXPECT_GE(policy.SpinNs(1), 20'000);
  EXPECT_LE(policy.SpinNs(1), 50'000);
}

TEST(SpinPolicy, InvoluntarySwitchesStopItForLongerAndLonger) {
  SpinPolicy policy;
  policy.Init({BusyPoll::Mode::kAuto, 0}, 8, 1, 0);
  // One window over the limit is a burst; two in a row are a shared core.
  constexpr double kShared = 200.0;
  TimeNs now = kSecond;
  policy.Observe(kShared, now);
  EXPECT_GT(policy.SpinNs(now + 1), 0);
  policy.Observe(kShared, now);
  EXPECT_EQ(policy.SpinNs(now + kSecond - 1), 0);
  // After the pause it tries again (this test thread is not switched away that often within no time).
  policy.Observe(0.0, now + kSecond);
  EXPECT_GT(policy.SpinNs(now + kSecond), 0);
  policy.Observe(kShared, now + kSecond);
  policy.Observe(kShared, now + kSecond);
  EXPECT_EQ(policy.SpinNs(now + 3 * kSecond - 1), 0);  // twice as long
  policy.Observe(0.0, now + 3 * kSecond);
  policy.Observe(10.0, now + 4 * kSecond);  // a quiet time while spinning: the pause is short again
  policy.Observe(kShared, now + 5 * kSecond);
  policy.Observe(kShared, now + 5 * kSecond);
  EXPECT_EQ(policy.SpinNs(now + 6 * kSecond - 1), 0);
}

}  // namespace
}  // namespace moonshard::shard
