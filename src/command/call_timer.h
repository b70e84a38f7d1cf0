#pragma once
// Timing of the calls that one execution runs in order (command/observation.h says why this way). Both are
// used as
//
//   for (...) {
//     timer.Before(call);
//     ...                  the call runs and writes its reply
//     timer.After(call);
//   }
//   timer.End(...);

#include <cstdint>
#include <span>

#include "base/buffer.h"
#include "base/macros.h"
#include "command/batch.h"
#include "command/observation.h"

namespace moonshard::command {

// A reply of more bytes ends the run, so that its call's time can be told from that of the others.
inline constexpr size_t kCheapReplyBytes = 4096;

// In the client's own shard, straight into its output: what ran is noted at once.
class CallTimer {
 public:
  CallTimer(Observation& observation, const Batch& batch, const Session& session, const base::Buffer& out)
      : observation_(observation),
        batch_(batch),
        session_(session),
        out_(out),
        run_begin_(batch.calls.data()),
        sampled_(observation.TimesEachCall()),
        each_(sampled_),
        mark_(observation.clock().Now()) {}

  MS_ALWAYS_INLINE void Before(const Call& call) {
    if (each_ | call.timed_alone) [[unlikely]] {
      if (run_begin_ != &call) EndRun(&call);
    }
    reply_begin_ = out_.size();
  }
  MS_ALWAYS_INLINE void After(const Call& call) {
    const size_t reply_bytes = out_.size() - reply_begin_;
    // None at all, or many: by one comparison.
    const bool odd_size = reply_bytes - 1 >= kCheapReplyBytes;
    if (each_ | call.timed_alone | odd_size) [[unlikely]] {
      observation_.Answered(call, {out_.data() + reply_begin_, reply_bytes});
      EndRun(&call + 1);
    } else if (out_.data()[reply_begin_] == '-') [[unlikely]] {
      observation_.Answered(call, {out_.data() + reply_begin_, reply_bytes});
    }
  }
  // `end`: one behind the last call that ran.
  void End(const Call* end) {
    if (run_begin_ != end) EndRun(end);
  }

 private:
  void EndRun(const Call* end) {
    const uint64_t now = observation_.clock().Now();
    observation_.RanTogether(batch_, {run_begin_, end}, shard::CycleClock::Between(mark_, now), &session_);
    // The call may have changed what is called slow.
    each_ = sampled_ || observation_.exact();
    mark_ = now;
    run_begin_ = end;
  }

  Observation& observation_;
  const Batch& batch_;
  const Session& session_;
  const base::Buffer& out_;
  const Call* run_begin_;
  const bool sampled_;
  bool each_;
  uint64_t mark_;
  size_t reply_begin_ = 0;
};

// In a part, perhaps on another shard: leaves each item its time, for the home shard to note.
class PartTimer {
 public:
  PartTimer(Observation& observation, Item* first)
      : observation_(observation),
        run_begin_(first),
        sampled_(observation.TimesEachCall()),
        each_(sampled_),
        mark_(observation.clock().Now()) {}

  void Before(const Call& call, Item& item) {
    if ((each_ || call.timed_alone) && run_begin_ != &item) EndRun(&item);
  }
  void After(const Call& call, Item& item) {
    if (each_ || call.timed_alone) EndRun(&item + 1);
  }
  void End(const Item* end) {
    if (run_begin_ != end) EndRun(end);
  }

 private:
  void EndRun(const Item* end) {
    const uint64_t now = observation_.clock().Now();
    const auto item_count = static_cast<uint64_t>(end - run_begin_);
    const uint64_t share = shard::CycleClock::Between(mark_, now) / item_count;
    const SlowLimits& limits = observation_.CurrentLimits();
    for (; run_begin_ != end; ++run_begin_) {
      run_begin_->ticks = share;
      run_begin_->limits = limits;
    }
    each_ = sampled_ || observation_.exact();
    mark_ = now;
  }

  Observation& observation_;
  Item* run_begin_;
  const bool sampled_;
  bool each_;
  uint64_t mark_;
};

}  // namespace moonshard::command
