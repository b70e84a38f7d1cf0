#pragma once
// SlowLimits: what SLOWLOG and LATENCY call slow.

#include <cstdint>

namespace moonshard::command {

// From where on a call counts as slow: as it was when the call ran.
struct SlowLimits {
  int64_t slowlog_us = -1;      // negative: never
  uint64_t monitor_ms = 0;      // 0: never
  uint64_t ticks = UINT64_MAX;  // the lower of the two, as the clock counts
};

}  // namespace moonshard::command
