#include "bench/load_keys.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

namespace moonshard::bench {
namespace {

std::string Digits(uint64_t index) {
  std::string text(kKeyDigits, '#');
  WriteKeyDigits(text.data(), index);
  return text;
}

TEST(KeyDigits, FixedWidth) {
  EXPECT_EQ(Digits(0), "000000000000");
  EXPECT_EQ(Digits(7), "000000000007");
  EXPECT_EQ(Digits(1'234'567'890), "001234567890");
  EXPECT_EQ(Digits(kMaxKeyspace - 1), "999999999999");
  base::Random random(3);
  for (int i = 0; i < 10'000; ++i) {
    uint64_t index = random.Below(kMaxKeyspace);
    EXPECT_EQ(std::stoull(Digits(index)), index);
  }
}

// Compares the frequency of each rank with its exact probability, by chi-square over the ranks with enough
// mass.
void ExpectZipf(uint64_t count, double theta) {
  constexpr int kSamples = 400'000;
  base::Random random(5);
  Zipf zipf(count, theta);
  std::vector<double> seen(count);
  for (int i = 0; i < kSamples; ++i) {
    uint64_t rank = zipf.Next(random);
    ASSERT_LT(rank, count);
    ++seen[rank];
  }
  double norm = 0;
  for (uint64_t k = 1; k <= count; ++k) norm += std::pow(static_cast<double>(k), -theta);
  double chi_square = 0;
  int cells = 0;
  for (uint64_t k = 1; k <= count; ++k) {
    double expected = kSamples * std::pow(static_cast<double>(k), -theta) / norm;
    if (expected < 20) break;
    chi_square += (seen[k - 1] - expected) * (seen[k - 1] - expected) / expected;
    ++cells;
  }
  // Mean `cells`, standard deviation sqrt(2 cells): six of them are out of chance's reach.
  EXPECT_LT(chi_square, cells + 6 * std::sqrt(2.0 * cells)) << count << " " << theta;
}

TEST(Zipf, MatchesItsProbabilities) {
  for (double theta : {0.5, 0.99, 1.0, 1.2, 2.0}) {
    ExpectZipf(1, theta);
    ExpectZipf(10, theta);
    ExpectZipf(5000, theta);
  }
}

TEST(KeyChooser, SequentialVisitsEveryKeyOnce) {
  base::Random random(1);
  KeyChooser chooser(Distribution::kSequential, 1, 100, 25, 50);
  for (int round = 0; round < 2; ++round) {
    for (uint64_t key = 25; key < 50; ++key) EXPECT_EQ(chooser.Next(random), key);
  }
}

TEST(KeyChooser, UniformReachesTheWholeKeyspace) {
  base::Random random(1);
  KeyChooser chooser(Distribution::kUniform, 1, 100, 0, 10);
  std::set<uint64_t> keys;
  for (int i = 0; i < 5000; ++i) keys.insert(chooser.Next(random));
  EXPECT_EQ(keys.size(), 100u);
  EXPECT_EQ(*keys.rbegin(), 99u);
}

}  // namespace
}  // namespace moonshard::bench
