#include "command/latency_monitor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"

namespace moonshard::command {
namespace {

using Samples = std::vector<LatencySample>;

Samples Of(const LatencyHistory& history) {
  return {history.samples().begin(), history.samples().end()};
}

TEST(LatencyHistory, KeepsTheWorstOfASecond) {
  LatencyHistory history;
  EXPECT_TRUE(history.empty());
  history.Add(100, 5);
  history.Add(100, 9);
  history.Add(100, 7);
  history.Add(102, 3);
  EXPECT_EQ(Of(history), (Samples{{100, 9}, {102, 3}}));
  EXPECT_EQ(history.last(), (LatencySample{102, 3}));
  EXPECT_EQ(history.max_ms(), 9u);
  // A clock that stepped back does not put the samples out of order.
  history.Add(101, 8);
  EXPECT_EQ(Of(history), (Samples{{100, 9}, {102, 8}}));
}

TEST(LatencyHistory, ForgetsTheOldestButNotTheWorst) {
  LatencyHistory history;
  history.Add(1, 1000);
  for (int64_t second = 2; second < 400; ++second) history.Add(second, 1);
  EXPECT_EQ(history.samples().size(), LatencyHistory::kSamplesMax);
  EXPECT_EQ(history.samples().front().time_s, 400 - static_cast<int64_t>(LatencyHistory::kSamplesMax));
  EXPECT_EQ(history.max_ms(), 1000u);
  history.Clear();
  EXPECT_TRUE(history.empty());
  EXPECT_EQ(history.max_ms(), 0u);
}

// However events are spread over shards, together they are what one history would have.
TEST(LatencyHistory, MergedIsAsIfItWereOne) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    base::Random random(seed);
    LatencyHistory shards[4];
    std::map<int64_t, uint64_t> model;
    int64_t second = 1000;
    const uint64_t event_count = random.Below(600);
    uint64_t worst = 0;
    for (uint64_t i = 0; i < event_count; ++i) {
      second += static_cast<int64_t>(random.Below(3));
      const uint64_t latency = random.Below(50) + 1;
      shards[random.Below(4)].Add(second, latency);
      model[second] = std::max(model[second], latency);
      worst = std::max(worst, latency);
    }
    LatencyHistory merged;
    for (const LatencyHistory& shard : shards) merged.Merge(shard);
    Samples expected;
    for (auto [time_s, latency_ms] : model) expected.push_back({time_s, latency_ms});
    if (expected.size() > LatencyHistory::kSamplesMax) {
      expected.erase(expected.begin(),
                     expected.end() - static_cast<std::ptrdiff_t>(LatencyHistory::kSamplesMax));
    }
    EXPECT_EQ(Of(merged), expected) << "seed " << seed;
    EXPECT_EQ(merged.max_ms(), worst) << "seed " << seed;
  }
}

TEST(LatencyMonitor, EventsHaveNamesOfTheirOwn) {
  std::vector<std::string_view> names;
  for (size_t i = 0; i < kLatencyEventCount; ++i)
    names.push_back(LatencyEventName(static_cast<LatencyEvent>(i)));
  EXPECT_TRUE(std::ranges::is_sorted(names));
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
  LatencyMonitor monitor;
  monitor.Add(LatencyEvent::kExpireCycle, 1, 2);
  for (size_t i = 0; i < kLatencyEventCount; ++i) {
    const auto event = static_cast<LatencyEvent>(i);
    EXPECT_EQ(monitor.history(event).empty(), event != LatencyEvent::kExpireCycle);
  }
}

}  // namespace
}  // namespace moonshard::command
