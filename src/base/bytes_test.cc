#include "base/bytes.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace moonshard::base {
namespace {

TEST(Bytes, LittleEndianAtEveryAlignment) {
  char buffer[32];
  for (size_t at = 0; at < 8; ++at) {
    StoreLe<uint64_t>(buffer + at, 0x0807060504030201ull);
    EXPECT_EQ(std::string_view(buffer + at, 8), "\x01\x02\x03\x04\x05\x06\x07\x08");
    EXPECT_EQ(LoadLe<uint64_t>(buffer + at), 0x0807060504030201ull);
    EXPECT_EQ(LoadLe<uint32_t>(buffer + at), 0x04030201u);
    EXPECT_EQ(LoadLe<uint16_t>(buffer + at), 0x0201u);
    EXPECT_EQ(LoadLe<uint8_t>(buffer + at), 0x01u);
  }
}

TEST(Bytes, CaseFoldingTouchesAsciiLettersOnly) {
  for (int i = 0; i < 256; ++i) {
    char c = static_cast<char>(i);
    bool upper = i >= 'A' && i <= 'Z';
    bool lower = i >= 'a' && i <= 'z';
    EXPECT_EQ(ToLower(c), upper ? static_cast<char>(i + 32) : c) << i;
    EXPECT_EQ(ToUpper(c), lower ? static_cast<char>(i - 32) : c) << i;
  }
  EXPECT_EQ(ToUpper("get-Ex_9\xe4"), "GET-EX_9\xe4");
  EXPECT_EQ(ToLower("GET-Ex_9\xc4"), "get-ex_9\xc4");
}

TEST(Bytes, EqualsIgnoreCase) {
  static_assert(EqualsIgnoreCase("MaxMemory", "maxmemory"));
  static_assert(!EqualsIgnoreCase("maxmemory", "maxmemor"));
  EXPECT_TRUE(EqualsIgnoreCase("", ""));
  // '@' and '`', '[' and '{' differ in the bit that tells the cases of a letter apart.
  EXPECT_FALSE(EqualsIgnoreCase("@", "`"));
  EXPECT_FALSE(EqualsIgnoreCase("[", "{"));
}

}  // namespace
}  // namespace moonshard::base
