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

TEST(ClampDeadline, KeepsWhatFitsIn48Bits) {
  EXPECT_EQ(ClampDeadline(kNoDeadline), kNoDeadline);
  EXPECT_EQ(ClampDeadline(-5), 0);
  EXPECT_EQ(ClampDeadline(kDeadlineMax), kDeadlineMax);
  EXPECT_EQ(ClampDeadline(kDeadlineMax + 1), kDeadlineMax);
  EXPECT_EQ(ClampDeadline(kNoDeadline - 1), kDeadlineMax);
}

}  // namespace
}  // namespace moonshard::dash
