#pragma once
// Timers of one shard: intrusive nodes in a pairing heap (Fredman, Sedgewick, Sleator, Tarjan, Algorithmica
// 1986). Add O(1), cancel and fire O(log n) amortized, no allocation. Equal deadlines fire in the order they
// were added. Owned by one shard.

#include <cstddef>
#include <cstdint>

#include "base/types.h"

namespace moonshard::shard {

inline constexpr TimeNs kNever = INT64_MAX;

class Timer {
 public:
  using Fire = void (*)(void* context);
  Timer(Fire fire, void* context) : fire_(fire), context_(context) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  // Must not be armed when destroyed.
  ~Timer();

  bool armed() const { return armed_; }
  TimeNs deadline() const { return deadline_; }

 private:
  friend class TimerHeap;
  bool Before(const Timer& other) const {
    return deadline_ != other.deadline_ ? deadline_ < other.deadline_ : sequence_ < other.sequence_;
  }

  Fire fire_;
  void* context_;
  TimeNs deadline_ = kNever;
  uint64_t sequence_ = 0;
  Timer* child_ = nullptr;
  Timer* next_ = nullptr;      // right sibling
  Timer* previous_ = nullptr;  // left sibling, or the parent of a first child
  bool armed_ = false;
};

class TimerHeap {
 public:
  void Add(Timer& timer, TimeNs deadline);
  void Cancel(Timer& timer);  // nothing if it is not armed
  TimeNs next_deadline() const { return root_ == nullptr ? kNever : root_->deadline_; }
  size_t size() const { return count_; }
  // Fires all timers that are due at `now` and were armed before this call; returns how many. A timer is
  // disarmed before its callback, which may add it again.
  size_t FireDue(TimeNs now);

 private:
  static Timer* Meld(Timer* a, Timer* b);
  static Timer* MeldSiblings(Timer* first);
  void Remove(Timer& timer);

  Timer* root_ = nullptr;
  uint64_t next_sequence_ = 1;
  size_t count_ = 0;
};

}  // namespace moonshard::shard
