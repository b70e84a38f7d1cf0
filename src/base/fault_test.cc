#include "base/fault.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace moonshard::base {
namespace {

int FailuresIn(int passes) {
  int failures = 0;
  for (int i = 0; i < passes; ++i) failures += MS_FAULT("test.point") ? 1 : 0;
  return failures;
}

TEST(Fault, UnarmedPointPasses) {
  EXPECT_EQ(FailuresIn(1000), 0);
  ScopedFault other("test.other", {});
  EXPECT_EQ(FailuresIn(1000), 0);
  EXPECT_EQ(other.counts().passes, 0u);
}

TEST(Fault, FailsOncePerDefaultAfterSkippedPasses) {
  ScopedFault fault("test.point", {.skip = 3});
  std::vector<bool> fired;
  for (int i = 0; i < 6; ++i) fired.push_back(MS_FAULT("test.point"));
  EXPECT_EQ(fired, (std::vector<bool>{false, false, false, true, false, false}));
  EXPECT_EQ(fault.counts().passes, 6u);
  EXPECT_EQ(fault.counts().fired, 1u);
}

TEST(Fault, DisarmsAtTheEndOfTheScope) {
  {
    ScopedFault fault("test.point", {.count_max = FaultPlan::kUnlimited});
    EXPECT_EQ(FailuresIn(10), 10);
  }
  EXPECT_EQ(FailuresIn(10), 0);
  EXPECT_EQ(internal::armed_fault_count.load(), 0u);
}

TEST(Fault, ProbabilityIsReproducibleFromItsSeed) {
  auto run = [](uint64_t seed) {
    ScopedFault fault("test.point", {.count_max = FaultPlan::kUnlimited, .probability = 0.25, .seed = seed});
    std::vector<bool> fired;
    for (int i = 0; i < 4000; ++i) fired.push_back(MS_FAULT("test.point"));
    EXPECT_NEAR(static_cast<double>(fault.counts().fired), 1000, 150);
    return fired;
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

TEST(Fault, CountsPassesOfAllThreads) {
  ScopedFault fault("test.point", {.skip = 1000, .count_max = 10});
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 4; ++t) threads.emplace_back([&] { failures += FailuresIn(1000); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 10);
  EXPECT_EQ(fault.counts().passes, 4000u);
}

}  // namespace
}  // namespace moonshard::base
