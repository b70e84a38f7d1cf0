#include "command/rate_meter.h"

#include <gtest/gtest.h>

namespace moonshard::command {
namespace {

constexpr TimeMs kStart = 1'700'000'000'000;

TEST(RateMeter, KnowsNothingAtFirst) {
  RateMeter meter;
  EXPECT_EQ(meter.PerSecond(kStart, 1'000'000), 0.0);
  // What was counted before the first look is no rate.
  EXPECT_EQ(meter.PerSecond(kStart + 200, 1'000'000), 0.0);
}

TEST(RateMeter, SteadyRate) {
  RateMeter meter;
  uint64_t total = 7;
  for (TimeMs ms = 0; ms <= 5000; ++ms) {
    meter.Sample(kStart + ms, total);
    total += 3;
  }
  EXPECT_NEAR(meter.PerSecond(kStart + 5000, total), 3000.0, 31.0);
}

TEST(RateMeter, ForgetsWhatIsLongAgo) {
  RateMeter meter;
  uint64_t total = 0;
  meter.Sample(kStart, total);
  for (TimeMs ms = 0; ms < 3000; ms += 10) meter.Sample(kStart + ms, total += 100);
  EXPECT_NEAR(meter.PerSecond(kStart + 3000, total), 10'000.0, 1000.0);
  // Nobody samples while nothing happens. Half of the window is over, then all of it.
  EXPECT_NEAR(meter.PerSecond(kStart + 3800, total), 5000.0, 1000.0);
  EXPECT_EQ(meter.PerSecond(kStart + 5400, total), 0.0);
}

// The end of a rush that nobody sampled does not become a rate of the rest behind it.
TEST(RateMeter, ARestBehindARushIsARest) {
  RateMeter meter;
  meter.Sample(kStart, 0);
  meter.Sample(kStart + 100, 10'000);
  EXPECT_EQ(meter.PerSecond(kStart + 2300, 19'000), 0.0);
}

TEST(RateMeter, OneCallAfterALongRestIsNoRush) {
  RateMeter meter;
  meter.Sample(kStart, 0);
  meter.Sample(kStart + 3'600'000, 50);
  EXPECT_LT(meter.PerSecond(kStart + 3'600'000, 50), 1.0);
}

}  // namespace
}  // namespace moonshard::command
