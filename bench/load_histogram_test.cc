#include "bench/load_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"

namespace moonshard::bench {
namespace {

TEST(Histogram, SmallValuesAreExact) {
  for (uint64_t value = 0; value < 256; ++value) {
    Histogram histogram;
    histogram.Record(value);
    EXPECT_EQ(histogram.Quantile(0.5), value);
  }
}

TEST(Histogram, EveryMagnitudeStaysWithinOnePercent) {
  base::Random random(7);
  for (unsigned bits = 8; bits <= 42; ++bits) {
    for (int i = 0; i < 200; ++i) {
      uint64_t value = (uint64_t{1} << (bits - 1)) + random.Below(uint64_t{1} << (bits - 1));
      Histogram histogram;
      histogram.Record(value);
      histogram.Record((uint64_t{1} << 42) - 1);  // so that max() does not clamp the answer
      auto found = static_cast<double>(histogram.Quantile(0.5));
      EXPECT_NEAR(found, static_cast<double>(value), static_cast<double>(value) * 0.01) << value;
    }
  }
}

TEST(Histogram, QuantilesAgreeWithSortedValues) {
  base::Random random(11);
  Histogram left, right;
  std::vector<uint64_t> values;
  for (int i = 0; i < 50'000; ++i) {
    uint64_t value = 1 + random.Below(uint64_t{1} << (4 + random.Below(30)));
    values.push_back(value);
    (i % 2 == 0 ? left : right).Record(value);
  }
  left.Merge(right);
  std::sort(values.begin(), values.end());
  ASSERT_EQ(left.total(), values.size());
  EXPECT_EQ(left.max(), values.back());
  for (double quantile : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    auto exact =
        static_cast<double>(values[static_cast<size_t>(quantile * static_cast<double>(values.size())) - 1]);
    EXPECT_NEAR(static_cast<double>(left.Quantile(quantile)), exact, exact * 0.01 + 1) << quantile;
  }
}

TEST(Histogram, CountsAndLimits) {
  Histogram histogram;
  EXPECT_EQ(histogram.Quantile(0.99), 0u);
  histogram.Record(10, 99);
  histogram.Record(~uint64_t{0});  // beyond the largest bucket: kept, clamped
  EXPECT_EQ(histogram.total(), 100u);
  EXPECT_EQ(histogram.Quantile(0.99), 10u);
  EXPECT_EQ(histogram.Quantile(1.0), histogram.max());
}

}  // namespace
}  // namespace moonshard::bench
