#pragma once
// CycleClock: the cheapest clock there is, for timing single calls: the processor's time stamp counter, 8 ns
// a reading and often hidden behind other work, where clock_gettime takes 20. Its unit is its own; ToNs and
// FromNs convert with a rate that is measured once per process.
//
// In simulation, and where the counter does not run at a constant rate, its ticks are the environment's
// nanoseconds. Readings of one shard are compared with each other only. Safe from any thread.

#include <x86intrin.h>

#include <cstdint>

#include "base/macros.h"
#include "shard/env.h"

namespace moonshard::shard {

class CycleClock {
 public:
  // `env` outlives the clock.
  explicit CycleClock(Env& env);

  MS_ALWAYS_INLINE uint64_t Now() const {
    if (env_ == nullptr) [[likely]]
      return __rdtsc();
    return static_cast<uint64_t>(env_->MonotonicNow());
  }
  // From one reading to a later one. The counters of two cores may differ by a little: never negative.
  MS_ALWAYS_INLINE static uint64_t Between(uint64_t from, uint64_t to) { return to > from ? to - from : 0; }

  uint64_t ToNs(uint64_t ticks) const {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(ticks) * ns_per_tick_q32_) >> 32);
  }
  // Saturates.
  uint64_t FromNs(uint64_t ns) const;

 private:
  Env* env_ = nullptr;  // null: the processor's counter
  uint64_t ns_per_tick_q32_ = uint64_t{1} << 32;
};

}  // namespace moonshard::shard
