#include "resp/parser.h"

#include <gtest/gtest.h>
#include <malloc.h>

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

TEST(CommandParser, LineLengthLimitsDependOnTheBytesAlone) {
  constexpr size_t kMax = 64 << 10;
  const std::string prefix(kPrefix);
  struct Sized {
    std::string before;
    char fill;
    std::string after;
    std::string_view error_name;
  };
  // A line may be kMax bytes long, its terminator not counted.
  for (const Sized& sized :
       {Sized{"", 'A', "\n", "too big inline request"}, Sized{"*", '1', "\r\n", "too big mbulk count string"},
        Sized{"*1\r\n$", '1', "\r\n", "too big bulk count string"}}) {
    size_t line_begin = sized.before.rfind('\n') == std::string::npos ? 0 : sized.before.rfind('\n') + 1;
    std::string fits = sized.before;
    fits.resize(line_begin + kMax, sized.fill);
    Parsed waiting = ParseWhole(fits);
    EXPECT_EQ(waiting.error, "");
    Parsed complete = ParseWhole(fits + sized.after);
    EXPECT_EQ(complete.error.find("too big"), std::string::npos) << complete.error;
    std::string exceeds = fits + sized.fill;
    for (const std::string& input : {exceeds, exceeds + sized.after}) {
      for (const std::vector<size_t>& cuts : {std::vector<size_t>{}, {100}, {kMax}, {kMax + 1}}) {
        EXPECT_EQ(reference::ParseInPieces(input, cuts).error, prefix + std::string(sized.error_name));
      }
      EXPECT_EQ(reference::ParseAll(input).error, prefix + std::string(sized.error_name));
    }
  }
  // A line that a zero byte hides is too long like any other.
  std::string hidden = "PING" + std::string(1, '\0') + "\n" + std::string(kMax - 6, 'x');
  EXPECT_EQ(ParseWhole(hidden).error, "");
  EXPECT_EQ(ParseWhole(hidden + "x").error, prefix + "too big inline request");
  EXPECT_EQ(reference::ParseInPieces(hidden + "x", {3, 4, 5, 6, 7, kMax}).error,
            prefix + "too big inline request");
}

// The replies of a Redis that asks for a password.
TEST(CommandParser, UnauthenticatedLimits) {
  auto error = [](std::string_view input) {
    Parsed parsed = ParseWhole(input, kUnauthenticatedLimits);
    EXPECT_EQ(parsed, reference::ParseAll(input, kUnauthenticatedLimits)) << input;
    return parsed.error.empty() ? "" : parsed.error.substr(kPrefix.size());
  };
  EXPECT_EQ(error("*10\r\n"), "");
  EXPECT_EQ(error("*11\r\n"), "unauthenticated multibulk length");
  EXPECT_EQ(error("*2147483647\r\n"), "unauthenticated multibulk length");
  EXPECT_EQ(error("*2147483648\r\n"), "invalid multibulk length");
  EXPECT_EQ(error("*-1\r\n"), "");
  EXPECT_EQ(error("*1\r\n$16384\r\n"), "");
  EXPECT_EQ(error("*1\r\n$16385\r\n"), "unauthenticated bulk length");
  EXPECT_EQ(error("*1\r\n$536870912\r\n"), "unauthenticated bulk length");
  EXPECT_EQ(error("*1\r\n$536870913\r\n"), "invalid bulk length");
}

TEST(CommandParser, OwnLimits) {
  auto error = [](std::string_view input, const ParserLimits& limits) {
    Parsed parsed = ParseWhole(input, limits);
    EXPECT_EQ(parsed, reference::ParseAll(input, limits)) << input;
    return parsed.error.empty() ? "" : parsed.error.substr(kPrefix.size());
  };
  // Short lengths take a path of their own, which must know the limits too.
  EXPECT_EQ(error("*1\r\n$5\r\nabcde\r\n", {.bulk_bytes_max = 5}), "");
  EXPECT_EQ(error("*1\r\n$6\r\nabcdef\r\n", {.bulk_bytes_max = 5}), "invalid bulk length");
  EXPECT_EQ(error("*2\r\n$1\r\na\r\n$1\r\nb\r\n", {.args_max = 2}), "");
  EXPECT_EQ(error("*3\r\n$1\r\na\r\n$1\r\nb\r\n", {.args_max = 2}), "invalid multibulk length");
  EXPECT_EQ(error("PING\n", {.inline_bytes_max = 4}), "");
  EXPECT_EQ(error("PINGS\n", {.inline_bytes_max = 4}), "too big inline request");
}

TEST(CommandParser, LimitsChangeBetweenCommands) {
  std::string input = "*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n*1\r\n$20000\r\n";
  std::span<char> bytes(input);
  CommandParser parser(kUnauthenticatedLimits);
  ArgVector args;
  size_t consumed = 0;
  ASSERT_EQ(parser.Next(bytes, args, &consumed), CommandParser::Outcome::kCommand);
  parser.set_limits({});
  ASSERT_EQ(parser.Next(bytes.subspan(consumed), args, &consumed), CommandParser::Outcome::kNeedMore);
  parser.Reset();
  parser.set_limits(kUnauthenticatedLimits);
  ASSERT_EQ(parser.Next(bytes.last(12), args, &consumed), CommandParser::Outcome::kError);
}

TEST(CommandParser, WantedBytesCoverTheBulkInProgress) {
  std::string input = "\r\n*2\r\n$3\r\nGET\r\n$100\r\n" + std::string(100, 'x') + "\r\n";
  CommandParser parser;
  ArgVector args;
  size_t consumed = 0;
  size_t begin = 0;
  for (size_t size = 0; size < input.size(); ++size) {
    std::string part = input.substr(begin, size - begin);
    ASSERT_EQ(parser.Next(part, args, &consumed), CommandParser::Outcome::kNeedMore);
    begin += consumed;
    if (size >= 21) {
      EXPECT_EQ(begin, 2u);
      EXPECT_EQ(parser.wanted_bytes(), input.size() - begin) << size;
    } else if (size >= 10 && size < 15) {
      EXPECT_EQ(parser.wanted_bytes(), 13u) << size;
    } else {
      EXPECT_EQ(parser.wanted_bytes(), 0u) << size;
    }
  }
  std::string all = input.substr(begin);
  ASSERT_EQ(parser.Next(all, args, &consumed), CommandParser::Outcome::kCommand);
  EXPECT_EQ(consumed, all.size());
  EXPECT_EQ(parser.wanted_bytes(), 0u);
}

TEST(CommandParser, AppendsCommandAfterCommand) {
  std::string input = "*1\r\n$1\r\na\r\n*0\r\n'b c' d\n*2\r\n$1\r\ne\r\n$1\r\n";
  std::span<char> bytes(input);
  CommandParser parser;
  ArgVector args;
  size_t consumed = 0;
  std::vector<size_t> ends;
  while (parser.Next(bytes, args, &consumed) == CommandParser::Outcome::kCommand) {
    bytes = bytes.subspan(consumed);
    ends.push_back(args.size());
  }
  EXPECT_EQ(ends, (std::vector<size_t>{1, 3}));
  EXPECT_EQ(args, (ArgVector{"a", "b c", "d"}));
  for (std::string_view arg : args) {
    EXPECT_GE(arg.data(), input.data());
    EXPECT_LT(arg.data(), input.data() + input.size());
  }
}

TEST(CommandParser, StaysInErrorUntilReset) {
  std::string bad = "*x\r\n";
  std::string good = "PING\r\n";
  CommandParser parser;
  ArgVector args;
  size_t consumed = 1;
  EXPECT_EQ(parser.error(), "");
  EXPECT_EQ(parser.Next(bad, args, &consumed), CommandParser::Outcome::kError);
  EXPECT_EQ(parser.Next(good, args, &consumed), CommandParser::Outcome::kError);
  EXPECT_EQ(consumed, 0u);
  EXPECT_EQ(parser.error(), "ERR Protocol error: invalid multibulk length");
  parser.Reset();
  EXPECT_EQ(parser.Next(good, args, &consumed), CommandParser::Outcome::kCommand);
  EXPECT_EQ(args, (ArgVector{"PING"}));
}

// Linear however it arrives: at a re-scan per byte this would take hours.
TEST(CommandParser, MillionArgumentsByteByByte) {
  constexpr size_t kArgs = 1 << 20;
  std::string input = "*" + std::to_string(kArgs) + "\r\n";
  for (size_t i = 0; i < kArgs; ++i) input += "$1\r\nx\r\n";
  std::string line(60000, 'y');
  input += line + "\n";
  CommandParser parser;
  ArgVector args;
  size_t consumed = 0;
  size_t begin = 0;
  std::vector<size_t> counts;
  for (size_t end = 1; end <= input.size(); ++end) {
    if (parser.Next({input.data() + begin, end - begin}, args, &consumed) ==
        CommandParser::Outcome::kCommand) {
      counts.push_back(args.size());
      begin = end;
    }
  }
  EXPECT_EQ(counts, (std::vector<size_t>{kArgs, kArgs + 1}));
  EXPECT_TRUE(std::all_of(args.begin(), args.end() - 1, [](std::string_view arg) { return arg == "x"; }));
  EXPECT_EQ(args.back(), line);
}

// mallinfo2 sees nothing under a sanitizer's allocator; the plain build is the one that judges.
TEST(CommandParser, AnnouncedArgumentsCostNothing) {
  auto allocated = [] {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  std::string input = "*2147483647\r\n$3\r\nDEL\r\n$500000000\r\nabc";
  CommandParser parser;
  ArgVector args;
  size_t consumed = 0;
  size_t before = allocated();
  ASSERT_EQ(parser.Next(input, args, &consumed), CommandParser::Outcome::kNeedMore);
  EXPECT_LE(allocated(), before + 1024);
}

// Bytes that lead everywhere: valid commands and fragments of the grammar, now and then with a byte changed.
std::string RandomInput(base::Random& random) {
  static constexpr std::string_view kFragments[] = {
      "\r\n",    "\n",     "\r",     "*",       "$",          "*0\r\n",
      "*-1\r\n", "*1\r\n", "*2\r\n", "*10\r\n", "$0\r\n\r\n", "$3\r\nabc\r\n",
      "PING",    " ",      "\t",     "\v",      "\"",         "'",
      "\\",      "\\x41",  "\\'",    "\\\"",    "\\n",        "a",
      "\0"sv,    "9",      "-"};
  std::string input;
  size_t parts = 1 + random.Below(6);
  for (size_t part = 0; part < parts; ++part) {
    if (random.OneIn(3)) {
      for (size_t n = random.Below(12); n > 0; --n) input += kFragments[random.Below(std::size(kFragments))];
    } else {
      size_t args = 1 + random.Below(random.OneIn(10) ? 120 : 4);
      input += "*" + std::to_string(args) + "\r\n";
      for (size_t arg = 0; arg < args; ++arg) {
        static constexpr size_t kSizes[] = {2, 12, 120, 1200};
        std::string bytes(random.Below(kSizes[random.Below(4)]), static_cast<char>('a' + arg % 26));
        input += "$" + std::to_string(bytes.size()) + "\r\n" + bytes + "\r\n";
      }
    }
    if (!input.empty() && random.OneIn(8)) input[random.Below(input.size())] = "\r\n*$0 "[random.Below(6)];
  }
  return input;
}

TEST(CommandParser, AgreesWithTheReferenceOnRandomInput) {
  const ParserLimits kLimits[] = {
      {}, kUnauthenticatedLimits, {.bulk_bytes_max = 50, .args_max = 3, .inline_bytes_max = 8}};
  size_t commands = 0;
  size_t errors = 0;
  for (uint64_t seed = 1; seed <= 20000; ++seed) {
    base::Random random(seed);
    std::string input = RandomInput(random);
    const ParserLimits& limits = kLimits[random.OneIn(4) ? 1 + random.Below(2) : 0];
    std::vector<size_t> cuts;
    for (size_t n = random.Below(6); n > 0; --n) cuts.push_back(random.Below(input.size() + 1));
    std::sort(cuts.begin(), cuts.end());
    Parsed expected = reference::ParseAll(input, limits);
    ASSERT_EQ(reference::ParseInPieces(input, cuts, limits), expected) << "seed " << seed << "\n" << input;
    commands += expected.commands.size();
    errors += expected.error.empty() ? 0 : 1;
  }
  // The generator must not degenerate.
  EXPECT_GT(commands, 20000u);
  EXPECT_GT(errors, 1000u);
}

TEST(SplitArgsInPlace, AgreesWithTheReference) {
  static constexpr std::string_view kFragments[] = {"\"", "'",  "\\", "\\x4", "\\x", "1",   "f",
                                                    " ",  "\v", "\r", "n",    "q",   "\xff"};
  base::Random random(5);
  size_t refused = 0;
  for (int i = 0; i < 200000; ++i) {
    std::string line;
    for (size_t n = random.Below(12); n > 0; --n) line += kFragments[random.Below(std::size(kFragments))];
    std::optional<Command> expected = reference::SplitLine(line);
    std::string spoiled = line;
    ArgVector args = {"kept"};
    ASSERT_EQ(SplitArgsInPlace(spoiled, args), expected.has_value()) << line;
    Command words(args.begin() + 1, args.end());
    ASSERT_EQ(words, expected.value_or(Command())) << line;
    refused += expected.has_value() ? 0 : 1;
  }
  EXPECT_GT(refused, 20000u);
  EXPECT_LT(refused, 180000u);
}

TEST(SplitArgsInPlace, ZeroByteEndsTheLine) {
  std::string line("a b\0c \"", 7);
  ArgVector args;
  EXPECT_TRUE(SplitArgsInPlace(line, args));
  EXPECT_EQ(args, (ArgVector{"a", "b"}));
}

}  // namespace
}  // namespace moonshard::resp
