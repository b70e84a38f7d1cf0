#include "base/histogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "base/random.h"

namespace moonshard::base {
namespace {

TEST(Histogram, BucketsTouchWithoutGapOrOverlap) {
  uint64_t next = 0;
  for (size_t i = 0; i < Histogram::kBucketCount; ++i) {
    ASSERT_EQ(Histogram::LowerBound(i), next) << i;
    next += Histogram::Width(i);
    ASSERT_EQ(Histogram::BucketOf(Histogram::LowerBound(i)), i);
    ASSERT_EQ(Histogram::BucketOf(next - 1), i);
  }
  EXPECT_EQ(next, uint64_t{1} << Histogram::kValueBits);
}

TEST(Histogram, EmptyAnswersZero) {
  Histogram histogram;
  EXPECT_EQ(histogram.ValueAt(0.5), 0u);
  EXPECT_EQ(histogram.min(), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  EXPECT_EQ(histogram.Mean(), 0.0);
}

TEST(Histogram, SmallValuesAndExtremesAreExact) {
  Histogram histogram;
  for (uint64_t value = 1; value <= 100; ++value) histogram.Add(value);
  EXPECT_EQ(histogram.ValueAt(0.0), 1u);
  EXPECT_EQ(histogram.ValueAt(0.5), 50u);
  EXPECT_EQ(histogram.ValueAt(0.99), 99u);
  EXPECT_EQ(histogram.ValueAt(1.0), 100u);
  EXPECT_EQ(histogram.Mean(), 50.5);
}

TEST(Histogram, ValueAboveTheRangeKeepsTheMaximum) {
  Histogram histogram;
  histogram.Add(std::numeric_limits<uint64_t>::max());
  histogram.Add(5);
  EXPECT_EQ(histogram.max(), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(histogram.ValueAt(1.0), histogram.max());
  EXPECT_EQ(histogram.ValueAt(0.5), 5u);
}

// Against a sorted vector: every quantile within 1 % of the true one, over values of all magnitudes.
TEST(Histogram, QuantilesAreWithinOnePercent) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    auto whole = std::make_unique<Histogram>();
    auto parts = std::make_unique<std::array<Histogram, 3>>();
    std::vector<uint64_t> values;
    for (int i = 0; i < 5000; ++i) {
      uint64_t value = random.Next() >> (64 - Histogram::kValueBits + random.Below(Histogram::kValueBits));
      values.push_back(value);
      whole->Add(value);
      (*parts)[random.Below(3)].Add(value);
    }
    std::sort(values.begin(), values.end());
    auto merged = std::make_unique<Histogram>();
    for (const Histogram& part : *parts) merged->Merge(part);
    EXPECT_EQ(merged->count(), values.size());
    EXPECT_EQ(merged->sum(), whole->sum());
    for (double quantile : {0.0, 0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      auto rank =
          static_cast<size_t>(std::max(1.0, std::ceil(quantile * static_cast<double>(values.size()))));
      auto expected = static_cast<double>(values[rank - 1]);
      EXPECT_NEAR(static_cast<double>(whole->ValueAt(quantile)), expected, expected * 0.01) << quantile;
      EXPECT_EQ(merged->ValueAt(quantile), whole->ValueAt(quantile));
    }
  }
}

TEST(Histogram, BucketsAddUpToTheCount) {
  Histogram histogram;
  for (uint64_t value : {0u, 0u, 127u, 128u, 129u, 130u, 100000u}) histogram.Add(value);
  uint64_t total = 0;
  std::vector<uint64_t> bounds;
  histogram.ForEachBucket([&](uint64_t upper_bound, uint64_t count) {
    bounds.push_back(upper_bound);
    total += count;
  });
  EXPECT_EQ(total, histogram.count());
  EXPECT_EQ(bounds, (std::vector<uint64_t>{0, 127, 129, 131, 100351}));
  histogram.Reset();
  EXPECT_EQ(histogram.count(), 0u);
}

}  // namespace
}  // namespace moonshard::base
