#include "tx/pending_heap.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "base/random.h"

namespace moonshard::tx {
namespace {

TEST(Timestamp, ComparesNumberThenCoordinatorThenSequence) {
  EXPECT_LT((Timestamp{1, 9, 9}), (Timestamp{2, 0, 0}));
  EXPECT_LT((Timestamp{2, 0, 9}), (Timestamp{2, 1, 0}));
  EXPECT_LT((Timestamp{2, 1, 0}), (Timestamp{2, 1, 1}));
}

TEST(PendingHeap, TopIsTheSmallestAfterPushRaiseRemove) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    base::Random random(seed);
    PendingHeap heap;
    std::vector<std::unique_ptr<Part>> parts;
    std::set<std::pair<Timestamp, Part*>> model;
    for (int step = 0; step < 500; ++step) {
      uint64_t choice = random.Below(3);
      if (choice == 0 || parts.empty()) {
        parts.push_back(std::make_unique<Part>());
        parts.back()->order = {random.Below(50), static_cast<uint16_t>(random.Below(3)),
                               static_cast<uint64_t>(step)};
        heap.Push(*parts.back());
        model.insert({parts.back()->order, parts.back().get()});
      } else {
        size_t idx = random.Below(parts.size());
        Part& part = *parts[idx];
        model.erase({part.order, &part});
        if (choice == 1) {
          Timestamp order = part.order;
          order.number += random.Below(50);
          heap.Raise(part, order);
          model.insert({order, &part});
        } else {
          heap.Remove(part);
          EXPECT_EQ(part.heap_idx, kNotInHeap);
          std::swap(parts[idx], parts.back());
          parts.pop_back();
        }
      }
      ASSERT_EQ(heap.size(), model.size());
      if (!model.empty()) {
        ASSERT_EQ(&heap.top(), model.begin()->second);
      }
    }
  }
}

}  // namespace
}  // namespace moonshard::tx
