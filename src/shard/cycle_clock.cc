#include "shard/cycle_clock.h"

#include <cpuid.h>

#include <limits>

namespace moonshard::shard {

namespace {

// Long enough that the two readings of the clock that frame it, some 50 ns off together, are 25 ppm.
constexpr TimeNs kCalibrationNs = 2'000'000;

bool CounterIsConstant() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  // "Invariant TSC" (AMD64 manual, volume 3, function 8000_0007h).
  return __get_cpuid(0x80000007u, &eax, &ebx, &ecx, &edx) != 0 && (edx & (1u << 8)) != 0;
}

uint64_t MeasureRate(Env& env) {
  const TimeNs begin_ns = env.MonotonicNow();
  const uint64_t begin = __rdtsc();
  TimeNs end_ns = begin_ns;
  while (end_ns - begin_ns < kCalibrationNs) end_ns = env.MonotonicNow();
  const uint64_t ticks = CycleClock::Between(begin, __rdtsc());
  if (ticks == 0) return 0;
  return static_cast<uint64_t>((static_cast<unsigned __int128>(end_ns - begin_ns) << 32) / ticks);
}

}  // namespace

CycleClock::CycleClock(Env& env) {
  static const bool constant = CounterIsConstant();
  if (!env.simulated() && constant) {
    static const uint64_t rate = MeasureRate(env);
    if (rate != 0) {
      ns_per_tick_q32_ = rate;
      return;
    }
  }
  env_ = &env;
}

uint64_t CycleClock::FromNs(uint64_t ns) const {
  const auto ticks = (static_cast<unsigned __int128>(ns) << 32) / ns_per_tick_q32_;
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  return ticks > kMost ? kMost : static_cast<uint64_t>(ticks);
}

}  // namespace moonshard::shard
