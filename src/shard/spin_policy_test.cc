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

TEST(SpinPolicy, AutomaticNeedsACoreToSpare) {
  SpinPolicy policy;
  policy.Init({BusyPoll::Mode::kAuto, 0}, 4, 4, 0);
  EXPECT_EQ(policy.SpinNs(1), 0);
  policy.Init({BusyPoll::Mode::kAuto, 0}, 5, 4, 0);
  EXPECT_GE(policy.SpinNs(1), 20'000);
  EXPECT_LE(policy.SpinNs(1), 50'000);
}

TEST(SpinPolicy, InvoluntarySwitchesStopItForLongerAndLonger) {
  SpinPolicy policy;
  policy.Init({BusyPoll::Mode::kAuto, 0}, 8, 1, 0);
  TimeNs now = kSecond;
  policy.Observe(100.0, now);
  EXPECT_EQ(policy.SpinNs(now + kSecond - 1), 0);
  // After the pause it tries again (this test thread is not switched away 25 times within no time).
  policy.Observe(0.0, now + kSecond);
  EXPECT_GT(policy.SpinNs(now + kSecond), 0);
  policy.Observe(100.0, now + kSecond);
  EXPECT_EQ(policy.SpinNs(now + 3 * kSecond - 1), 0);  // twice as long
  policy.Observe(0.0, now + 3 * kSecond);
  policy.Observe(10.0, now + 4 * kSecond);  // a quiet time while spinning: the pause is short again
  policy.Observe(100.0, now + 5 * kSecond);
  EXPECT_EQ(policy.SpinNs(now + 6 * kSecond - 1), 0);
}

}  // namespace
}  // namespace moonshard::shard
