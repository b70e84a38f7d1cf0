#include "base/buffer.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace moonshard::base {
namespace {

// Random operations against std::string.
TEST(Buffer, BehavesAsAString) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Buffer buffer;
    std::string model;
    for (int i = 0; i < 2000; ++i) {
      size_t size = random.Below(random.OneIn(20) ? 3000 : 40);
      std::string bytes(size, static_cast<char>(random.Below(256)));
      switch (random.Below(6)) {
        case 0:
          buffer.Append(bytes);
          model += bytes;
          break;
        case 1: {
          char* to = buffer.Reserve(size + 7);
          std::copy(bytes.begin(), bytes.end(), to);
          buffer.Commit(size);
          model += bytes;
          break;
        }
        case 2:
          buffer.push_back('x');
          model += 'x';
          break;
        case 3: {
          size_t gone = random.Below(model.size() + 1);
          buffer.Consume(gone);
          model.erase(0, gone);
          break;
        }
        case 4: {
          size_t left = random.Below(model.size() + 1);
          buffer.Truncate(left);
          model.resize(left);
          break;
        }
        default: {
          Buffer moved = std::move(buffer);
          buffer = std::move(moved);
          if (random.OneIn(50)) buffer.Free(), model.clear();
        }
      }
      ASSERT_EQ(buffer.view(), model);
      ASSERT_GE(buffer.capacity(), buffer.size());
    }
  }
}

TEST(Buffer, ReserveKeepsRoomForWhatItPromised) {
  Buffer buffer;
  EXPECT_EQ(buffer.capacity(), 0u);  // an idle connection pays nothing
  for (size_t bytes : {1u, 255u, 256u, 257u, 100000u}) {
    char* to = buffer.Reserve(bytes);
    EXPECT_EQ(to, buffer.data() + buffer.size());
    EXPECT_GE(buffer.capacity() - buffer.size(), bytes);
    buffer.Commit(bytes);
  }
}

TEST(Buffer, MovedFromIsEmptyAndUsable) {
  Buffer from(100);
  from.Append("abc");
  Buffer to = std::move(from);
  EXPECT_EQ(to.view(), "abc");
  EXPECT_TRUE(from.empty());  // NOLINT: the state after a move is what is tested
  from.Append("d");
  EXPECT_EQ(from.view(), "d");
}

}  // namespace
}  // namespace moonshard::base
