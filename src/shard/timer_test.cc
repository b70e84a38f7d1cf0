#include "shard/timer.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <vector>

#include "base/random.h"

namespace moonshard::shard {
namespace {

struct Recorded {
  std::vector<int>* fired;
  int number;
  Timer timer{[](void* self) {
                auto* recorded = static_cast<Recorded*>(self);
                recorded->fired->push_back(recorded->number);
              },
              this};
};

TEST(TimerHeap, FiresLikeAnOrderedMap) {
  base::Random random(3);
  TimerHeap heap;
  std::vector<int> fired;
  std::vector<std::unique_ptr<Recorded>> timers;
  for (int i = 0; i < 300; ++i) timers.emplace_back(new Recorded{&fired, i});
  std::map<std::pair<TimeNs, uint64_t>, int> model;
  std::map<int, std::pair<TimeNs, uint64_t>> keys;
  uint64_t sequence = 0;
  TimeNs now = 0;
  for (int step = 0; step < 100'000; ++step) {
    const int number = static_cast<int>(random.Below(timers.size()));
    Timer& timer = timers[static_cast<size_t>(number)]->timer;
    ASSERT_EQ(timer.armed(), keys.contains(number));
    if (random.OneIn(20)) {
      now += static_cast<TimeNs>(random.Below(30));
      fired.clear();
      std::vector<int> expected;
      while (!model.empty() && model.begin()->first.first <= now) {
        expected.push_back(model.begin()->second);
        keys.erase(model.begin()->second);
        model.erase(model.begin());
      }
      ASSERT_EQ(heap.FireDue(now), expected.size());
      ASSERT_EQ(fired, expected);
    } else if (timer.armed()) {
      heap.Cancel(timer);
      model.erase(keys[number]);
      keys.erase(number);
    } else {
      const TimeNs deadline = now + static_cast<TimeNs>(random.Below(100));
      heap.Add(timer, deadline);
      keys[number] = {deadline, sequence};
      model[{deadline, sequence++}] = number;
    }
    ASSERT_EQ(heap.size(), model.size());
    ASSERT_EQ(heap.next_deadline(), model.empty() ? kNever : model.begin()->first.first);
  }
  for (auto& recorded : timers) heap.Cancel(recorded->timer);
}

TEST(TimerHeap, ATimerThatReAddsItselfFiresOncePerCall) {
  struct Again {
    TimerHeap* heap;
    int count = 0;
    Timer timer{[](void* self) {
                  auto* again = static_cast<Again*>(self);
                  ++again->count;
                  again->heap->Add(again->timer, 0);
                },
                this};
  };
  TimerHeap heap;
  Again again{&heap};
  heap.Add(again.timer, 0);
  EXPECT_EQ(heap.FireDue(10), 1u);
  EXPECT_EQ(heap.FireDue(10), 1u);
  EXPECT_EQ(again.count, 2);
  heap.Cancel(again.timer);
}

}  // namespace
}  // namespace moonshard::shard
