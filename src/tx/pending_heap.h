#pragma once
// PendingHeap: the proposals and finals that wait for their turn in the total order of one shard, smallest on
// top (rule 2 of the commit protocol). A binary heap of Part pointers; each part knows its index, so that a
// proposal can be replaced by the final (always later) or taken out. Keeps its capacity. Owned by one shard.

#include <cstddef>
#include <vector>

#include "tx/transaction.h"

namespace moonshard::tx {

class PendingHeap {
 public:
  PendingHeap() { parts_.reserve(64); }

  bool empty() const { return parts_.empty(); }
  size_t size() const { return parts_.size(); }
  Part& top() const { return *parts_.front(); }
  const std::vector<Part*>& parts() const { return parts_; }

  // Keyed by part.order, which only these may see change.
  void Push(Part& part);
  void Remove(Part& part);
  // The part's order becomes `order`, not smaller than before.
  void Raise(Part& part, const Timestamp& order);

 private:
  void Place(Part& part, size_t idx) {
    parts_[idx] = &part;
    part.heap_idx = static_cast<uint32_t>(idx);
  }
  void SiftUp(size_t idx);
  void SiftDown(size_t idx);

  std::vector<Part*> parts_;
};

}  // namespace moonshard::tx
