#pragma once
// LatencyMonitor: one shard's share of LATENCY, a short history per kind of event of what took longer than
// latency-monitor-threshold. A history holds one sample a second, the worst of that second, as in Redis; the
// shards' histories are merged by the same rule.
//
// Owned by one shard. Nothing here is touched while nothing is slow.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace moonshard::command {

enum class LatencyEvent : uint8_t {
  kCommand,
  kEvictionCycle,
  kExpireCycle,
  kFastCommand,
  kLoopStall,  // a turn of a shard that took too long, whatever it did
};
inline constexpr size_t kLatencyEventCount = 5;
std::string_view LatencyEventName(LatencyEvent event);

struct LatencySample {
  int64_t time_s = 0;
  uint64_t latency_ms = 0;
  friend bool operator==(const LatencySample&, const LatencySample&) = default;
};

class LatencyHistory {
 public:
  static constexpr size_t kSamplesMax = 160;

  void Add(int64_t time_s, uint64_t latency_ms);
  // Another shard's.
  void Merge(const LatencyHistory& other);
  void Clear() { *this = LatencyHistory(); }

  bool empty() const { return samples_.empty(); }
  // The oldest first, one a second.
  std::span<const LatencySample> samples() const { return samples_; }
  const LatencySample& last() const { return samples_.back(); }
  uint64_t max_ms() const { return max_ms_; }  // of all time

 private:
  std::vector<LatencySample> samples_;
  uint64_t max_ms_ = 0;
};

class LatencyMonitor {
 public:
  void Add(LatencyEvent event, int64_t time_s, uint64_t latency_ms) {
    histories_[static_cast<size_t>(event)].Add(time_s, latency_ms);
  }
  LatencyHistory& history(LatencyEvent event) { return histories_[static_cast<size_t>(event)]; }

 private:
  std::array<LatencyHistory, kLatencyEventCount> histories_;
};

}  // namespace moonshard::command
