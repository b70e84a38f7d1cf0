#include "tx/gate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"

namespace moonshard::tx {
namespace {

TEST(Gate, IsOpenWithoutALog) {
  Gate gate;
  gate.Logged(Lsn(1), 5);
  EXPECT_EQ(gate.floor(), kNoFloor);
  EXPECT_FALSE(gate.Holds(Lsn(1000)));
}

TEST(Gate, LoggedAndNotDurableHoldsTheFloor) {
  Gate gate;
  gate.Attach();
  gate.Logged(Lsn(3), 7);
  gate.Logged(Lsn(4), 7);
  gate.Logged(Lsn(9), 8);
  EXPECT_EQ(gate.floor(), 7u);
  gate.SetDurable(Lsn(3));
  EXPECT_EQ(gate.floor(), 7u);
  gate.SetDurable(Lsn(8));
  EXPECT_EQ(gate.floor(), 8u);
  gate.SetDurable(Lsn(9));
  EXPECT_EQ(gate.floor(), kNoFloor);
}

TEST(Gate, AnswerNeedsDurabilityAndTheWatermark) {
  Gate gate;
  gate.Attach();
  gate.Logged(Lsn(3), 7);
  gate.SetDurable(Lsn(5));
  EXPECT_FALSE(gate.Holds(Lsn(2)));  // before the first cross-shard record
  EXPECT_TRUE(gate.Holds(Lsn(3)));
  EXPECT_TRUE(gate.Holds(Lsn(5)));  // a write behind it
  gate.RaiseWatermark(7);           // 7 itself is not below 7
  EXPECT_TRUE(gate.Holds(Lsn(3)));
  gate.RaiseWatermark(8);
  EXPECT_FALSE(gate.Holds(Lsn(5)));
  EXPECT_TRUE(gate.Holds(Lsn(6)));  // not durable
  gate.RaiseWatermark(2);           // stale values change nothing
  EXPECT_EQ(gate.watermark(), 8u);
}

TEST(Gate, AgreesWithTheRuleSpeltOut) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    base::Random random(seed);
    Gate gate;
    gate.Attach();
    std::vector<uint64_t> numbers{0};  // [position] = cross-shard number, 0 for a plain write
    uint64_t durable = 0, number = 1, watermark = 0;
    for (int step = 0; step < 400; ++step) {
      switch (random.Below(4)) {
        case 0:
          numbers.push_back(0);
          break;
        case 1:
          number =
              std::max(number + random.Below(3), watermark);  // whatever comes later is not below a watermark
          numbers.push_back(number);
          gate.Logged(Lsn(numbers.size() - 1), number);
          break;
        case 2:
          durable += random.Below(numbers.size() - durable);
          gate.SetDurable(Lsn(durable));
          break;
        case 3: {
          // A real watermark never exceeds this shard's own floor.
          uint64_t w = std::min(random.Below(number + 2), gate.floor());
          gate.RaiseWatermark(w);
          watermark = std::max(watermark, w);
          break;
        }
      }
      uint64_t floor = kNoFloor;
      for (size_t p = durable + 1; p < numbers.size() && floor == kNoFloor; ++p) {
        if (numbers[p] != 0) floor = numbers[p];
      }
      ASSERT_EQ(gate.floor(), floor);
      uint64_t last = 0;
      for (size_t p = 1; p < numbers.size(); ++p) {
        if (numbers[p] != 0) last = numbers[p];
        bool open = p <= durable && (last == 0 || last < watermark);
        ASSERT_EQ(gate.Holds(Lsn(p)), !open) << "position " << p;
      }
    }
  }
}

}  // namespace
}  // namespace moonshard::tx
