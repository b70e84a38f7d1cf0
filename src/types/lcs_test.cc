#include "types/lcs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"

namespace moonshard::types {
namespace {

// The textbook: the whole table, and the way back through it as Redis goes, left unless up is longer.
Lcs Textbook(std::string_view a, std::string_view b) {
  std::vector<std::vector<uint32_t>> table(a.size() + 1, std::vector<uint32_t>(b.size() + 1));
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      table[i][j] =
          a[i - 1] == b[j - 1] ? table[i - 1][j - 1] + 1 : std::max(table[i - 1][j], table[i][j - 1]);
    }
  }
  Lcs lcs;
  lcs.length = table[a.size()][b.size()];
  size_t i = a.size();
  size_t j = b.size();
  bool contiguous = false;
  while (i > 0 && j > 0) {
    if (a[i - 1] == b[j - 1]) {
      --i;
      --j;
      lcs.text.insert(lcs.text.begin(), a[i]);
      if (!contiguous) {
        lcs.ranges.push_back({0, static_cast<uint32_t>(i), 0, static_cast<uint32_t>(j)});
        contiguous = true;
      }
      lcs.ranges.back().a_begin = static_cast<uint32_t>(i);
      lcs.ranges.back().b_begin = static_cast<uint32_t>(j);
    } else {
      contiguous = false;
      table[i - 1][j] > table[i][j - 1] ? --i : --j;
    }
  }
  return lcs;
}

void ExpectEqual(const Lcs& lcs, const Lcs& expected) {
  ASSERT_EQ(lcs.length, expected.length);
  ASSERT_EQ(lcs.text, expected.text);
  ASSERT_EQ(lcs.ranges.size(), expected.ranges.size());
  for (size_t i = 0; i < lcs.ranges.size(); ++i) {
    ASSERT_EQ(lcs.ranges[i].a_begin, expected.ranges[i].a_begin);
    ASSERT_EQ(lcs.ranges[i].a_end, expected.ranges[i].a_end);
    ASSERT_EQ(lcs.ranges[i].b_begin, expected.ranges[i].b_begin);
    ASSERT_EQ(lcs.ranges[i].b_end, expected.ranges[i].b_end);
  }
}

TEST(Lcs, TheExampleOfTheCommand) {
  auto lcs = FindLcs("ohmytext", "mynewtext", LcsWanted::kAll);
  ASSERT_TRUE(lcs.has_value());
  EXPECT_EQ(lcs->text, "mytext");
  ASSERT_EQ(lcs->ranges.size(), 2u);
  EXPECT_EQ(lcs->ranges[0].a_begin, 4u);
  EXPECT_EQ(lcs->ranges[0].b_end, 8u);
  EXPECT_EQ(lcs->ranges[1].size(), 2u);
}

TEST(Lcs, AnEmptyStringHasNothingInCommon) {
  for (auto [a, b] : {std::pair("", ""), std::pair("abc", ""), std::pair("", "abc")}) {
    auto lcs = FindLcs(a, b, LcsWanted::kAll);
    ASSERT_TRUE(lcs.has_value());
    EXPECT_EQ(lcs->length, 0u);
    EXPECT_TRUE(lcs->text.empty());
    EXPECT_TRUE(lcs->ranges.empty());
  }
}

TEST(Lcs, RandomStringsGoTheWayOfTheTextbook) {
  base::Random random(11);
  for (size_t step = 0; step < 3000; ++step) {
    const size_t letters = 1 + random.Below(random.OneIn(4) ? 256 : 4);
    auto text = [&] {
      std::string out(random.Below(random.OneIn(8) ? 400 : 80), '\0');
      for (char& c : out) c = static_cast<char>(random.Below(letters));
      return out;
    };
    std::string a = text();
    std::string b = random.OneIn(5) ? a : text();
    SCOPED_TRACE(testing::Message() << "step " << step << " sizes " << a.size() << ' ' << b.size());
    auto lcs = FindLcs(a, b, LcsWanted::kAll);
    ASSERT_TRUE(lcs.has_value());
    ExpectEqual(*lcs, Textbook(a, b));
    ASSERT_FALSE(HasFatalFailure());
    auto length = FindLcs(a, b, LcsWanted::kLength);
    ASSERT_TRUE(length.has_value());
    ASSERT_EQ(length->length, lcs->length);
    ASSERT_TRUE(length->text.empty());
  }
}

// Every length around the words of a row.
TEST(Lcs, EveryWidthOfARow) {
  for (size_t width = 1; width <= 200; ++width) {
    std::string b;
    for (size_t i = 0; i < width; ++i) b += static_cast<char>('a' + i * i % 5);
    std::string a;
    for (size_t i = 0; i < 90; ++i) a += static_cast<char>('a' + i * 3 % 7);
    auto lcs = FindLcs(a, b, LcsWanted::kAll);
    ASSERT_TRUE(lcs.has_value());
    ExpectEqual(*lcs, Textbook(a, b));
    ASSERT_FALSE(HasFatalFailure()) << width;
  }
}

}  // namespace
}  // namespace moonshard::types
