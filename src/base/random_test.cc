#include "base/random.h"

#include <gtest/gtest.h>

#include <array>

namespace moonshard::base {
namespace {

// Seed 0 through SplitMix64, then xoshiro256**, computed apart from this code from the published algorithms.
TEST(Random, FirstNumbersAreThoseOfThePaper) {
  Random random(0);
  EXPECT_EQ(random.Next(), 0x99ec5f36cb75f2b4ull);
  EXPECT_EQ(random.Next(), 0xbf6e1f784956452aull);
  EXPECT_EQ(random.Next(), 0x1a5f849d4933e6e0ull);
}

TEST(Random, BelowStaysBelowAndReachesEveryValue) {
  Random random(1);
  EXPECT_EQ(random.Below(0), 0u);
  EXPECT_EQ(random.Below(1), 0u);
  std::array<int, 10> seen{};
  for (int i = 0; i < 100000; ++i) {
    uint64_t value = random.Below(10);
    ASSERT_LT(value, 10u);
    ++seen[value];
  }
  // Expected 10,000 each, standard deviation 95: six of them.
  for (int count : seen) EXPECT_NEAR(count, 10000, 570);
}

TEST(Random, DoublesLieInTheUnitInterval) {
  Random random(2);
  double sum = 0;
  for (int i = 0; i < 100000; ++i) {
    double value = random.NextDouble();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
  }
  EXPECT_NEAR(sum / 100000, 0.5, 0.01);
}

}  // namespace
}  // namespace moonshard::base
