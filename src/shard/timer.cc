#include "shard/timer.h"

#include <utility>

#include "base/check.h"

namespace moonshard::shard {

Timer::~Timer() {
  MS_DCHECK(!armed_);
}

void TimerHeap::Add(Timer& timer, TimeNs deadline) {
  MS_DCHECK(!timer.armed_);
  timer.armed_ = true;
  timer.deadline_ = deadline;
  timer.sequence_ = next_sequence_++;
  timer.child_ = timer.next_ = timer.previous_ = nullptr;
  root_ = root_ == nullptr ? &timer : Meld(root_, &timer);
  ++count_;
}

void TimerHeap::Cancel(Timer& timer) {
  if (timer.armed_) Remove(timer);
}

size_t TimerHeap::FireDue(TimeNs now) {
  const uint64_t sequence_end = next_sequence_;
  size_t fired = 0;
  while (root_ != nullptr && root_->deadline_ <= now && root_->sequence_ < sequence_end) {
    Timer* timer = root_;
    Remove(*timer);
    ++fired;
    timer->fire_(timer->context_);
  }
  return fired;
}

// The later one becomes the first child of the earlier one. Both are roots without siblings.
Timer* TimerHeap::Meld(Timer* a, Timer* b) {
  if (b->Before(*a)) std::swap(a, b);
  b->next_ = a->child_;
  if (a->child_ != nullptr) a->child_->previous_ = b;
  b->previous_ = a;
  a->child_ = b;
  return a;
}

// The classical two passes: meld neighbours from left to right, then the pairs from right to left.
Timer* TimerHeap::MeldSiblings(Timer* first) {
  Timer* pairs = nullptr;  // linked through next_, last pair first
  while (first != nullptr) {
    Timer* a = first;
    Timer* b = a->next_;
    first = b == nullptr ? nullptr : b->next_;
    a->next_ = a->previous_ = nullptr;
    if (b != nullptr) {
      b->next_ = b->previous_ = nullptr;
      a = Meld(a, b);
    }
    a->next_ = pairs;
    pairs = a;
  }
  Timer* root = nullptr;
  while (pairs != nullptr) {
    Timer* pair = pairs;
    pairs = pair->next_;
    pair->next_ = nullptr;
    root = root == nullptr ? pair : Meld(root, pair);
  }
  return root;
}

void TimerHeap::Remove(Timer& timer) {
  MS_DCHECK(timer.armed_);
  Timer* children = MeldSiblings(std::exchange(timer.child_, nullptr));
  if (&timer == root_) {
    root_ = children;
  } else {
    if (timer.previous_->child_ == &timer) {
      timer.previous_->child_ = timer.next_;
    } else {
      timer.previous_->next_ = timer.next_;
    }
    if (timer.next_ != nullptr) timer.next_->previous_ = timer.previous_;
    if (children != nullptr) root_ = Meld(root_, children);
  }
  timer.next_ = timer.previous_ = nullptr;
  timer.armed_ = false;
  --count_;
}

}  // namespace moonshard::shard
