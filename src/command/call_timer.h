#pragma once
// Timing of the calls that one execution runs in order (command/observation.h says why this way). Both are
// used as
//
//   for (...) {
//     timer.Before(call, ...);
//     ...                       the call runs and writes its reply
//     timer.After(call, ...);
//   }
//   timer.End(...);

#include <algorithm>
#include <cstdint>
#include <span>

#include "base/buffer.h"
#include "base/macros.h"
#include "command/batch.h"
#include "command/observation.h"

namespace moonshard::command {

// A reply of more bytes ends the run, so that its call's time can be told from that of the others.
inline constexpr size_t kCheapReplyBytes = 4096;

inline Observation::Last LastBy(size_t reply_bytes) {
  return reply_bytes > kCheapReplyBytes ? Observation::Last::kLarge : Observation::Last::kLikeTheRest;
}

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

  // All calls of the batch are one run, unless a reply is large: to be kept at hand and passed below.
  bool together() const { return batch_.timed_together && !each_; }
  // Where the reply begins, for After.
  MS_ALWAYS_INLINE size_t Before(const Call& call, bool together) {
    if (!together && (each_ | call.timed_alone) && run_begin_ != &call) [[unlikely]]
      EndRun(&call, Observation::Last::kLikeTheRest);
    return out_.size();
  }
  MS_ALWAYS_INLINE void After(const Call& call, size_t reply_begin, bool together) {
    const size_t reply_bytes = out_.size() - reply_begin;
    const char* reply = out_.data() + reply_begin;
    // No reply at all, or many bytes: by one comparison.
    const bool odd_size = reply_bytes - 1 >= kCheapReplyBytes;
    if (!together | odd_size || *reply == '-') [[unlikely]]
      AfterOdd(call, {reply, reply_bytes});
  }
  // `end`: one behind the last call that ran.
  void End(const Call* end) {
    if (run_begin_ != end) EndRun(end, Observation::Last::kLikeTheRest);
  }

 private:
  MS_NOINLINE void AfterOdd(const Call& call, std::string_view reply) {
    observation_.Answered(call, reply);
    if (each_ || call.timed_alone || reply.size() > kCheapReplyBytes) EndRun(&call + 1, LastBy(reply.size()));
  }
  MS_NOINLINE void EndRun(const Call* end, Observation::Last last) {
    const uint64_t now = observation_.clock().Now();
    observation_.RanTogether(batch_, {run_begin_, end}, shard::CycleClock::Between(mark_, now), last,
                             &session_);
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
};

// In a part, perhaps on another shard: leaves each item its time, for the home shard to note.
class PartTimer {
 public:
  PartTimer(Observation& observation, Part& part)
      : observation_(observation),
        part_(part),
        run_begin_(part.ran_count),
        sampled_(observation.TimesEachCall()),
        each_(sampled_),
        mark_(observation.clock().Now()) {}

  void Before(const Call& call, const Item& item) {
    if (each_ || call.timed_alone) End(IndexOf(item), Observation::Last::kLikeTheRest);
    reply_begin_ = part_.arena.size();
  }
  void After(const Call& call, const Item& item) {
    const size_t reply_bytes = part_.arena.size() - reply_begin_;
    if (each_ || call.timed_alone || reply_bytes > kCheapReplyBytes)
      End(IndexOf(item) + 1, LastBy(reply_bytes));
  }
  // `end`: one behind the last item that ran.
  void End(size_t end, Observation::Last last = Observation::Last::kLikeTheRest) {
    if (run_begin_ == end) return;
    const uint64_t now = observation_.clock().Now();
    uint64_t ticks = shard::CycleClock::Between(mark_, now);
    size_t share_count = end - run_begin_;
    if (last == Observation::Last::kLarge && share_count > 1) {
      // The others take what the like of the first takes, and the last has the rest.
      const Call& first = part_.batch->calls[part_.items[run_begin_].call];
      const uint64_t others = observation_.TypicalTicks({&first, 1}, ticks) * --share_count;
      Leave(part_.items[end - 1], ticks - std::min(others, ticks / 2));
      ticks = std::min(others, ticks / 2);
    }
    for (size_t i = run_begin_; i < run_begin_ + share_count; ++i) Leave(part_.items[i], ticks / share_count);
    each_ = sampled_ || observation_.exact();
    mark_ = now;
    run_begin_ = end;
  }

 private:
  size_t IndexOf(const Item& item) const { return static_cast<size_t>(&item - part_.items.data()); }
  void Leave(Item& item, uint64_t ticks) {
    item.ticks = ticks;
    item.limits = observation_.CurrentLimits();
  }

  Observation& observation_;
  Part& part_;
  size_t run_begin_;
  const bool sampled_;
  bool each_;
  uint64_t mark_;
  size_t reply_begin_ = 0;
};

}  // namespace moonshard::command
