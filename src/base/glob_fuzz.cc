// GlobMatch against a direct transcription of the rules that tries every length for every '*'.
// Input: one byte of flags, then pattern and text split at the first zero byte (or in the middle).

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/glob.h"

namespace moonshard::base {
namespace {

// One element of a parsed pattern, as a set of 256 bytes. The parse is per element, the matcher knows nothing
// of syntax.
struct Element {
  bool star = false;
  bool accepts[256] = {};
};

int Signed(char c) {
  return static_cast<signed char>(c);
}

Element ClassElement(std::string_view body, bool inverted, bool fold) {
  Element element;
  for (int byte = 0; byte < 256; ++byte) {
    char c = static_cast<char>(byte);
    bool in = false;
    for (size_t i = 0; i < body.size(); ++i) {
      if (body[i] == '\\' && i + 1 < body.size()) {
        in |= body[++i] == c;
      } else if (i + 2 < body.size() && body[i + 1] == '-') {
        char low = body[i], high = body[i + 2];
        if (Signed(low) > Signed(high)) std::swap(low, high);
        char probe = c;
        if (fold) low = ToLower(low), high = ToLower(high), probe = ToLower(probe);
        in |= Signed(probe) >= Signed(low) && Signed(probe) <= Signed(high);
        i += 2;
      } else {
        in |= fold ? ToLower(body[i]) == ToLower(c) : body[i] == c;
      }
    }
    element.accepts[byte] = in != inverted;
  }
  return element;
}

// The end of a class body: the first ']' that is neither escaped nor the upper end of a range.
size_t ClassEnd(std::string_view pattern, size_t from) {
  while (from < pattern.size()) {
    size_t left = pattern.size() - from;
    if (pattern[from] == '\\' && left >= 2) {
      from += 2;
    } else if (pattern[from] == ']') {
      return from;
    } else {
      from += left >= 3 && pattern[from + 1] == '-' ? 3 : 1;
    }
  }
  return pattern.size();
}

std::vector<Element> Parse(std::string_view pattern, bool fold) {
  std::vector<Element> elements;
  for (size_t at = 0; at < pattern.size();) {
    Element element;
    if (pattern[at] == '*') {
      element.star = true;
      ++at;
    } else if (pattern[at] == '?') {
      std::fill(std::begin(element.accepts), std::end(element.accepts), true);
      ++at;
    } else if (pattern[at] == '[') {
      ++at;
      bool inverted = at < pattern.size() && pattern[at] == '^';
      if (inverted) ++at;
      size_t end = ClassEnd(pattern, at);
      element = ClassElement(pattern.substr(at, end - at), inverted, fold);
      at = std::min(end + 1, pattern.size());
    } else {
      if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
      for (int byte = 0; byte < 256; ++byte) {
        char c = static_cast<char>(byte);
        element.accepts[byte] = fold ? ToLower(c) == ToLower(pattern[at]) : c == pattern[at];
      }
      ++at;
    }
    elements.push_back(element);
  }
  return elements;
}

bool MatchFrom(const std::vector<Element>& elements, size_t at, std::string_view text) {
  if (at == elements.size()) return text.empty();
  if (elements[at].star) {
    for (size_t length = 0; length <= text.size(); ++length) {
      if (MatchFrom(elements, at + 1, text.substr(length))) return true;
    }
    return false;
  }
  if (text.empty() || !elements[at].accepts[static_cast<unsigned char>(text[0])]) return false;
  return MatchFrom(elements, at + 1, text.substr(1));
}

void Compare(std::string_view pattern, std::string_view text, CaseMode mode) {
  bool expected =
      text.empty() ? pattern.empty() : MatchFrom(Parse(pattern, mode == CaseMode::kIgnore), 0, text);
  MS_CHECK(GlobMatch(pattern, text, mode) == expected);
  if (GlobIsLiteral(pattern) && mode == CaseMode::kExact) MS_CHECK(expected == (pattern == text));
}

}  // namespace
}  // namespace moonshard::base

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // The reference is exponential in the stars: 24 bytes keep it below a millisecond.
  constexpr size_t kBytesMax = 24;
  if (size == 0 || size > kBytesMax) return 0;
  std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto mode = (data[0] & 1) != 0 ? moonshard::base::CaseMode::kIgnore : moonshard::base::CaseMode::kExact;
  size_t split = input.find('\0');
  if (split == std::string_view::npos) split = input.size() / 2;
  std::string_view text = input.substr(split);
  if (!text.empty() && text[0] == '\0') text.remove_prefix(1);
  moonshard::base::Compare(input.substr(0, split), text, mode);
  return 0;
}
