#include "base/glob.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace moonshard::base {
namespace {

// The examples of Redis' documentation of KEYS.
TEST(Glob, ExamplesOfTheDocumentation) {
  for (std::string_view text : {"hello", "hallo", "hxllo"}) EXPECT_TRUE(GlobMatch("h?llo", text)) << text;
  EXPECT_FALSE(GlobMatch("h?llo", "hllo"));
  for (std::string_view text : {"hllo", "heeeello"}) EXPECT_TRUE(GlobMatch("h*llo", text)) << text;
  for (std::string_view text : {"hello", "hallo"}) EXPECT_TRUE(GlobMatch("h[ae]llo", text)) << text;
  EXPECT_FALSE(GlobMatch("h[ae]llo", "hillo"));
  for (std::string_view text : {"hallo", "hbllo"}) EXPECT_TRUE(GlobMatch("h[^e]llo", text)) << text;
  EXPECT_FALSE(GlobMatch("h[^e]llo", "hello"));
  for (std::string_view text : {"hallo", "hbllo"}) EXPECT_TRUE(GlobMatch("h[a-b]llo", text)) << text;
  EXPECT_FALSE(GlobMatch("h[a-b]llo", "hcllo"));
}

TEST(Glob, StarsTakeAnyRun) {
  EXPECT_TRUE(GlobMatch("*", "a"));
  EXPECT_TRUE(GlobMatch("**", "a"));
  EXPECT_TRUE(GlobMatch("a*", "a"));
  EXPECT_TRUE(GlobMatch("a***", "a"));
  EXPECT_TRUE(GlobMatch("*a*b*c", "xxaxxbxxabc"));
  EXPECT_TRUE(GlobMatch("*ab", "aab"));
  EXPECT_FALSE(GlobMatch("*ab", "aba"));
  EXPECT_FALSE(GlobMatch("a*b", "a"));
  EXPECT_FALSE(GlobMatch("?*", ""));
}

TEST(Glob, EmptyTextMatchesTheEmptyPatternOnly) {
  EXPECT_TRUE(GlobMatch("", ""));
  EXPECT_FALSE(GlobMatch("*", ""));
  EXPECT_FALSE(GlobMatch("", "a"));
}

TEST(Glob, EscapesTakeTheByteItself) {
  EXPECT_TRUE(GlobMatch("\\*", "*"));
  EXPECT_FALSE(GlobMatch("\\*", "a"));
  EXPECT_TRUE(GlobMatch("a\\?b", "a?b"));
  EXPECT_FALSE(GlobMatch("a\\?b", "axb"));
  EXPECT_TRUE(GlobMatch("\\\\", "\\"));
  EXPECT_TRUE(GlobMatch("a\\", "a\\"));  // a backslash at the end stands for itself
  EXPECT_TRUE(GlobMatch("[\\]]", "]"));
  EXPECT_TRUE(GlobMatch("[\\-x]", "-"));
  EXPECT_TRUE(GlobMatch("\\[a]", "[a]"));
}

TEST(Glob, ClassesInTheirOddForms) {
  EXPECT_FALSE(GlobMatch("[]", "a"));
  EXPECT_FALSE(GlobMatch("[]a]", "a"));  // the first ']' closes: the class is empty
  EXPECT_TRUE(GlobMatch("[^]", "a"));    // nothing is excluded
  EXPECT_FALSE(GlobMatch("[", "["));
  EXPECT_TRUE(GlobMatch("[^", "x"));
  EXPECT_TRUE(GlobMatch("[ab", "b"));  // unterminated: ends with the pattern
  EXPECT_TRUE(GlobMatch("[a-", "-"));
  EXPECT_TRUE(GlobMatch("[a^]", "^"));
  EXPECT_TRUE(GlobMatch("[z-a]", "m"));  // swapped ends
  EXPECT_TRUE(GlobMatch("[a-]", "]"));   // ']' is the end of the range
  EXPECT_TRUE(GlobMatch("[a-]", "^"));
  EXPECT_TRUE(GlobMatch("[\\", "\\"));
  EXPECT_TRUE(GlobMatch("[\x80-\xff]", "\x90"));
  EXPECT_TRUE(GlobMatch("[a-\xff]", "A"));  // signed bytes: -1..'a'
  EXPECT_FALSE(GlobMatch("[a-\xff]", "\x90"));
}

TEST(Glob, IgnoresCaseOnRequest) {
  EXPECT_TRUE(GlobMatch("MaxMem*", "maxmemory", CaseMode::kIgnore));
  EXPECT_FALSE(GlobMatch("MaxMem*", "maxmemory"));
  EXPECT_TRUE(GlobMatch("[A-C]x", "bX", CaseMode::kIgnore));
  EXPECT_TRUE(GlobMatch("[Q]", "q", CaseMode::kIgnore));
  EXPECT_FALSE(GlobMatch("[\\Q]", "q", CaseMode::kIgnore));  // an escaped byte in a class keeps its case
  EXPECT_TRUE(GlobMatch("\\Q", "q", CaseMode::kIgnore));
  EXPECT_FALSE(GlobMatch("[Z-a]", "z", CaseMode::kIgnore));  // z..a after folding
}

TEST(Glob, ZeroBytesAreBytes) {
  using namespace std::string_view_literals;
  EXPECT_TRUE(GlobMatch("a\0*"sv, "a\0b"sv));
  EXPECT_FALSE(GlobMatch("a\0c"sv, "a\0b"sv));
}

// Recursion over the stars would need more steps than there are atoms in the room.
TEST(Glob, ManyStarsStayCheap) {
  std::string pattern;
  for (int i = 0; i < 500; ++i) pattern += "a*";
  pattern += 'b';
  std::string text(20000, 'a');
  auto started = std::chrono::steady_clock::now();
  EXPECT_FALSE(GlobMatch(pattern, text));
  EXPECT_FALSE(GlobMatch("*" + pattern, text));
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(2));
}

TEST(Glob, LiteralPatternsAreRecognised) {
  EXPECT_TRUE(GlobIsLiteral("user:1"));
  EXPECT_TRUE(GlobIsLiteral(""));
  for (std::string_view pattern : {"*", "a?", "[a]", "a\\b"}) EXPECT_FALSE(GlobIsLiteral(pattern)) << pattern;
}

}  // namespace
}  // namespace moonshard::base
