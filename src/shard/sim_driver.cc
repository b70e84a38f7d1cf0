#include "shard/sim_driver.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace moonshard::shard {

namespace {

// A shard that finds nothing this often in a row, on all shards together, has only the clock to wait for.
constexpr uint64_t kIdleStepsPerShard = 32;

enum class Action : uint64_t { kClock = 1, kJob, kTurn, kSkipAhead };

}  // namespace

SimDriver::SimDriver(Runtime& runtime, SimEnv& env, uint64_t seed)
    : runtime_(runtime), env_(env), random_(seed) {
  for (const auto& shard : runtime_.set().shards) {
    shard->poll_chooser_ = [this](size_t available) {
      // Mostly all of it, otherwise any prefix, also none.
      const size_t chosen = random_.OneIn(3) ? random_.Below(available + 1) : available;
      Trace(chosen);
      return chosen;
    };
  }
}

SimDriver::~SimDriver() {
  for (const auto& shard : runtime_.set().shards) shard->poll_chooser_ = nullptr;
}

void SimDriver::Run(uint64_t steps) {
  for (uint64_t i = 0; i < steps; ++i) Step();
}

bool SimDriver::RunUntil(const std::function<bool()>& predicate, uint64_t steps_max) {
  for (uint64_t i = 0; i < steps_max; ++i) {
    if (predicate()) return true;
    Step();
  }
  return predicate();
}

void SimDriver::Trace(uint64_t value) {
  trace_hash_ = (trace_hash_ ^ value) * 0x100000001B3ull + (trace_hash_ >> 47);
}

void SimDriver::Step() {
  ++steps_;
  if (random_.OneIn(8)) {
    const auto by = static_cast<TimeNs>(random_.Below(static_cast<uint64_t>(clock_step_ns_max)));
    env_.AdvanceClock(by);
    Trace(static_cast<uint64_t>(Action::kClock));
    Trace(static_cast<uint64_t>(by));
  }
  if (random_.OneIn(4) && env_.RunOneJob()) {
    Trace(static_cast<uint64_t>(Action::kJob));
    idle_steps_ = 0;
  }
  const ShardId id(static_cast<uint16_t>(random_.Below(runtime_.shard_count())));
  const bool work = TurnOf(id);
  Trace(static_cast<uint64_t>(Action::kTurn));
  Trace(id.value());
  Trace(work ? runtime_.shard(id).stamp().value() : 0);
  Trace(static_cast<uint64_t>(runtime_.shard(id).now_ms()));
  idle_steps_ = work ? 0 : idle_steps_ + 1;
  if (idle_steps_ > kIdleStepsPerShard * runtime_.shard_count()) SkipToNextDeadline();
}

bool SimDriver::TurnOf(ShardId id) {
  Shard& shard = runtime_.shard(id);
  Shard* before = std::exchange(Shard::current_, &shard);
  MS_CHECK(before == nullptr);
  const bool work = shard.Turn();
  Shard::current_ = nullptr;
  return work;
}

void SimDriver::SkipToNextDeadline() {
  idle_steps_ = 0;
  TimeNs deadline = kNever;
  for (const auto& shard : runtime_.set().shards) {
    deadline = std::min({deadline, shard->timers_.next_deadline(), shard->hooks_->NextDeadline()});
  }
  if (deadline == kNever || deadline <= env_.MonotonicNow()) return;
  Trace(static_cast<uint64_t>(Action::kSkipAhead));
  env_.AdvanceClock(deadline - env_.MonotonicNow());
}

}  // namespace moonshard::shard
