#include "tx/pending_heap.h"

#include "base/check.h"

namespace moonshard::tx {

void PendingHeap::Push(Part& part) {
  MS_DCHECK(part.heap_idx == kNotInHeap);
  parts_.push_back(&part);
  part.heap_idx = static_cast<uint32_t>(parts_.size() - 1);
  SiftUp(part.heap_idx);
}

void PendingHeap::Remove(Part& part) {
  size_t idx = part.heap_idx;
  MS_CHECK(idx < parts_.size() && parts_[idx] == &part);
  part.heap_idx = kNotInHeap;
  Part& last = *parts_.back();
  parts_.pop_back();
  if (&last == &part) return;
  Place(last, idx);
  SiftUp(idx);
  SiftDown(last.heap_idx);
}

void PendingHeap::Raise(Part& part, const Timestamp& order) {
  MS_DCHECK(parts_[part.heap_idx] == &part && !(order < part.order));
  part.order = order;
  SiftDown(part.heap_idx);
}

void PendingHeap::SiftUp(size_t idx) {
  Part& part = *parts_[idx];
  while (idx > 0) {
    size_t parent = (idx - 1) / 2;
    if (!(part.order < parts_[parent]->order)) break;
    Place(*parts_[parent], idx);
    idx = parent;
  }
  Place(part, idx);
}

void PendingHeap::SiftDown(size_t idx) {
  Part& part = *parts_[idx];
  for (;;) {
    size_t child = idx * 2 + 1;
    if (child >= parts_.size()) break;
    if (child + 1 < parts_.size() && parts_[child + 1]->order < parts_[child]->order) ++child;
    if (!(parts_[child]->order < part.order)) break;
    Place(*parts_[child], idx);
    idx = child;
  }
  Place(part, idx);
}

}  // namespace moonshard::tx
