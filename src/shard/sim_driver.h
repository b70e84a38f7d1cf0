#pragma once
// SimDriver: takes the turns of a simulated Runtime, one turn of one shard at a time, all choices from a
// seed: which shard, how much of each mailbox its poll sees, how far the clock moves, which worker's job
// runs. The same seed and the same calls give the same trace, and trace_hash proves it.

#include <cstdint>
#include <functional>

#include "base/random.h"
#include "shard/runtime.h"
#include "shard/sim_env.h"

namespace moonshard::shard {

class SimDriver {
 public:
  SimDriver(Runtime& runtime, SimEnv& env, uint64_t seed);
  ~SimDriver();

  void Run(uint64_t steps);
  // True if the predicate came true within `steps_max` steps.
  bool RunUntil(const std::function<bool()>& predicate, uint64_t steps_max);

  // Of all choices and their outcomes so far.
  uint64_t trace_hash() const { return trace_hash_; }
  uint64_t steps() const { return steps_; }

  TimeNs clock_step_ns_max = 2'000'000;  // one step moves the clock by less than this

 private:
  void Step();
  bool TurnOf(ShardId id);
  void SkipToNextDeadline();
  void Trace(uint64_t value);

  Runtime& runtime_;
  SimEnv& env_;
  base::Random random_;
  uint64_t trace_hash_ = 0x9E3779B97F4A7C15ull;
  uint64_t steps_ = 0;
  uint64_t idle_steps_ = 0;
};

}  // namespace moonshard::shard
