#include "command/latency_monitor.h"

#include <algorithm>

namespace moonshard::command {

std::string_view LatencyEventName(LatencyEvent event) {
  switch (event) {
    case LatencyEvent::kCommand:
      return "command";
    case LatencyEvent::kEvictionCycle:
      return "eviction-cycle";
    case LatencyEvent::kExpireCycle:
      return "expire-cycle";
    case LatencyEvent::kFastCommand:
      return "fast-command";
    case LatencyEvent::kLoopStall:
      return "loop-stall";
  }
  return "";
}

void LatencyHistory::Add(int64_t time_s, uint64_t latency_ms) {
  max_ms_ = std::max(max_ms_, latency_ms);
  if (!samples_.empty() && samples_.back().time_s >= time_s) {
    samples_.back().latency_ms = std::max(samples_.back().latency_ms, latency_ms);
    return;
  }
  if (samples_.size() == kSamplesMax) samples_.erase(samples_.begin());
  samples_.push_back({time_s, latency_ms});
}

void LatencyHistory::Merge(const LatencyHistory& other) {
  max_ms_ = std::max(max_ms_, other.max_ms_);
  std::vector<LatencySample> all;
  all.reserve(samples_.size() + other.samples_.size());
  std::ranges::merge(samples_, other.samples_, std::back_inserter(all), {}, &LatencySample::time_s,
                     &LatencySample::time_s);
  samples_.clear();
  for (const LatencySample& sample : all) {
    if (!samples_.empty() && samples_.back().time_s == sample.time_s) {
      samples_.back().latency_ms = std::max(samples_.back().latency_ms, sample.latency_ms);
    } else {
      samples_.push_back(sample);
    }
  }
  if (samples_.size() > kSamplesMax) {
    samples_.erase(samples_.begin(), samples_.end() - static_cast<std::ptrdiff_t>(kSamplesMax));
  }
}

}  // namespace moonshard::command
