#include "base/long_double.h"

#include <gtest/gtest.h>

#include <bit>
#include <cfloat>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

#include "base/random.h"

namespace moonshard::base {
namespace {

std::string Format(long double value) {
  char text[kLongDoubleCharsMax];
  return {text, FormatLongDouble(value, text)};
}

// The rule as it is written down: printf, then the zeros at the end go.
std::string Slow(long double value) {
  char text[kLongDoubleCharsMax];
  std::snprintf(text, sizeof text, "%.17Lf", value);
  std::string out = text;
  out.erase(out.find_last_not_of('0') + 1);
  if (out.ends_with('.')) out.pop_back();
  return out == "-0" ? "0" : out;
}

TEST(LongDouble, FormatsAsPrintfDoes) {
  for (long double value : {0.0L,
                            -0.0L,
                            1.0L,
                            -1.0L,
                            0.1L,
                            0.5L,
                            10.5L,
                            3.0e3L,
                            1e18L,
                            9.2e18L,
                            1e19L,
                            1e300L,
                            -1e300L,
                            LDBL_MAX,
                            -LDBL_MAX,
                            LDBL_MIN,
                            1e-17L,
                            5e-18L,
                            4.9e-18L,
                            -4e-18L,
                            -6e-18L,
                            1e-30L,
                            0.99999999999999999999L,
                            0x1p-18L,
                            0x1p-64L,
                            0x1.8p-57L,
                            0x1p62L + 0.5L,
                            0x1p63L - 1,
                            0x1p63L,
                            0x1p64L}) {
    EXPECT_EQ(Format(value), Slow(value)) << static_cast<double>(value);
  }
}

TEST(LongDouble, RandomValuesFormatAsPrintfDoes) {
  Random random(7);
  for (size_t i = 0; i < 200'000; ++i) {
    auto mantissa = static_cast<long double>(random.Next() >> random.Below(64));
    long double value = std::ldexp(mantissa, -static_cast<int>(random.Below(140)));
    if (random.OneIn(2)) value = -value;
    ASSERT_EQ(Format(value), Slow(value)) << "step " << i;
  }
}

// Ties: 2^-18 has 18 digits behind the point, so every odd multiple lies between two of 17.
TEST(LongDouble, TiesGoToTheEvenDigit) {
  for (int i = 1; i < 20'000; ++i) {
    long double value = std::ldexp(static_cast<long double>(i), -18);
    ASSERT_EQ(Format(value), Slow(value)) << i;
  }
}

TEST(LongDouble, ParsesAsStrtoldDoes) {
  Random random(8);
  for (size_t i = 0; i < 200'000; ++i) {
    std::string text = random.OneIn(2) ? "-" : "";
    const size_t count = 1 + random.Below(24);
    const size_t point = random.Below(30);
    for (size_t k = 0; k < count; ++k) {
      if (k == point) text += '.';
      text += static_cast<char>('0' + random.Below(10));
    }
    auto value = ParseLongDouble(text);
    ASSERT_TRUE(value.has_value()) << text;
    long double expected = std::strtold(text.c_str(), nullptr);
    ASSERT_EQ(*value, expected) << text;
    ASSERT_EQ(std::signbit(*value), std::signbit(expected)) << text;
  }
}

TEST(LongDouble, WhatIsANumber) {
  for (std::string_view text : {"0", "-0", "+1", "01", "1.", ".5", "-.5", "1e3", "1E-3", "0x10", "0x1p3",
                                "inf", "-inf", "infinity", "INF", "3.0e3", "1e4932"}) {
    auto value = ParseLongDouble(text);
    ASSERT_TRUE(value.has_value()) << text;
    EXPECT_EQ(*value, std::strtold(std::string(text).c_str(), nullptr)) << text;
  }
}

TEST(LongDouble, WhatIsNone) {
  for (std::string_view text :
       {"",   " 1",    "1 ",  "\t1", "\n1",  "\v1", "1\n",    "abc",     "1x",      "-",  "+",  ".",
        "-.", "1.2.3", "--1", "nan", "-nan", "NaN", "1e5000", "-1e5000", "1e-5000", "0x", "1e", "1,5"}) {
    EXPECT_FALSE(ParseLongDouble(text).has_value()) << '"' << text << '"';
  }
  EXPECT_FALSE(ParseLongDouble(std::string_view("1\0", 2)).has_value());
  EXPECT_FALSE(ParseLongDouble(std::string_view("1\0002", 3)).has_value());
}

TEST(LongDouble, LongTextsAreNoNumberBeyondTheirLimit) {
  EXPECT_TRUE(ParseLongDouble("0." + std::string(kLongDoubleTextMax - 2, '1')).has_value());
  EXPECT_FALSE(ParseLongDouble("0." + std::string(kLongDoubleTextMax - 1, '1')).has_value());
}

}  // namespace
}  // namespace moonshard::base
