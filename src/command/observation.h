#pragma once
// Observation: what one shard notes of the calls of its clients, for INFO, SLOWLOG and LATENCY. A call is
// noted on its client's home shard, once, wherever it ran.
//
// Time of calls. Reading the cheapest clock costs 8 ns, 5 % of a pipelined GET. So calls that take about
// nothing (Command::cheap, few bytes in and out) are timed as a run, from the end of the call before to the
// beginning of the one after, and the time is shared out among them: equally if they are of one command, in
// the proportion of their typical times otherwise. Now and then (kExactEvery) a batch is timed call by call,
// which keeps the typical times. All other calls are timed one by one, and so are the cheap ones while a
// threshold is below kExactBelowUs or a run has recently passed one. See
// docs/decisions/0011-time-of-calls.md.
//
// Owned by one shard.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/histogram.h"
#include "base/macros.h"
#include "command/latency_monitor.h"
#include "command/rate_meter.h"
#include "command/registry.h"
#include "command/server_control.h"
#include "command/shard_state.h"
#include "command/slow_limits.h"
#include "command/slow_log.h"
#include "shard/cycle_clock.h"

namespace moonshard::command {

struct CommandFigures {
  uint64_t calls = 0;
  uint64_t ticks = 0;
  uint64_t rejected = 0;                        // refused by a gate
  uint64_t failed = 0;                          // ran, and answered an error
  uint32_t typical_ticks = 0;                   // moving average of calls timed one by one
  uint32_t in_run = 0;                          // calls of the run that is being shared out
  std::unique_ptr<base::Histogram> latency_ns;  // from the first call on
};

struct Batch;
struct Call;

struct ErrorFigures {
  std::string prefix;  // "WRONGTYPE"
  uint64_t count = 0;
};

class Observation {
 public:
  // A threshold below this is watched by timing every call.
  static constexpr uint64_t kExactBelowUs = 1000;
  static constexpr uint32_t kExactEvery = 256;
  // Distinct error prefixes; scripts can make up any number of them.
  static constexpr size_t kErrorKindsMax = 128;

  Observation(ShardState& state, const Registry& registry);

  const shard::CycleClock& clock() const { return clock_; }

  // ---- called by the engine

  // Begins a batch or a part of one: whether all its calls are timed one by one.
  MS_ALWAYS_INLINE bool TimesEachCall() {
    RefreshLimits();
    if (exact_batches_left_ != 0) [[unlikely]] {
      --exact_batches_left_;
      return true;
    }
    return exact_ || ++batch_count_ % kExactEvery == 0;
  }
  // Calls that ran one after the other, in `ticks` together: one alone, or cheap ones, the last of which may
  // have written so much that most of the time is its.
  enum class Last : uint8_t { kLikeTheRest, kLarge };
  void RanTogether(const Batch& batch, std::span<const Call> calls, uint64_t ticks, Last last,
                   const Session* session);
  // What these cheap calls take as a rule; at most half of `ticks`.
  uint64_t TypicalTicks(std::span<const Call> calls, uint64_t ticks) const;
  void Ran(const Batch& batch, const Call& call, uint64_t ticks, const Session* session);
  // One that ran elsewhere, or earlier.
  void Ran(const Batch& batch, const Call& call, uint64_t ticks, const Session* session,
           const SlowLimits& limits);
  const SlowLimits& CurrentLimits() {
    RefreshLimits();
    return limits_;
  }
  bool exact() const { return exact_; }
  // A call that may wait is counted when it begins; its time and its error follow when it has answered.
  void Began(const Command& command) { ++figures_[command.index].calls; }
  void Unblocked(const Batch& batch, const Call& call, uint64_t ticks, const Session* session);
  // `reply`: what the call has written.
  MS_ALWAYS_INLINE void Answered(const Call& call, std::string_view reply) {
    if (!reply.empty() && reply[0] == '-') [[unlikely]]
      AnsweredError(call, reply);
  }
  // At the end of a turn.
  void EndTurn() {
    if (ops_.due(shard_.now_ms())) [[unlikely]]
      SampleRates();
    NoticeStall();
  }

  // ---- called by who else may be slow

  // Notes an event if latency-monitor-threshold asks for it.
  void NoteEvent(LatencyEvent event, uint64_t took_ms) {
    uint64_t threshold = live_.latency_monitor_ms.load(std::memory_order_relaxed);
    if (threshold != 0 && took_ms >= threshold) latency_.Add(event, shard_.now_ms() / 1000, took_ms);
  }

  // Notes how long its scope took, if latency-monitor-threshold asks for events at all.
  class EventTimer {
   public:
    EventTimer(Observation& to, LatencyEvent event) : to_(to), event_(event) {
      if (to.live_.latency_monitor_ms.load(std::memory_order_relaxed) != 0) [[unlikely]]
        begin_ = to.clock_.Now();
    }
    ~EventTimer() {
      if (begin_ == 0) [[likely]]
        return;
      const uint64_t ticks = shard::CycleClock::Between(begin_, to_.clock_.Now());
      to_.NoteEvent(event_, to_.clock_.ToNs(ticks) / 1'000'000);
    }
    EventTimer(const EventTimer&) = delete;
    EventTimer& operator=(const EventTimer&) = delete;

   private:
    Observation& to_;
    LatencyEvent event_;
    uint64_t begin_ = 0;  // 0: nobody asks
  };

  // ---- figures

  const std::vector<CommandFigures>& commands() const { return figures_; }
  const std::vector<ErrorFigures>& errors() const { return errors_; }
  uint64_t calls() const;
  uint64_t call_ticks() const;
  uint64_t error_replies() const { return error_replies_; }
  // A turn's length is known behind it: notes that of an earlier one.
  void NoticeStall() {
    if (shard_.counters().stalls != stalls_seen_) [[unlikely]]
      NoteStall();
  }
  SlowLog& slow_log() { return slow_log_; }
  LatencyMonitor& latency() { return latency_; }

  struct Rates {
    double operations = 0;
    double bytes_in = 0;
    double bytes_out = 0;
    double turns = 0;
  };
  Rates RatesNow();

  // CONFIG RESETSTAT: everything but the slow log and the latency events.
  void Reset();

 private:
  MS_ALWAYS_INLINE void RefreshLimits() {
    if (live_.slowlog_slower_than_us.load(std::memory_order_relaxed) != limits_.slowlog_us ||
        live_.latency_monitor_ms.load(std::memory_order_relaxed) != limits_.monitor_ms) [[unlikely]]
      TakeLimits();
  }
  void TakeLimits();
  void Add(const Command& command, uint64_t calls, uint64_t ticks);
  void LearnTypical(const Command& command, uint64_t ticks);
  void ShareOut(std::span<const Call> calls, uint64_t ticks);
  void NoteSlow(const Batch& batch, const Call& call, uint64_t ticks, const Session* session,
                const SlowLimits& limits);
  void AnsweredError(const Call& call, std::string_view reply);
  void SampleRates();
  void NoteStall();

  const ShardStats& stats_;
  shard::Shard& shard_;
  const shard::CycleClock& clock_;
  ServerControl& server_;
  LiveSettings& live_;
  std::vector<CommandFigures> figures_;  // by Command::index
  std::vector<ErrorFigures> errors_;     // by prefix
  uint64_t error_replies_ = 0;

  SlowLimits limits_;
  bool exact_ = false;
  uint32_t exact_batches_left_ = 0;
  uint32_t batch_count_ = 0;

  SlowLog slow_log_;
  LatencyMonitor latency_;
  RateMeter ops_;
  RateMeter bytes_in_;
  RateMeter bytes_out_;
  RateMeter turns_;
  uint64_t stalls_seen_ = 0;
};

}  // namespace moonshard::command
