// SORT without a server: arguments, patterns, ranges and orders, by the rules of its documentation, and
// against a plain model.

#include "commands/sort_core.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"
#include "commands/sort_source.h"
#include "dash/slab.h"
#include "dash/table.h"
#include "types/detached_value.h"

namespace moonshard::commands {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using Kind = SortPattern::Kind;

base::Result<SortOptions> Parse(std::vector<std::string_view> words, SortStore store = SortStore::kAllowed) {
  words.insert(words.begin(), {"SORT", "key"});
  return ParseSort(words, store);
}

std::string ErrorOf(std::vector<std::string_view> words, SortStore store = SortStore::kAllowed) {
  auto options = Parse(std::move(words), store);
  return options.ok() ? "" : std::string(options.status().text());
}

TEST(SortPattern, Kinds) {
  EXPECT_EQ(SortPattern::Parse("#").kind, Kind::kElement);
  EXPECT_EQ(SortPattern::Parse("#\0x"sv).kind, Kind::kElement);
  EXPECT_EQ(SortPattern::Parse("##").kind, Kind::kConstant);
  EXPECT_EQ(SortPattern::Parse("").kind, Kind::kConstant);
  EXPECT_EQ(SortPattern::Parse("nosort").kind, Kind::kConstant);
  EXPECT_EQ(SortPattern::Parse("a\0*"sv).kind, Kind::kConstant);
  EXPECT_EQ(SortPattern::Parse("a->b").kind, Kind::kConstant);
  EXPECT_EQ(SortPattern::Parse("w_*").kind, Kind::kKey);
  EXPECT_EQ(SortPattern::Parse("w_*->f").kind, Kind::kField);
  // An arrow in front of the star or at the very end is part of the name.
  EXPECT_EQ(SortPattern::Parse("a->b_*").kind, Kind::kKey);
  EXPECT_EQ(SortPattern::Parse("w_*->").kind, Kind::kKey);
  EXPECT_EQ(SortPattern::Parse("w_*-").kind, Kind::kKey);
}

TEST(SortPattern, NamesKeysAndFields) {
  EXPECT_EQ(SortPattern::Parse("w_*").KeyOf("7"), "w_7");
  EXPECT_EQ(SortPattern::Parse("*").KeyOf("7"), "7");
  EXPECT_EQ(SortPattern::Parse("a*b*c").KeyOf("7"), "a7b*c");
  EXPECT_EQ(SortPattern::Parse("w_*->").KeyOf("7"), "w_7->");
  EXPECT_EQ(SortPattern::Parse("a*\0b"sv).KeyOf("7"), "a7\0b"s);
  SortPattern field = SortPattern::Parse("u:*:x->name->last");
  EXPECT_EQ(field.KeyOf("7"), "u:7:x");
  EXPECT_EQ(field.field, "name->last");
  EXPECT_EQ(SortPattern::Parse("*->a\0b"sv).field, "a\0b"sv);
}

TEST(SortArguments, AllOfThem) {
  auto options =
      Parse({"BY", "w_*", "LIMIT", "1", "2", "GET", "#", "get", "o_*", "desc", "alpha", "STORE", "d"});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->by->prefix, "w_");
  EXPECT_EQ(options->limit_start, 1);
  EXPECT_EQ(options->limit_count, 2);
  ASSERT_EQ(options->get.size(), 2u);
  EXPECT_EQ(options->get[0].kind, Kind::kElement);
  EXPECT_TRUE(options->descending);
  EXPECT_TRUE(options->alpha);
  EXPECT_EQ(options->store_arg, 14u);
  EXPECT_FALSE(options->dont_sort);
  EXPECT_TRUE(options->reads_patterns());
}

TEST(SortArguments, TheLastOneCounts) {
  auto options = Parse({"ASC", "DESC", "ASC", "STORE", "a", "STORE", "b", "BY", "x*", "BY", "y*"});
  ASSERT_TRUE(options.ok());
  EXPECT_FALSE(options->descending);
  EXPECT_EQ(options->store_arg, 8u);
  EXPECT_EQ(options->by->prefix, "y");
}

TEST(SortArguments, AnyConstantByMeansNoSorting) {
  EXPECT_TRUE(Parse({"BY", "nosort"})->dont_sort);
  EXPECT_TRUE(Parse({"BY", "nosort", "BY", "w_*"})->dont_sort);
  EXPECT_FALSE(Parse({"BY", "nosort"})->reads_patterns());
  EXPECT_FALSE(Parse({"BY", "nosort", "BY", "w_*"})->reads_patterns());
  EXPECT_TRUE(Parse({"BY", "#"})->dont_sort);
  EXPECT_FALSE(Parse({"GET", "#", "GET", "constant"})->reads_patterns());
  EXPECT_TRUE(Parse({"GET", "#", "GET", "*"})->reads_patterns());
}

// Words that are values of an option are not options themselves.
TEST(SortArguments, ValuesMayLookLikeOptions) {
  auto options = Parse({"STORE", "get", "BY", "limit", "GET", "store"});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->store_arg, 3u);
  EXPECT_EQ(options->get.size(), 1u);
}

TEST(SortArguments, Errors) {
  EXPECT_EQ(ErrorOf({"FOO"}), "syntax error");
  EXPECT_EQ(ErrorOf({"BY"}), "syntax error");
  EXPECT_EQ(ErrorOf({"GET"}), "syntax error");
  EXPECT_EQ(ErrorOf({"STORE"}), "syntax error");
  EXPECT_EQ(ErrorOf({"LIMIT"}), "syntax error");
  EXPECT_EQ(ErrorOf({"LIMIT", "1"}), "syntax error");
  EXPECT_EQ(ErrorOf({"LIMIT", "x", "1"}), "value is not an integer or out of range");
  EXPECT_EQ(ErrorOf({"LIMIT", "1", "x"}), "value is not an integer or out of range");
  EXPECT_EQ(ErrorOf({"LIMIT", "1", "x", "FOO"}), "value is not an integer or out of range");
  EXPECT_EQ(ErrorOf({"STORE", "d"}, SortStore::kUnknown), "syntax error");
  EXPECT_EQ(ErrorOf({"ALPHA"}, SortStore::kUnknown), "");
}

TEST(SortRange, OfEveryLimit) {
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  for (int64_t start :
       {kLeast, int64_t{-3}, int64_t{0}, int64_t{1}, int64_t{4}, int64_t{5}, int64_t{6}, kMost}) {
    for (int64_t count : {kLeast, int64_t{-1}, int64_t{0}, int64_t{1}, int64_t{4}, int64_t{9}, kMost}) {
      SortOptions options;
      options.limit_start = start;
      options.limit_count = count;
      SortRange range = RangeOf(options, 5);
      // A slice as anybody would write it, without overflow.
      std::vector<int> expected;
      for (int64_t i = 0; i < 5; ++i) {
        const int64_t from = std::max<int64_t>(start, 0);
        if (i >= from && (count < 0 || i - from < count)) expected.push_back(static_cast<int>(i));
      }
      ASSERT_EQ(range.end - range.begin, expected.size()) << start << " " << count;
      if (!expected.empty())
        ASSERT_EQ(range.begin, static_cast<size_t>(expected[0])) << start << " " << count;
      ASSERT_LE(range.end, 5u);
      EXPECT_EQ(RangeOf(options, 0).begin, 0u);
      EXPECT_EQ(RangeOf(options, 0).end, 0u);
    }
  }
}

std::vector<std::string> Sorted(const std::vector<std::string>& elements, const SortOptions& options,
                                const std::vector<std::optional<std::string>>& by = {}) {
  std::vector<SortItem> items(elements.size());
  for (size_t i = 0; i < items.size(); ++i) {
    items[i].element = elements[i];
    if (!by.empty()) items[i].by = by[i];
  }
  base::Status status = SortItems(items, options);
  if (!status.ok()) return {std::string(status.text())};
  std::vector<std::string> result;
  for (const SortItem& item : items) result.emplace_back(item.element);
  return result;
}
using Strings = std::vector<std::string>;

TEST(SortOrder, Numbers) {
  SortOptions options;
  EXPECT_EQ(Sorted({"10", "9", "-1", "2.5", "1e2", " 3", ""}, options),
            (Strings{"-1", "", "2.5", " 3", "9", "10", "1e2"}));
  EXPECT_EQ(Sorted({"inf", "-inf", "0"}, options), (Strings{"-inf", "0", "inf"}));
  options.descending = true;
  EXPECT_EQ(Sorted({"10", "9", "-1"}, options), (Strings{"10", "9", "-1"}));
}

TEST(SortOrder, EqualNumbersAreOrderedByTheirBytes) {
  SortOptions options;
  EXPECT_EQ(Sorted({"1.0", "01", "1", "+1"}, options), (Strings{"+1", "01", "1", "1.0"}));
  options.descending = true;
  EXPECT_EQ(Sorted({"1.0", "01", "1", "+1"}, options), (Strings{"1.0", "1", "01", "+1"}));
}

TEST(SortOrder, WhatIsNoNumber) {
  SortOptions options;
  const Strings error = {"One or more scores can't be converted into double"};
  for (const std::string& word : {"x"s, "1x"s, "nan"s, "1e999"s, "1 "s, "--1"s}) {
    EXPECT_EQ(Sorted({"1", word}, options), error) << word;
  }
  // Up to a zero byte.
  EXPECT_EQ(Sorted({"2", "1\0x"s}, options), (Strings{"1\0x"s, "2"}));
}

TEST(SortOrder, Alpha) {
  SortOptions options;
  options.alpha = true;
  EXPECT_EQ(Sorted({"b", "a", "10", "9", ""}, options), (Strings{"", "10", "9", "a", "b"}));
  options.descending = true;
  EXPECT_EQ(Sorted({"b", "a", "10", "9", ""}, options), (Strings{"b", "a", "9", "10", ""}));
}

TEST(SortOrder, AlphaLooksUpToAZeroByteUnlessItIsStored) {
  SortOptions options;
  options.alpha = true;
  EXPECT_EQ(Sorted({"a\0b"s, "a\0a"s}, options), (Strings{"a\0b"s, "a\0a"s}));
  options.store_arg = 3;
  EXPECT_EQ(Sorted({"a\0b"s, "a\0a"s}, options), (Strings{"a\0a"s, "a\0b"s}));
}

TEST(SortOrder, ByNumbersAMissingKeyIsZero) {
  SortOptions options;
  options.by = SortPattern::Parse("w_*");
  EXPECT_EQ(Sorted({"a", "b", "c", "d"}, options, {"3", "-1", std::nullopt, "1"}),
            (Strings{"b", "c", "d", "a"}));
  EXPECT_EQ(Sorted({"a", "b"}, options, {"3", "x"})[0], "One or more scores can't be converted into double");
}

TEST(SortOrder, ByTextAMissingKeyComesFirst) {
  SortOptions options;
  options.by = SortPattern::Parse("w_*");
  options.alpha = true;
  EXPECT_EQ(Sorted({"a", "b", "c", "d"}, options, {"y", "x", std::nullopt, "z"}),
            (Strings{"c", "b", "a", "d"}));
  options.descending = true;
  EXPECT_EQ(Sorted({"a", "b", "c", "d"}, options, {"y", "x", std::nullopt, "z"}),
            (Strings{"d", "a", "b", "c"}));
  // Equal ones keep their order, in either direction.
  EXPECT_EQ(Sorted({"b", "a"}, options, {"x", "x"}), (Strings{"b", "a"}));
  EXPECT_EQ(Sorted({"b", "a"}, options, {std::nullopt, std::nullopt}), (Strings{"b", "a"}));
}

TEST(SortOrder, AgreesWithAModel) {
  base::Random random(11);
  for (size_t round = 0; round < 300; ++round) {
    std::vector<int64_t> numbers(random.Below(40));
    Strings elements;
    for (int64_t& number : numbers) {
      number = static_cast<int64_t>(random.Below(60)) - 30;
      elements.push_back(std::to_string(number));
    }
    SortOptions options;
    options.descending = random.OneIn(2);
    options.alpha = random.OneIn(2);
    Strings expected = elements;
    if (options.alpha) {
      std::sort(expected.begin(), expected.end());
    } else {
      std::sort(expected.begin(), expected.end(),
                [](const std::string& a, const std::string& b) { return std::stol(a) < std::stol(b); });
    }
    if (options.descending) std::reverse(expected.begin(), expected.end());
    ASSERT_EQ(Sorted(elements, options), expected) << round;
  }
}

TEST(SortSource, StringsAreNoSourceOfElementsButValuesOfPatterns) {
  dash::Slab slab{dash::SlabOptions{}};
  dash::Table table(slab, {});
  auto value = types::DetachedValue::OfString("text");
  dash::Table::Ref ref =
      table.Insert(table.Hash("k"), "k", value.type(), value.encoding(), value.entry_bytes().size());
  value.MoveInto(*table.entry(ref));
  EXPECT_EQ(ReadSortInput(table.entry(ref)).status().code(), base::Code::kWrongType);
  EXPECT_TRUE(ReadSortInput(nullptr)->elements.empty());
  EXPECT_EQ(ReadPatternValue(table.entry(ref), SortPattern::Parse("*")), "text");
  EXPECT_EQ(ReadPatternValue(table.entry(ref), SortPattern::Parse("*->f")), std::nullopt);
  EXPECT_EQ(ReadPatternValue(nullptr, SortPattern::Parse("*")), std::nullopt);
}

}  // namespace
}  // namespace moonshard::commands
