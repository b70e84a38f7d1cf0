#include "command/observation.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "command/batch.h"

namespace moonshard::command {

namespace {
// A run of cheap calls that passed a threshold has no culprit: all calls of the client's next batches are
// timed one by one, so that one which comes again is found.
constexpr uint32_t kExactBatchesAfterSlow = 256;
// Where Redis looks for the end of an error's prefix.
constexpr size_t kErrorPrefixBytesMax = 32;

// Of a call that was never timed alone.
uint64_t TypicalOf(const CommandFigures& figures) {
  return figures.typical_ticks + 1;
}
}  // namespace

Observation::Observation(ShardState& state, const Registry& registry)
    : stats_(state.stats),
      shard_(*state.shard),
      clock_(shard_.cycles()),
      server_(*state.server),
      live_(server_.live()),
      figures_(registry.index_count()) {
  TakeLimits();
}

void Observation::TakeLimits() {
  limits_.slowlog_us = live_.slowlog_slower_than_us.load(std::memory_order_relaxed);
  limits_.monitor_ms = live_.latency_monitor_ms.load(std::memory_order_relaxed);
  constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();
  auto ns_of = [](uint64_t amount, uint64_t unit) { return amount > kNever / unit ? kNever : amount * unit; };
  uint64_t limit_ns = kNever;
  if (limits_.slowlog_us >= 0) limit_ns = ns_of(static_cast<uint64_t>(limits_.slowlog_us), 1000);
  if (limits_.monitor_ms != 0) limit_ns = std::min(limit_ns, ns_of(limits_.monitor_ms, 1'000'000));
  limits_.ticks = clock_.FromNs(limit_ns);
  exact_ = limit_ns < kExactBelowUs * 1000;
}

// ---- time

void Observation::RanTogether(const Batch& batch, std::span<const Call> calls, uint64_t ticks, Last last,
                              const Session* session) {
  if (calls.size() == 1) {
    const Call& call = calls[0];
    if (call.error != CallError::kNone) return;
    if (!call.timed_alone && last != Last::kLarge) LearnTypical(*call.command, ticks);
    Ran(batch, call, ticks, session);
    return;
  }
  if (last == Last::kLarge) {
    const std::span<const Call> others = calls.first(calls.size() - 1);
    const uint64_t others_ticks = TypicalTicks(others, ticks);
    ShareOut(others, others_ticks);
    Ran(batch, calls.back(), ticks - others_ticks, session);
    return;
  }
  ShareOut(calls, ticks);
  RefreshLimits();
  if (ticks >= limits_.ticks) [[unlikely]] {
    exact_batches_left_ = kExactBatchesAfterSlow;
    // None of them had much to do, so something else held them up; the last is as good as any.
    NoteSlow(batch, calls.back(), ticks, session, limits_);
  }
}

void Observation::Ran(const Batch& batch, const Call& call, uint64_t ticks, const Session* session) {
  // The call may have changed them.
  RefreshLimits();
  Ran(batch, call, ticks, session, limits_);
}

void Observation::Ran(const Batch& batch, const Call& call, uint64_t ticks, const Session* session,
                      const SlowLimits& limits) {
  Add(*call.command, 1, ticks);
  if (ticks >= limits.ticks) [[unlikely]]
    NoteSlow(batch, call, ticks, session, limits);
}

void Observation::LearnTypical(const Command& command, uint64_t ticks) {
  uint32_t& typical = figures_[command.index].typical_ticks;
  const int64_t difference = static_cast<int64_t>(std::min<uint64_t>(ticks, 1 << 30)) - typical;
  typical = static_cast<uint32_t>(typical + difference / 8);
}

uint64_t Observation::TypicalTicks(std::span<const Call> calls, uint64_t ticks) const {
  uint64_t sum = 0;
  for (const Call& call : calls) sum += TypicalOf(figures_[call.command->index]);
  return std::min(sum, ticks / 2);
}

void Observation::Unblocked(const Batch& batch, const Call& call, uint64_t ticks, const Session* session) {
  Add(*call.command, 0, ticks);
  RefreshLimits();
  if (ticks >= limits_.ticks) [[unlikely]]
    NoteSlow(batch, call, ticks, session, limits_);
}

void Observation::ShareOut(std::span<const Call> calls, uint64_t ticks) {
  const Command* first = calls[0].command;
  if (std::ranges::all_of(calls, [first](const Call& call) { return call.command == first; })) [[likely]] {
    Add(*first, calls.size(), ticks);
    return;
  }
  // Counted beside the figures rather than in a list to search: commands that alternate at random would
  // mispredict the search.
  std::array<const Command*, kBatchCommandsMax> kinds;
  size_t kind_count = 0;
  uint64_t weight_sum = 0;
  for (const Call& call : calls) {
    CommandFigures& figures = figures_[call.command->index];
    if (figures.in_run++ == 0) kinds[kind_count++] = call.command;
    weight_sum += TypicalOf(figures);
  }
  const double ticks_per_weight = static_cast<double>(ticks) / static_cast<double>(weight_sum);
  for (size_t i = 0; i < kind_count; ++i) {
    CommandFigures& figures = figures_[kinds[i]->index];
    const uint64_t count = std::exchange(figures.in_run, 0);
    const auto weight = static_cast<double>(count * TypicalOf(figures));
    Add(*kinds[i], count, static_cast<uint64_t>(weight * ticks_per_weight));
  }
}

// `calls` of one command took `ticks` together; none: the time of a call that was counted before.
void Observation::Add(const Command& command, uint64_t calls, uint64_t ticks) {
  CommandFigures& figures = figures_[command.index];
  figures.calls += calls;
  figures.ticks += ticks;
  if (!live_.latency_tracking.load(std::memory_order_relaxed)) return;
  if (figures.latency_ns == nullptr) [[unlikely]]
    figures.latency_ns = std::make_unique<base::Histogram>();
  const uint64_t times = std::max<uint64_t>(calls, 1);
  figures.latency_ns->Add(clock_.ToNs(times == 1 ? ticks : ticks / times), times);
}

void Observation::NoteSlow(const Batch& batch, const Call& call, uint64_t ticks, const Session* session,
                           const SlowLimits& limits) {
  const uint64_t us = clock_.ToNs(ticks) / 1000;
  const CommandRow& row = *call.command->row;
  if (limits.monitor_ms != 0 && us / 1000 >= limits.monitor_ms) {
    latency_.Add(row.is(kFast) ? LatencyEvent::kFastCommand : LatencyEvent::kCommand, shard_.now_ms() / 1000,
                 us / 1000);
  }
  if (limits.slowlog_us < 0 || us < static_cast<uint64_t>(limits.slowlog_us) || row.is(kSkipSlowlog)) return;
  SlowLogEntry entry;
  entry.id = server_.common_figures().slow_log_id.fetch_add(1, std::memory_order_relaxed);
  entry.time_s = shard_.now_ms() / 1000;
  entry.duration_us = us;
  entry.args = SlowLog::CutArgs(batch.ArgsOf(call));
  if (session != nullptr) {
    entry.peer = session->peer;
    entry.client_name = session->name;
  }
  slow_log_.Add(std::move(entry), live_.slowlog_entries_max.load(std::memory_order_relaxed));
}

// ---- errors

void Observation::AnsweredError(const Call& call, std::string_view reply) {
  ++error_replies_;
  if (call.command != nullptr) {
    CommandFigures& figures = figures_[call.command->index];
    ++(call.error == CallError::kNone ? figures.failed : figures.rejected);
  }
  reply.remove_prefix(1);
  size_t space = reply.substr(0, kErrorPrefixBytesMax).find(' ');
  std::string_view prefix = space == std::string_view::npos ? "ERR" : reply.substr(0, space);
  auto at = std::ranges::lower_bound(errors_, prefix, {}, &ErrorFigures::prefix);
  if (at != errors_.end() && at->prefix == prefix) {
    ++at->count;
  } else if (errors_.size() < kErrorKindsMax) {
    errors_.insert(at, {std::string(prefix), 1});
  }
}

// ---- rates, stalls

uint64_t Observation::calls() const {
  uint64_t sum = 0;
  for (const CommandFigures& figures : figures_) sum += figures.calls;
  return sum;
}

uint64_t Observation::call_ticks() const {
  uint64_t sum = 0;
  for (const CommandFigures& figures : figures_) sum += figures.ticks;
  return sum;
}

void Observation::SampleRates() {
  const TimeMs now = shard_.now_ms();
  ops_.Sample(now, stats_.commands);
  bytes_in_.Sample(now, stats_.bytes_in);
  bytes_out_.Sample(now, stats_.bytes_out);
  turns_.Sample(now, shard_.counters().work_turns);
  uint64_t used = server_.used_memory().load(std::memory_order_relaxed);
  std::atomic<uint64_t>& peak = server_.common_figures().used_memory_peak;
  // Two shards may see two peaks at once, and the lower one stay for a tenth of a second.
  if (used > peak.load(std::memory_order_relaxed)) peak.store(used, std::memory_order_relaxed);
}

Observation::Rates Observation::RatesNow() {
  const TimeMs now = shard_.now_ms();
  return {ops_.PerSecond(now, stats_.commands), bytes_in_.PerSecond(now, stats_.bytes_in),
          bytes_out_.PerSecond(now, stats_.bytes_out), turns_.PerSecond(now, shard_.counters().work_turns)};
}

void Observation::NoteStall() {
  stalls_seen_ = shard_.counters().stalls;
  NoteEvent(LatencyEvent::kLoopStall, static_cast<uint64_t>(shard_.counters().last_stall_ns) / 1'000'000);
}

void Observation::Reset() {
  for (CommandFigures& figures : figures_) {
    const uint32_t typical_ticks = figures.typical_ticks;
    figures = CommandFigures();
    figures.typical_ticks = typical_ticks;
  }
  errors_.clear();
  error_replies_ = 0;
  ops_ = bytes_in_ = bytes_out_ = turns_ = RateMeter();
}

}  // namespace moonshard::command
