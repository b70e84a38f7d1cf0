#include "command/registry.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "command/errors.h"
#include "command/scan_cursor.h"
#include "command/testing.h"

namespace moonshard::command {
namespace {

class RegistryTest : public ::testing::Test {
 protected:
  Registry registry_{testing::kTestTables};
};

TEST_F(RegistryTest, EveryRowIsFoundInAnyCase) {
  base::Random random(1);
  for (const CommandRow& row : testing::kTestRows) {
    for (int i = 0; i < 20; ++i) {
      std::string name(row.name);
      for (char& c : name) {
        if (random.OneIn(2)) c = static_cast<char>(c - 'a' + 'A');
      }
      const Command* found = registry_.Find(name);
      ASSERT_NE(found, nullptr) << name;
      EXPECT_EQ(found->row, &row);
    }
  }
}

TEST_F(RegistryTest, WhatOnlyResemblesANameIsNotFound) {
  for (const CommandRow& row : testing::kTestRows) {
    std::string name(row.name);
    EXPECT_EQ(registry_.Find(name + "x"), nullptr);
    EXPECT_EQ(registry_.Find(name + std::string(1, '\0')), nullptr);
    EXPECT_EQ(registry_.Find("x" + name), nullptr);
    for (size_t length = 0; length < name.size(); ++length) {
      const Command* found = registry_.Find(name.substr(0, length));
      EXPECT_TRUE(found == nullptr || found->row->name.size() == length) << name.substr(0, length);
    }
    // Bytes that differ in the case bit only and are no letters.
    std::string flipped = name;
    for (char& c : flipped) c = static_cast<char>(c ^ 0x40);
    EXPECT_EQ(registry_.Find(flipped), nullptr);
  }
  EXPECT_EQ(registry_.Find(""), nullptr);
  EXPECT_EQ(registry_.Find(std::string(100'000, 'g')), nullptr);
}

TEST_F(RegistryTest, NamesThatShareEightBytesAreToldApart) {
  static constexpr CommandRow kLong[] = {
      {.name = "longnamea", .arity = 1, .since = "1", .summary = "s", .handler = testing::SessionId},
      {.name = "longnameb", .arity = 1, .since = "1", .summary = "s", .handler = testing::SessionId},
      {.name = "longname", .arity = 1, .since = "1", .summary = "s", .handler = testing::SessionId}};
  const std::span<const CommandRow> tables[] = {kLong};
  Registry registry(tables);
  for (const CommandRow& row : kLong) EXPECT_EQ(registry.Find(base::ToUpper(row.name))->row, &row);
  EXPECT_EQ(registry.Find("longnamec"), nullptr);
}

TEST_F(RegistryTest, SubcommandsHaveTheirOwnIndexAndFullName) {
  const Command* box = registry_.Find("BOX");
  const Command* two = Registry::FindSubcommand(*box, "TwO");
  ASSERT_NE(two, nullptr);
  EXPECT_EQ(two->full_name, "box|two");
  EXPECT_EQ(two->parent, box);
  EXPECT_EQ(Registry::FindSubcommand(*box, "tw"), nullptr);
  std::vector<bool> seen(registry_.index_count());
  auto visit = [&](const Command& command) {
    ASSERT_LT(command.index, seen.size());
    EXPECT_FALSE(seen[command.index]);
    seen[command.index] = true;
  };
  for (const Command& command : registry_.commands()) {
    visit(command);
    for (const Command& sub : command.subcommands) visit(sub);
  }
  for (bool each : seen) EXPECT_TRUE(each);
}

// ---- keys

using Positions = std::vector<uint32_t>;

// Nothing: the arguments cannot hold the keys.
std::optional<Positions> KeysOf(std::initializer_list<KeySpec> specs, std::vector<std::string_view> args) {
  std::vector<KeySpec> list(specs);
  CommandRow row{.name = "x", .arity = -1, .keys = list};
  Positions positions;
  if (!FindKeys(row, args, positions)) return std::nullopt;
  for (uint32_t position : positions) EXPECT_LT(position, args.size());
  return positions;
}

TEST(FindKeys, RangesFromAnIndex) {
  EXPECT_EQ(KeysOf({{}}, {"get", "a"}), (Positions{1}));
  EXPECT_EQ(KeysOf({{.last = -1}}, {"del", "a", "b", "c"}), (Positions{1, 2, 3}));
  EXPECT_EQ(KeysOf({{.last = -1, .step = 2}}, {"mset", "a", "1", "b", "2"}), (Positions{1, 3}));
  EXPECT_EQ(KeysOf({{.last = 1}}, {"rename", "a", "b"}), (Positions{1, 2}));
  EXPECT_EQ(KeysOf({{}, {.begin_index = 2}}, {"rename", "a", "b"}), (Positions{1, 2}));
  EXPECT_EQ(KeysOf({{.last = -2}}, {"blpop", "a", "b", "0"}), (Positions{1, 2}));
  EXPECT_EQ(KeysOf({{.last = -2}}, {"blpop", "a"}), (Positions{}));
  EXPECT_EQ(KeysOf({{.last = 1}}, {"rename", "a"}), std::nullopt);
  EXPECT_EQ(KeysOf({{.begin_index = 3}}, {"x", "a"}), std::nullopt);
}

TEST(FindKeys, RangesBehindAKeyword) {
  KeySpec streams{
      .begin = KeySpec::Begin::kKeyword, .begin_index = 1, .keyword = "STREAMS", .last = -1, .limit = 2};
  EXPECT_EQ(KeysOf({streams}, {"xread", "COUNT", "5", "streams", "a", "b", "0", "0"}), (Positions{4, 5}));
  EXPECT_EQ(KeysOf({streams}, {"xread", "COUNT", "5"}), (Positions{}));
  EXPECT_EQ(KeysOf({streams}, {"xread", "streams"}), std::nullopt);
  EXPECT_EQ(KeysOf({streams}, {"xread", "streams", "a"}), (Positions{}));
  KeySpec from_end{.begin = KeySpec::Begin::kKeyword, .begin_index = -2, .keyword = "KEYS", .last = -1};
  EXPECT_EQ(KeysOf({from_end}, {"migrate", "h", "p", "", "0", "9", "KEYS", "a", "b"}), (Positions{7, 8}));
  EXPECT_EQ(KeysOf({from_end}, {"migrate", "keys"}), (Positions{}));
  EXPECT_EQ(KeysOf({from_end}, {"migrate"}), (Positions{}));
}

TEST(FindKeys, CountedKeysSurviveHostileCounts) {
  KeySpec counted{.find = KeySpec::Find::kKeyNum, .keynum_index = 0, .first_key = 1};
  EXPECT_EQ(KeysOf({counted}, {"eval", "2", "a", "b", "arg"}), (Positions{2, 3}));
  EXPECT_EQ(KeysOf({counted}, {"eval", "0", "a"}), (Positions{}));
  for (std::string_view count : {"3", "-1", "x", "", "1.5", "9223372036854775807", "-9223372036854775808",
                                 "18446744073709551615", "4294967297", "99999999999999999999"}) {
    EXPECT_EQ(KeysOf({counted}, {"eval", count, "a", "b"}), std::nullopt) << count;
  }
  EXPECT_EQ(KeysOf({counted}, {"eval"}), std::nullopt);
  KeySpec stepped{.find = KeySpec::Find::kKeyNum, .step = 2, .keynum_index = 0, .first_key = 1};
  EXPECT_EQ(KeysOf({stepped}, {"x", "2", "a", "1", "b"}), (Positions{2, 4}));
  EXPECT_EQ(KeysOf({stepped}, {"x", "3", "a", "1", "b"}), std::nullopt);
}

TEST(FindKeys, SpecsThatAreNoKeysAreLeftOut) {
  EXPECT_EQ(KeysOf({{.flags = kKeyNotKey}, {.begin_index = 2}}, {"x", "channel", "a"}), (Positions{2}));
}

// No spec and no arguments make it read past the end or loop.
TEST(FindKeys, RandomSpecsOverRandomArguments) {
  base::Random random(3);
  const std::string_view words[] = {"KEYS", "keys", "0", "1", "2", "7", "-3", "99999999999", "a", ""};
  for (int i = 0; i < 20'000; ++i) {
    KeySpec spec;
    spec.begin = random.OneIn(2) ? KeySpec::Begin::kIndex : KeySpec::Begin::kKeyword;
    spec.begin_index = static_cast<int16_t>(1 + random.Below(4));
    if (spec.begin == KeySpec::Begin::kKeyword && random.OneIn(2)) {
      spec.begin_index = static_cast<int16_t>(-spec.begin_index);
    }
    spec.keyword = "KEYS";
    spec.find = random.OneIn(2) ? KeySpec::Find::kRange : KeySpec::Find::kKeyNum;
    spec.last = static_cast<int16_t>(static_cast<int>(random.Below(7)) - 3);
    spec.step = static_cast<int16_t>(1 + random.Below(3));
    spec.limit = static_cast<int16_t>(random.Below(4));
    spec.keynum_index = static_cast<int16_t>(random.Below(3));
    spec.first_key = static_cast<int16_t>(1 + random.Below(3));
    std::vector<std::string_view> args = {"x"};
    for (size_t count = random.Below(9); count > 0; --count)
      args.push_back(words[random.Below(std::size(words))]);
    auto found = KeysOf({spec}, args);
    if (found) EXPECT_LE(found->size(), args.size());
  }
}

// ---- texts

TEST(ErrorTexts, AreRedisOwn) {
  std::vector<std::string_view> args = {"foo", "bar", "baz"};
  EXPECT_EQ(UnknownCommandText(args), "ERR unknown command 'foo', with args beginning with: 'bar' 'baz' ");
  EXPECT_EQ(UnknownCommandText(std::span(args).first(1)),
            "ERR unknown command 'foo', with args beginning with: ");
  EXPECT_EQ(WrongArityText("client|setname"), "ERR wrong number of arguments for 'client|setname' command");
  EXPECT_EQ(UnknownSubcommandText("bar", "config"), "ERR unknown subcommand 'bar'. Try CONFIG HELP.");
}

TEST(ErrorTexts, StayShortForLongArguments) {
  std::string name(100'000, 'n');
  std::string argument(100'000, 'a');
  std::vector<std::string_view> args = {name, argument, argument};
  EXPECT_LT(UnknownCommandText(args).size(), 400u);
  EXPECT_LT(UnknownSubcommandText(name, "config").size(), 250u);
}

// ---- cursor

TEST(ScanCursor, RoundTripsBelow2To53) {
  base::Random random(5);
  for (int i = 0; i < 1000; ++i) {
    ScanCursor cursor{random.Below(256), random.Next() & ((uint64_t{1} << ScanCursor::kPositionBits) - 1)};
    EXPECT_LT(cursor.value(), uint64_t{1} << 53);
    auto parsed = ScanCursor::Parse(std::to_string(cursor.value()));
    ASSERT_TRUE(parsed.has_value());
    EXPECT_EQ(parsed->shard, cursor.shard);
    EXPECT_EQ(parsed->position, cursor.position);
  }
}

TEST(ScanCursor, TakesWhatStrtoulTakesButNoSpace) {
  EXPECT_TRUE(ScanCursor::Parse("0").has_value());
  EXPECT_TRUE(ScanCursor::Parse("18446744073709551615").has_value());
  for (std::string_view text :
       {"-", "+", "+-1", "a", "1 ", " 1", "18446744073709551616", "1.0", "0x1", "999999999999999999999999"}) {
    EXPECT_FALSE(ScanCursor::Parse(text).has_value()) << text;
  }
  using namespace std::string_view_literals;
  for (std::string_view text :
       {""sv, "-0"sv, "+0"sv, "0\0junk"sv, "\0"sv, "00000000000000000000000000000000"sv}) {
    auto parsed = ScanCursor::Parse(text);
    ASSERT_TRUE(parsed.has_value()) << text;
    EXPECT_EQ(parsed->value(), 0u) << text;
  }
  EXPECT_EQ(ScanCursor::Parse("+7")->position, 7u);
  EXPECT_EQ(ScanCursor::Parse("-1")->shard, ~uint64_t{0} >> ScanCursor::kPositionBits);
}

}  // namespace
}  // namespace moonshard::command
