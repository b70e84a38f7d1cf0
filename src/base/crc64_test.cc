#include "base/crc64.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace moonshard::base {
namespace {

// Bit by bit, from the definition.
uint64_t Slow(uint64_t crc, std::string_view bytes) {
  for (char c : bytes) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      bool one = ((static_cast<unsigned char>(c) >> bit & 1) ^ (crc & 1)) != 0;
      crc = crc >> 1 ^ (one ? 0x95ac9329ac4bc9b5 : 0);
    }
  }
  return crc;
}

TEST(Crc64, CheckValueOfTheCatalogue) {
  EXPECT_EQ(Crc64(0, "123456789"), 0xe9c6d914c4b8d9caULL);
  EXPECT_EQ(Crc64(0, ""), 0u);
}

TEST(Crc64, EveryLengthAndCutEqualsTheDefinition) {
  Random random(1);
  std::string bytes;
  for (size_t length = 0; length <= 300; ++length) {
    ASSERT_EQ(Crc64(0, bytes), Slow(0, bytes)) << length;
    size_t cut = random.Below(length + 1);
    std::string_view view = bytes;
    ASSERT_EQ(Crc64(Crc64(0, view.substr(0, cut)), view.substr(cut)), Slow(0, bytes)) << length << " " << cut;
    bytes.push_back(static_cast<char>(random.Next()));
  }
}

}  // namespace
}  // namespace moonshard::base
