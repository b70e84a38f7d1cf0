#pragma once
// RateMeter: how much of something happens per second now: the average over the last 1.6 s, in steps of 100
// ms, as Redis' instantaneous figures. Fed by turns, so it wakes nobody: what an idle shard did not feed
// counts as nothing when the rate is asked for. Owned by one shard.

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/types.h"

namespace moonshard::command {

class RateMeter {
 public:
  static constexpr TimeMs kStepMs = 100;
  static constexpr size_t kSteps = 16;

  bool due(TimeMs now) const { return now >= last_ms_ + kStepMs; }
  // `total` has been counted so far.
  void Sample(TimeMs now, uint64_t total) {
    if (!due(now)) return;
    // The first call only says where the count begins.
    if (last_ms_ != 0) {
      // After a rest, what was counted belongs to its beginning: nobody fed the meter because nothing came.
      const TimeMs rest_ms = now - last_ms_ - kStepMs;
      Push(kStepMs, total - last_total_);
      if (rest_ms > 0) Push(rest_ms, 0);
    }
    last_ms_ = now;
    last_total_ = total;
  }
  // Per second, up to `now`.
  double PerSecond(TimeMs now, uint64_t total) {
    Sample(now, total);
    constexpr TimeMs kWindowMs = kStepMs * static_cast<TimeMs>(kSteps);
    TimeMs time_ms = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < kSteps && time_ms < kWindowMs; ++i) {
      const Step& step = steps_[(next_ + kSteps - 1 - i) % kSteps];
      time_ms += step.time_ms;
      sum += step.count;
    }
    return time_ms == 0 ? 0.0 : static_cast<double>(sum) * 1000.0 / static_cast<double>(time_ms);
  }

 private:
  struct Step {
    TimeMs time_ms = 0;
    uint64_t count = 0;
  };
  void Push(TimeMs time_ms, uint64_t count) {
    steps_[next_] = {time_ms, count};
    next_ = (next_ + 1) % kSteps;
  }

  std::array<Step, kSteps> steps_{};
  size_t next_ = 0;
  TimeMs last_ms_ = 0;
  uint64_t last_total_ = 0;
};

}  // namespace moonshard::command
