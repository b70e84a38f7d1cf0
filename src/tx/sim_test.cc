// Thousands of random worlds, and the test of that test: each planted mistake must be found.

#include <gtest/gtest.h>

#include <cstdlib>

#include "tx/sim_world.h"

namespace moonshard::tx::sim {
namespace {

// The suite's share; MS_TX_SEEDS multiplies it for a soak.
uint64_t Seeds(uint64_t count) {
  const char* factor = std::getenv("MS_TX_SEEDS");
  return factor != nullptr ? count * std::strtoull(factor, nullptr, 10) : count;
}

void RunSeeds(uint64_t first, uint64_t count, void (*adjust)(Config&)) {
  for (uint64_t seed = first; seed < first + count; ++seed) {
    Config config = RandomConfig(seed);
    adjust(config);
    World world(config, seed);
    std::string failure = world.Run();
    ASSERT_TRUE(failure.empty()) << "seed " << seed << ": " << failure;
  }
}

TEST(Simulation, RandomMixHoldsEverything) {
  RunSeeds(1, Seeds(10000), [](Config&) {});
}

TEST(Simulation, SameSeedSameRun) {
  ManagerStats first, second;
  for (ManagerStats* stats : {&first, &second}) {
    World world(RandomConfig(77), 77);
    ASSERT_EQ(world.Run(), "");
    *stats = world.Totals();
  }
  EXPECT_EQ(first.started, second.started);
  EXPECT_EQ(first.flagged, second.flagged);
  EXPECT_EQ(first.local_waits, second.local_waits);
}

// The mixes are of use only if they reach every path.
TEST(Simulation, ReachesEveryPath) {
  ManagerStats sum;
  uint64_t crashes = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    World world(RandomConfig(seed), seed);
    ASSERT_EQ(world.Run(), "");
    ManagerStats one = world.Totals();
    sum.became_long += one.became_long;
    sum.optimistic_ok += one.optimistic_ok;
    sum.optimistic_lost += one.optimistic_lost;
    sum.aborted += one.aborted;
    sum.local_waits += one.local_waits;
    sum.flagged += one.flagged;
    sum.delayed += one.delayed;
    crashes += world.crash_count();
  }
  EXPECT_GT(sum.became_long, 50u);
  EXPECT_GT(sum.optimistic_ok, 50u);
  EXPECT_GT(sum.optimistic_lost, 50u);
  EXPECT_GT(sum.aborted, 50u);
  EXPECT_GT(sum.local_waits, 50u);
  EXPECT_GT(sum.flagged, 50u);
  EXPECT_GT(sum.delayed, 20u);
  EXPECT_GT(crashes, 1000u);
}

// ---- the test of the test

// The seed that finds the mistake, 0 if none does.
uint64_t FindMistake(void (*adjust)(Config&), uint64_t seeds_max, std::string& failure) {
  for (uint64_t seed = 1; seed <= seeds_max; ++seed) {
    Config config = RandomConfig(seed);
    adjust(config);
    World world(config, seed);
    failure = world.Run();
    if (!failure.empty()) return seed;
  }
  return 0;
}

struct Planted {
  const char* name;
  void (*adjust)(Config&);
};
void PrintTo(const Planted& planted, std::ostream* os) {
  *os << planted.name;
}

template <Mistake mistake>
void Plant(Config& config) {
  config.manager.mistake = mistake;
}

class PlantedMistake : public testing::TestWithParam<Planted> {};

TEST_P(PlantedMistake, IsFound) {
  std::string failure;
  uint64_t seed = FindMistake(GetParam().adjust, 20000, failure);
  EXPECT_NE(seed, 0u) << GetParam().name << " was not found";
  RecordProperty("seed", static_cast<int>(seed));
  std::cout << GetParam().name << ": seed " << seed << ": " << failure << "\n";
}

INSTANTIATE_TEST_SUITE_P(
    Simulation, PlantedMistake,
    testing::Values(
        Planted{"no_lower", Plant<Mistake::kNoLower>}, Planted{"mid_raise", Plant<Mistake::kMidRaise>},
        Planted{"raise_at_log", Plant<Mistake::kRaiseAtLog>},
        Planted{"no_cap", [](Config& config) { config.cap_watermark = false; }},
        // Its records come out of order, which a log would refuse.
        Planted{"no_wait",
                [](Config& config) {
                  Plant<Mistake::kNoWait>(config);
                  config.log = false;
                }},
        Planted{"no_flag", Plant<Mistake::kNoFlag>}, Planted{"keep_long", Plant<Mistake::kKeepLong>},
        Planted{"no_delay", Plant<Mistake::kNoDelay>},  // Needs a writer that an optimistic read delays, and
                                                        // nothing else that lowers the floor.
        Planted{"quiet_end",
                [](Config& config) {
                  Plant<Mistake::kQuietEnd>(config);
                  config.shards = 2;
                  config.cells = 1;
                  config.log = true;
                  config.shorts = 35;
                  config.reads = 35;
                  config.longs = config.whole = config.renames = 0;
                  config.manager.optimistic_reads = true;
                }},
        Planted{"overtake", Plant<Mistake::kOvertake>}, Planted{"eager_run", Plant<Mistake::kEagerRun>},
        Planted{"early_grant", Plant<Mistake::kEarlyGrant>}),
    [](const testing::TestParamInfo<Planted>& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace moonshard::tx::sim
