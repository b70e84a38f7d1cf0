#include "base/glob.h"

#include <cstddef>
#include <utility>

#include "base/bytes.h"

namespace moonshard::base {

namespace {

char Fold(char c, CaseMode mode) {
  return mode == CaseMode::kIgnore ? ToLower(c) : c;
}

// `low` and `high` are ordered before they are folded, as in Redis: with case ignored, [Z-a] becomes the
// empty z..a.
bool InRange(char low, char high, char c, CaseMode mode) {
  if (low > high) std::swap(low, high);
  auto value = static_cast<signed char>(Fold(c, mode));
  return value >= static_cast<signed char>(Fold(low, mode)) &&
         value <= static_cast<signed char>(Fold(high, mode));
}

// Matches `c` against the class that opens at `pattern[at]`; moves `at` behind the class.
bool MatchClass(std::string_view pattern, size_t& at, char c, CaseMode mode) {
  ++at;
  bool inverted = at < pattern.size() && pattern[at] == '^';
  if (inverted) ++at;
  bool matched = false;
  while (at < pattern.size() && pattern[at] != ']') {
    size_t left = pattern.size() - at;
    if (pattern[at] == '\\' && left >= 2) {
      matched |= pattern[at + 1] == c;
      at += 2;
    } else if (left >= 3 && pattern[at + 1] == '-') {
      matched |= InRange(pattern[at], pattern[at + 2], c, mode);
      at += 3;
    } else {
      matched |= Fold(pattern[at], mode) == Fold(c, mode);
      ++at;
    }
  }
  if (at < pattern.size()) ++at;
  return matched != inverted;
}

// Matches `c` against the element at `pattern[at]`, which is not '*'; moves `at` behind the element on
// success.
bool MatchOne(std::string_view pattern, size_t& at, char c, CaseMode mode) {
  switch (pattern[at]) {
    case '?':
      ++at;
      return true;
    case '[':
      return MatchClass(pattern, at, c, mode);
    case '\\':
      if (at + 1 < pattern.size()) ++at;
      [[fallthrough]];
    default:
      return Fold(pattern[at++], mode) == Fold(c, mode);
  }
}

}  // namespace

bool GlobMatch(std::string_view pattern, std::string_view text, CaseMode mode) {
  if (text.empty()) return pattern.empty();
  constexpr size_t kNone = std::string_view::npos;
  size_t at = 0;        // in the pattern
  size_t taken = 0;     // of the text
  size_t star = kNone;  // behind the last '*' seen
  size_t retry = 0;     // where the text behind that '*' starts in this attempt
  while (taken < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = ++at;
      if (star == pattern.size()) return true;
      retry = taken;
    } else if (at < pattern.size() && MatchOne(pattern, at, text[taken], mode)) {
      ++taken;
    } else if (star != kNone) {
      at = star;
      taken = ++retry;
    } else {
      return false;
    }
  }
  return pattern.substr(at).find_first_not_of('*') == kNone;
}

bool GlobIsLiteral(std::string_view pattern) {
  return pattern.find_first_of("*?[\\") == std::string_view::npos;
}

}  // namespace moonshard::base
