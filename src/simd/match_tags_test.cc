#include "simd/match_tags.h"

#include <gtest/gtest.h>

#include <random>

namespace moonshard::simd {
namespace {

TEST(MatchTags64, AgreesWithTheScalarTwin) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  alignas(64) uint16_t buffer[96];
  for (int round = 0; round < 20000; ++round) {
    // Few distinct values give many matches, all values give none or one; both signs of the word occur.
    const uint64_t range = round % 3 == 0 ? 2 : round % 3 == 1 ? 300 : 65536;
    const auto base = static_cast<uint16_t>(random());
    for (uint16_t& tag : buffer) tag = static_cast<uint16_t>(base + random() % range);
    const uint16_t* tags = buffer + random() % 32;
    const uint16_t wanted =
        random() % 2 == 0 ? tags[random() % 64] : static_cast<uint16_t>(base + random() % range);
    uint64_t expected = 0;
    for (size_t i = 0; i < 64; ++i) {
      if (tags[i] == wanted) expected |= uint64_t{1} << i;
    }
    ASSERT_EQ(MatchTags64Scalar(tags, wanted), expected);
    ASSERT_EQ(MatchTags64(tags, wanted), expected);
#if defined(__AVX2__)
    ASSERT_EQ(MatchTags64Avx2(tags, wanted), expected);
#endif
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bw")) {
      ASSERT_EQ(MatchTags64Avx512(tags, wanted), expected);
    }
#endif
  }
}

TEST(MatchTags64, EachSlotHasItsBit) {
  for (size_t i = 0; i < 64; ++i) {
    uint16_t tags[64] = {};
    tags[i] = 0x8001;
    EXPECT_EQ(MatchTags64(tags, 0x8001), uint64_t{1} << i);
    EXPECT_EQ(MatchTags64(tags, 0), ~(uint64_t{1} << i));
    EXPECT_EQ(MatchTags64(tags, 0x8000), 0u);
  }
}

}  // namespace
}  // namespace moonshard::simd
