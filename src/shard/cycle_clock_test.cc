#include "shard/cycle_clock.h"

#include <gtest/gtest.h>

#include "shard/sim_env.h"

namespace moonshard::shard {
namespace {

TEST(CycleClock, ConvertsBothWays) {
  RealEnv env;
  CycleClock clock(env);
  for (uint64_t ns : {0ull, 1ull, 1000ull, 123'456'789ull, 10'000'000'000ull, 3'600'000'000'000ull}) {
    const uint64_t back = clock.ToNs(clock.FromNs(ns));
    EXPECT_NEAR(static_cast<double>(back), static_cast<double>(ns), 2.0 + static_cast<double>(ns) * 1e-6);
  }
  // Limits of nobody.
  EXPECT_GE(clock.FromNs(UINT64_MAX), UINT64_MAX / 16);
}

TEST(CycleClock, RunsAtTheRateOfTheMonotonicClock) {
  RealEnv env;
  CycleClock clock(env);
  const TimeNs begin_ns = env.MonotonicNow();
  const uint64_t begin = clock.Now();
  TimeNs end_ns = begin_ns;
  while (end_ns < begin_ns + 20'000'000) end_ns = env.MonotonicNow();
  const auto took_ns = static_cast<double>(clock.ToNs(CycleClock::Between(begin, clock.Now())));
  // The last reading may come late if the thread loses its core; never early.
  const auto later_ns = static_cast<double>(env.MonotonicNow() - begin_ns);
  EXPECT_GT(took_ns, static_cast<double>(end_ns - begin_ns) * 0.99);
  EXPECT_LT(took_ns, later_ns * 1.01);
}

TEST(CycleClock, NeverGoesBack) {
  EXPECT_EQ(CycleClock::Between(10, 4), 0u);
  EXPECT_EQ(CycleClock::Between(4, 10), 6u);
}

TEST(CycleClock, FollowsTheSimulation) {
  SimEnv env(1);
  CycleClock clock(env);
  EXPECT_EQ(clock.Now(), static_cast<uint64_t>(env.MonotonicNow()));
  EXPECT_EQ(clock.ToNs(123), 123u);
  EXPECT_EQ(clock.FromNs(123), 123u);
}

}  // namespace
}  // namespace moonshard::shard
