#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace moonshard::base {
namespace {

// Straight from the definition, one bit at a time.
uint32_t Bitwise(uint32_t crc, std::string_view bytes) {
  uint32_t state = ~crc;
  for (char c : bytes) {
    state ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) state = state >> 1 ^ ((state & 1) != 0 ? 0x82F63B78u : 0u);
  }
  return ~state;
}

std::string RandomBytes(Random& random, size_t size) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random.Next());
  return bytes;
}

// Values from RFC 3720, appendix B.4, and the usual check value of the catalogues.
TEST(Crc32c, PublishedValues) {
  std::string rising(32, '\0'), falling(32, '\0');
  for (size_t i = 0; i < 32; ++i) {
    rising[i] = static_cast<char>(i);
    falling[i] = static_cast<char>(31 - i);
  }
  EXPECT_EQ(Crc32c(0, std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(0, std::string(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(Crc32c(0, rising), 0x46DD794Eu);
  EXPECT_EQ(Crc32c(0, falling), 0x113FDB5Cu);
  EXPECT_EQ(Crc32c(0, "123456789"), 0xE3069283u);
  EXPECT_EQ(Crc32c(0, ""), 0u);
}

TEST(Crc32c, TwinsAgreeAtEveryLengthAndAlignment) {
  Random random(7);
  const std::string bytes = RandomBytes(random, 400);
  for (size_t start = 0; start < 16; ++start) {
    for (size_t size = 0; size <= 300; ++size) {
      const std::string_view part = std::string_view(bytes).substr(start, size);
      const auto seed = static_cast<uint32_t>(random.Next());
      const uint32_t wanted = Bitwise(seed, part);
      ASSERT_EQ(Crc32cScalar(seed, part), wanted) << start << ' ' << size;
      ASSERT_EQ(Crc32c(seed, part), wanted) << start << ' ' << size;
      ASSERT_EQ(Crc32cStreams(seed, part), wanted) << start << ' ' << size;
    }
  }
}

TEST(Crc32c, LongInputAgreesToo) {
  Random random(8);
  const std::string bytes = RandomBytes(random, 30'000);
  for (int i = 0; i < 400; ++i) {
    const size_t start = random.Below(64);
    const std::string_view part = std::string_view(bytes).substr(start, random.Below(bytes.size() - start));
    const auto seed = static_cast<uint32_t>(random.Next());
    ASSERT_EQ(Crc32c(seed, part), Crc32cScalar(seed, part)) << part.size();
    ASSERT_EQ(Crc32cStreams(seed, part), Crc32cScalar(seed, part)) << part.size();
  }
  EXPECT_EQ(Crc32c(5, bytes), Bitwise(5, bytes));
}

TEST(Crc32c, GoesOnWhereItStopped) {
  Random random(9);
  const std::string bytes = RandomBytes(random, 2'000);
  for (size_t cut = 0; cut <= bytes.size(); cut += 7) {
    const std::string_view all = bytes;
    EXPECT_EQ(Crc32c(Crc32c(3, all.substr(0, cut)), all.substr(cut)), Crc32c(3, all));
  }
}

}  // namespace
}  // namespace moonshard::base
