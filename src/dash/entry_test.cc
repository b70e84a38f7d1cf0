#include "dash/entry.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace moonshard::dash {
namespace {

TEST(EqualBytes, SeesEveryByteOfEverySize) {
  for (size_t size = 0; size <= 300; ++size) {
    for (size_t shift = 0; shift < 8; ++shift) {
      // Buffers of exactly the size, so that a read beyond is an error under the address sanitizer.
      std::vector<char> a(size + shift, 'x'), b(size, 'x');
      ASSERT_TRUE(EqualBytes(a.data() + shift, b.data(), size));
      for (size_t i = 0; i < size; ++i) {
        b[i] = 'y';
        ASSERT_FALSE(EqualBytes(a.data() + shift, b.data(), size)) << size << " " << i;
        b[i] = 'x';
      }
    }
  }
}

TEST(ClampDeadline, KeepsAllFromTheEpochOn) {
  for (TimeMs deadline :
       {TimeMs{0}, kShortDeadlineMax, kShortDeadlineMax + 1, kNoDeadline - 1, kNoDeadline}) {
    EXPECT_EQ(ClampDeadline(deadline), deadline);
  }
  EXPECT_EQ(ClampDeadline(-5), 0);
}

TEST(DeadlineBytes, GrowFrom48BitsOn) {
  EXPECT_EQ(DeadlineBytes(kNoDeadline), 0u);
  EXPECT_EQ(DeadlineBytes(0), 6u);
  EXPECT_EQ(DeadlineBytes(kShortDeadlineMax), 6u);
  EXPECT_EQ(DeadlineBytes(kShortDeadlineMax + 1), 8u);
  EXPECT_EQ(DeadlineBytes(kNoDeadline - 1), 8u);
}

}  // namespace
}  // namespace moonshard::dash
