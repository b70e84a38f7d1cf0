#include "base/number.h"

#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdio>
#include <limits>
#include <string>

#include "base/random.h"

namespace moonshard::base {
namespace {

TEST(Number, RefusesWhatRedisRefuses) {
  for (std::string_view text : {"", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1a", "9223372036854775808",
                                "-9223372036854775809", "99999999999999999999", "000", "0x10", "1e3"}) {
    EXPECT_FALSE(ParseInt64(text).has_value()) << text;
  }
}

TEST(Number, RoundTripsAndAgreesWithPrintf) {
  Random random(7);
  for (int i = 0; i < 200000; ++i) {
    auto value = static_cast<int64_t>(random.Next() >> random.Below(64));
    if (random.OneIn(2)) value = -value;
    char expected[32];
    std::snprintf(expected, sizeof expected, "%" PRId64, value);
    char text[kMaxInt64Chars];
    ASSERT_EQ(std::string(text, FormatInt64(value, text)), expected);
    ASSERT_EQ(ParseInt64(expected), value);
  }
  for (int64_t value :
       {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(), int64_t{0}}) {
    char text[kMaxInt64Chars];
    size_t size = FormatInt64(value, text);
    EXPECT_EQ(std::string(text, size), std::to_string(value));
    EXPECT_EQ(ParseInt64(std::string_view(text, size)), value);
  }
}

}  // namespace
}  // namespace moonshard::base
