#include "db/access_clock.h"

#include <gtest/gtest.h>

#include <string>

#include "db/keyspace.h"

namespace moonshard::db {
namespace {

constexpr TimeMs kSecond = 1'000;
constexpr TimeMs kMinute = 60 * kSecond;
// Some moment whose seconds and minutes are far from both wraps.
constexpr TimeMs kStart = 1'700'000'000 * kSecond;

class AccessClockTest : public testing::Test {
 protected:
  AccessClockTest() { keyspace_.SetNow(kStart); }
  void Select(EvictionPolicy policy) {
    settings_.policy = policy;
    keyspace_.SetNow(keyspace_.now());
  }
  Key KeyOf(std::string_view text) { return {text, base::HashBytes(text, keyspace_.seed())}; }
  dash::Entry& Make(std::string_view key) {
    EXPECT_TRUE(database_.SetString(KeyOf(key), "v", kNoDeadline).ok());
    return Entry(key);
  }
  dash::Entry& Entry(std::string_view key) { return *database_.Peek(KeyOf(key)); }
  AccessClock& clock() { return keyspace_.access_clock(); }

  EvictionSettings settings_;
  Keyspace keyspace_{{.seed = 7, .random_seed = 3, .eviction = &settings_}};
  Database& database_ = keyspace_.database(DbIndex(0));
};

TEST_F(AccessClockTest, IdleTimeCountsSecondsSinceTheLastUse) {
  Make("k");
  EXPECT_EQ(clock().IdleSeconds(Entry("k")), 0u);
  keyspace_.SetNow(kStart + 41 * kSecond + 999);
  EXPECT_EQ(clock().IdleSeconds(Entry("k")), 41u);
  database_.Find(KeyOf("k"));
  EXPECT_EQ(clock().IdleSeconds(Entry("k")), 0u);
  keyspace_.SetNow(kStart + 50 * kSecond);
  EXPECT_EQ(clock().IdleSeconds(Entry("k")), 9u);
  database_.FindForWrite(KeyOf("k"));
  EXPECT_EQ(clock().IdleSeconds(Entry("k")), 0u);
}

TEST_F(AccessClockTest, PeekingLeavesNoTrace) {
  Make("k");
  keyspace_.SetNow(kStart + 5 * kSecond);
  uint64_t hits = keyspace_.stats().hits;
  EXPECT_NE(database_.Peek(KeyOf("k")), nullptr);
  EXPECT_EQ(clock().IdleSeconds(Entry("k")), 5u);
  EXPECT_EQ(keyspace_.stats().hits, hits + 2);
  Select(EvictionPolicy::kAllKeysLfu);
  clock().SetFrequency(Entry("k"), 5);
  for (int i = 0; i < 1'000; ++i) database_.Peek(KeyOf("k"));
  EXPECT_EQ(clock().Frequency(Entry("k")), 5u);
}

TEST_F(AccessClockTest, AClientWithoutTouchLeavesNoTraceButTouchAlwaysDoes) {
  Make("k");
  keyspace_.SetNow(kStart + 5 * kSecond);
  clock().set_touching(AccessClock::Touching::kOff);
  database_.Find(KeyOf("k"));
  EXPECT_EQ(clock().IdleSeconds(Entry("k")), 5u);
  clock().TouchAlways(Entry("k"));
  EXPECT_EQ(clock().IdleSeconds(Entry("k")), 0u);
  keyspace_.SetNow(kStart + 7 * kSecond);
  clock().set_touching(AccessClock::Touching::kOn);
  database_.Find(KeyOf("k"));
  EXPECT_EQ(clock().IdleSeconds(Entry("k")), 0u);
}

TEST_F(AccessClockTest, TheSecondsWrapAsInRedis) {
  const TimeMs wrap = (kStart / kSecond / (1 << 24) + 1) * (1 << 24) * kSecond;
  keyspace_.SetNow(wrap - 10 * kSecond);
  Make("k");
  keyspace_.SetNow(wrap - 1);
  EXPECT_EQ(clock().IdleSeconds(Entry("k")), 9u);
  // Redis subtracts from 2^24 - 1, not 2^24: one second is lost.
  keyspace_.SetNow(wrap + 5 * kSecond);
  EXPECT_EQ(clock().IdleSeconds(Entry("k")), 14u);
}

TEST_F(AccessClockTest, RestoredIdleTimesComeBack) {
  Make("k");
  for (int64_t seconds : {0, 1, 1'000, 86'400 * 7}) {
    clock().SetIdle(Entry("k"), seconds);
    EXPECT_EQ(clock().IdleSeconds(Entry("k")), seconds);
  }
  // Further back than the clock reaches.
  const int64_t now = kStart / kSecond % (1 << 24);
  clock().SetIdle(Entry("k"), now + 100);
  EXPECT_EQ(clock().IdleSeconds(Entry("k")), now + 100);
  const uint32_t before = Entry("k").access_clock();
  clock().SetFrequency(Entry("k"), 9);
  EXPECT_EQ(Entry("k").access_clock(), before);
}

TEST_F(AccessClockTest, ANewKeyStartsAtFiveAndKeepsItsCounterWhenOverwritten) {
  Select(EvictionPolicy::kAllKeysLfu);
  settings_.lfu_log_factor = 0;
  Make("k");
  EXPECT_EQ(clock().Frequency(Entry("k")), 5u);
  database_.Find(KeyOf("k"));
  EXPECT_EQ(clock().Frequency(Entry("k")), 6u);
  // Same form, then another size, another type of encoding, a deadline.
  for (std::string_view value : {"w", "a longer one that moves the entry", "12"}) {
    ASSERT_TRUE(database_.SetString(KeyOf("k"), value, kNoDeadline).ok());
  }
  ASSERT_TRUE(database_.SetString(KeyOf("k"), "12", kStart + kMinute).ok());
  EXPECT_EQ(clock().Frequency(Entry("k")), 10u);
  ASSERT_TRUE(database_.IncrementBy(KeyOf("k"), 1).ok());
  EXPECT_EQ(clock().Frequency(Entry("k")), 11u);
  ASSERT_TRUE(database_.IncrementBy(KeyOf("n"), 1).ok());
  EXPECT_EQ(clock().Frequency(Entry("n")), 5u);
}

TEST_F(AccessClockTest, TheCounterStopsAtItsMaximum) {
  Select(EvictionPolicy::kVolatileLfu);
  settings_.lfu_log_factor = 0;
  Make("k");
  for (int i = 0; i < 400; ++i) database_.Find(KeyOf("k"));
  EXPECT_EQ(clock().Frequency(Entry("k")), 255u);
}

// Redis' documentation of lfu-log-factor gives the counter after 100, 1,000 and 100,000 hits.
TEST_F(AccessClockTest, TheCounterGrowsLogarithmically) {
  Select(EvictionPolicy::kAllKeysLfu);
  struct Row {
    uint32_t factor;
    int hits;
    double documented;
  };
  for (Row row : {Row{1, 100, 18}, Row{1, 1'000, 49}, Row{10, 100, 10}, Row{10, 1'000, 18},
                  Row{10, 100'000, 142}, Row{100, 1'000, 11}, Row{100, 100'000, 49}}) {
    settings_.lfu_log_factor = row.factor;
    double sum = 0;
    constexpr int kRounds = 40;
    for (int round = 0; round < kRounds; ++round) {
      database_.Erase(KeyOf("k"), "del");
      Make("k");
      for (int i = 0; i < row.hits; ++i) database_.Find(KeyOf("k"));
      sum += clock().Frequency(Entry("k"));
    }
    EXPECT_NEAR(sum / kRounds, row.documented, 2 + row.documented * 0.06)
        << "factor " << row.factor << ", " << row.hits << " hits";
  }
}

TEST_F(AccessClockTest, TheCounterDecaysWithTime) {
  Select(EvictionPolicy::kAllKeysLfu);
  Make("k");
  clock().SetFrequency(Entry("k"), 100);
  keyspace_.SetNow(kStart + 30 * kMinute);
  EXPECT_EQ(clock().Frequency(Entry("k")), 70u);
  settings_.lfu_decay_minutes = 7;
  EXPECT_EQ(clock().Frequency(Entry("k")), 96u);
  settings_.lfu_decay_minutes = 0;
  EXPECT_EQ(clock().Frequency(Entry("k")), 100u);
  settings_.lfu_decay_minutes = 1;
  keyspace_.SetNow(kStart + 200 * kMinute);
  EXPECT_EQ(clock().Frequency(Entry("k")), 0u);
  // An access writes the decay down.
  settings_.lfu_log_factor = 1'000'000'000;
  clock().SetFrequency(Entry("k"), 100);
  keyspace_.SetNow(kStart + 210 * kMinute);
  database_.Find(KeyOf("k"));
  keyspace_.SetNow(kStart + 220 * kMinute);
  EXPECT_EQ(clock().Frequency(Entry("k")), 80u);
}

TEST_F(AccessClockTest, AChangeOfPolicyIsHeardAtOnce) {
  EXPECT_FALSE(clock().counts_frequency());
  Select(EvictionPolicy::kVolatileLfu);
  EXPECT_TRUE(clock().counts_frequency());
  Make("k");
  EXPECT_EQ(clock().Frequency(Entry("k")), 5u);
  Select(EvictionPolicy::kVolatileTtl);
  EXPECT_FALSE(clock().counts_frequency());
  Make("l");
  EXPECT_EQ(clock().IdleSeconds(Entry("l")), 0u);
}

}  // namespace
}  // namespace moonshard::db
