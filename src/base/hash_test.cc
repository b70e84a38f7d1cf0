#include "base/hash.h"

#include <gtest/gtest.h>

#include <bit>
#include <string>

namespace moonshard::base {
namespace {

// The log and snapshots store no hash, but the shard of a key is part of a data directory: the function must
// not change. XXH3's own test vectors: the empty input with seed 0.
TEST(Hash, IsXxh3) {
  EXPECT_EQ(HashBytes("", 0), 0x2d06800538d394c2ull);
}

TEST(Hash, DependsOnTheSeedAndOnEveryByte) {
  EXPECT_NE(HashBytes("key", 1), HashBytes("key", 2));
  std::string text(40, 'a');
  uint64_t original = HashBytes(text, 1);
  for (char& c : text) {
    c ^= 1;
    EXPECT_NE(HashBytes(text, 1), original);
    c ^= 1;
  }
  EXPECT_EQ(HashBytes(text, 1), original);
}

// Tag, shard and directory are cut from one hash: neighbouring keys must differ in all three parts.
TEST(Hash, SpreadsSimilarKeysOverAllBits) {
  int ones[64] = {};
  constexpr int kKeys = 10000;
  for (int i = 0; i < kKeys; ++i) {
    uint64_t hash = HashBytes("user:" + std::to_string(i), 42);
    for (int bit = 0; bit < 64; ++bit) ones[bit] += static_cast<int>(hash >> bit & 1);
  }
  // Standard deviation 50: six of them.
  for (int bit = 0; bit < 64; ++bit) EXPECT_NEAR(ones[bit], kKeys / 2, 300) << bit;
}

}  // namespace
}  // namespace moonshard::base
