#include "resp/parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/random.h"
#include "resp/reference_parser.h"

namespace moonshard::resp {
namespace {

using namespace std::string_view_literals;  // NOLINT: texts with zero bytes
using reference::Command;
using reference::Parsed;

constexpr std::string_view kPrefix = "ERR Protocol error: ";

Parsed ParseWhole(std::string_view input, const ParserLimits& limits = {}) {
  return reference::ParseInPieces(input, {}, limits);
}

std::vector<size_t> EveryByte(std::string_view input) {
  std::vector<size_t> cuts;
  for (size_t i = 0; i < input.size(); ++i) cuts.push_back(i);
  return cuts;
}

// Every rule below was observed on Redis 7.0.15: the reply of a server to these bytes, or its silence.
struct Case {
  std::string_view input;
  std::vector<Command> commands;
  std::string_view error = {};  // without kPrefix
  size_t left = 0;              // bytes that wait for more
};

const Case kCases[] = {
    {"", {}},
    {"*1\r\n$4\r\nPING\r\n", {{"PING"}}},
    {"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$0\r\n\r\n", {{"SET", "a", ""}}},
    {"*2\r\n$4\r\nECHO\r\n$12\r\n0123456789ab\r\n*1\r\n$4\r\nPING\r\n", {{"ECHO", "0123456789ab"}, {"PING"}}},
    {"*1\r\n$4\rXPINGZZPING\r\n", {{"PING"}, {"PING"}}},
    {"*1\rX$4\r\nPING\r\nPING\n", {{"PING"}, {"PING"}}},
    {"*1\r\n$4\r\n\r\n\r\n\r\n", {{"\r\n\r\n"}}},
    // Empty commands.
    {"*0\r\n*-1\r\nPING\n", {{"PING"}}},
    {"*-5\r\nPING\r\n", {{"PING"}}},
    {"\r\n\n \t\r\nPING\r\n", {{"PING"}}},
    {"\r\n\r\n", {}},
    // Counts and lengths.
    {"*2147483647\r\n", {}, {}, 13},
    {"*2147483648\r\n", {}, "invalid multibulk length", 13},
    {"*99999999999999999999999\r\n", {}, "invalid multibulk length", 26},
    {"*01\r\n", {}, "invalid multibulk length", 5},
    {"*00\r\n", {}, "invalid multibulk length", 5},
    {"*\r\n", {}, "invalid multibulk length", 3},
    {"*+1\r\n", {}, "invalid multibulk length", 5},
    {"* 1\r\n", {}, "invalid multibulk length", 5},
    {"*-0\r\n", {}, "invalid multibulk length", 5},
    {"*1a\r\n", {}, "invalid multibulk length", 5},
    {"*1\n$4\nPING\n\r\n", {}, "invalid multibulk length", 13},
    {"*1\r\n$536870912\r\n", {}, {}, 16},
    {"*1\r\n$536870913\r\n", {}, "invalid bulk length", 16},
    {"*1\r\n$-1\r\n", {}, "invalid bulk length", 9},
    {"*1\r\n$\r\n", {}, "invalid bulk length", 7},
    {"*1\r\n$04\r\nPING\r\n", {}, "invalid bulk length", 15},
    {"*1\r\n$004\r\nPING\r\n", {}, "invalid bulk length", 16},
    {"*1\r\n$1x\r\nPING\r\n", {}, "invalid bulk length", 15},
    {"*1\r\n$12x\r\nPING\r\n", {}, "invalid bulk length", 16},
    {"*1\r\n:4\r\n", {}, "expected '$', got ':'", 8},
    {"*1\r\n\n\r\n", {}, "expected '$', got ' '", 7},
    {"*1\r\n\r\n\r\n", {}, "expected '$', got ' '", 8},
    {"*1\r\n\xff\r\n", {}, "expected '$', got '\xff'", 7},
    {"*1\r\nX\xffP", {}, {}, 7},
    {"PING\r\n*1\r\n$4\r\nPING\r\n*x\r\n", {{"PING"}, {"PING"}}, "invalid multibulk length", 4},
    // A zero byte hides the end of its line.
    {"*1\0\r\nPING\r\n"sv, {}, {}, 11},
    {"PI\0NG\r\nPING\r\n"sv, {}, {}, 13},
    {"*1\r\n\0$4\r\n"sv, {}, {}, 9},
    {"*1\r\n$4\r\nP\0NG\r\n"sv, {{std::string("P\0NG", 4)}}},
    // Inline commands.
    {"PING\r\r\n", {{"PING"}}},
    {"ECHO \"a\\x41\\n\"\r\n", {{"ECHO", "aA\n"}}},
    {"ECHO 'a\\'b'\r\n", {{"ECHO", "a'b"}}},
    {"ECHO a\"b c\"\r\n", {{"ECHO", "ab c"}}},
    {"ECHO \"\\x4\"\n", {{"ECHO", "x4"}}},
    {"ECHO \"\\r\\t\\b\\a\\q\\\"\\\\\"\n", {{"ECHO", "\r\t\b\aq\"\\"}}},
    {"ECHO ''\n", {{"ECHO", ""}}},
    {"ECHO '\\n'\n", {{"ECHO", "\\n"}}},
    {"ECHO a\vb\r\n", {{"ECHO", "a\vb"}}},
    {"\v\fECHO a\fb\r\n", {{"ECHO", "a\fb"}}},
    {"ECHO \"a\"\v\"b\"\n", {{"ECHO", "a", "b"}}},
    {"ECHO a\rb\n", {{"ECHO", "a", "b"}}},
    {"ECHO \"a\"b\r\n", {}, "unbalanced quotes in request", 11},
    {"ECHO \"abc\r\n", {}, "unbalanced quotes in request", 11},
    {"ECHO 'abc\r\n", {}, "unbalanced quotes in request", 11},
    {"ECHO \\\"a\n", {}, "unbalanced quotes in request", 9},
    {"ECHO \"\\\n", {}, "unbalanced quotes in request", 8},
    {"ECHO \"\\", {}, {}, 7},
};

TEST(CommandParser, AnswersAsRedisDoes) {
  for (const Case& c : kCases) {
    Parsed expected{c.commands, {}, c.input.size() - c.left};
    if (!c.error.empty()) expected.error = std::string(kPrefix) + std::string(c.error);
    for (const Parsed& parsed : {ParseWhole(c.input), reference::ParseAll(c.input)}) {
      EXPECT_EQ(parsed.commands, expected.commands) << c.input;
      EXPECT_EQ(parsed.error, expected.error) << c.input;
      EXPECT_EQ(parsed.consumed, expected.consumed) << c.input;
    }
  }
}

TEST(CommandParser, SplitAtEveryByteAndIntoBytes) {
  for (const Case& c : kCases) {
    Parsed expected = reference::ParseAll(c.input);
    for (size_t cut = 0; cut <= c.input.size(); ++cut) {
      ASSERT_EQ(reference::ParseInPieces(c.input, {cut}), expected) << c.input << " cut at " << cut;
    }
    ASSERT_EQ(reference::ParseInPieces(c.input, EveryByte(c.input)), expected) << c.input;
  }
}

}  // namespace
}  // namespace moonshard::resp
