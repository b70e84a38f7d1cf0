// The log under everything that may happen to it, and whether the test would notice if it were wrong.
// MS_WAL_SEEDS=100 runs a hundred times as many worlds.

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/number.h"
#include "wal/sim_world.h"

namespace moonshard::wal::sim {
namespace {

constexpr int kSteps = 400;

uint64_t SeedFactor() {
  const char* text = std::getenv("MS_WAL_SEEDS");
  return text == nullptr ? 1 : static_cast<uint64_t>(base::ParseInt64(text).value_or(1));
}

TEST(Simulation, WhatWasDurableIsThereAndNothingElse) {
  World::Statistics sum;
  const uint64_t seeds = 400 * SeedFactor();
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    World world(seed, Mistake::kNone);
    const std::string failure = world.Run(kSteps);
    ASSERT_EQ(failure, "");
    const World::Statistics& s = world.statistics();
    sum.restarts += s.restarts;
    sum.torn += s.torn;
    sum.lost += s.lost;
    sum.recycled += s.recycled;
    sum.full += s.full;
    sum.failed += s.failed;
    sum.recovered += s.recovered;
    sum.closed += s.closed;
  }
  // A run in which nothing happened would prove nothing.
  EXPECT_GT(sum.restarts, seeds);
  EXPECT_GT(sum.torn, seeds / 20);
  EXPECT_GT(sum.lost, seeds);
  EXPECT_GT(sum.recovered, seeds * 20);
  EXPECT_GT(sum.recycled, seeds / 20);
  EXPECT_GT(sum.full, 0u);
  EXPECT_GT(sum.failed, 0u);
  EXPECT_GT(sum.closed, seeds / 20);
  std::printf(
      "worlds %lu restarts %lu torn %lu lost %lu recovered %lu recycled %lu full %lu failed %lu closed %lu\n",
      seeds, sum.restarts, sum.torn, sum.lost, sum.recovered, sum.recycled, sum.full, sum.failed, sum.closed);
}

class PlantedMistake : public testing::TestWithParam<Mistake> {};
INSTANTIATE_TEST_SUITE_P(All, PlantedMistake,
                         testing::Values(Mistake::kNoSync, Mistake::kAckBeforeWrite, Mistake::kRewriteBlock,
                                         Mistake::kGoOnAfterFailure, Mistake::kRotateUnsynced,
                                         Mistake::kDurableTooHigh, Mistake::kStaleLooksNew,
                                         Mistake::kNoDirectorySync, Mistake::kListBeforeComplete,
                                         Mistake::kReuseListed, Mistake::kCloseUnsynced, Mistake::kReadCache,
                                         Mistake::kTakeAnyBlock, Mistake::kCondemnTornTail));

TEST_P(PlantedMistake, IsFoundWithinAThousandSeeds) {
  for (uint64_t seed = 1; seed <= 1000; ++seed) {
    const std::string failure = World(seed, GetParam()).Run(kSteps);
    if (failure.empty()) continue;
    std::printf("%s\n", failure.c_str());
    return;
  }
  FAIL() << "not found";
}

}  // namespace
}  // namespace moonshard::wal::sim
