#include "base/long_double.h"

#include <cerrno>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "base/number.h"

namespace moonshard::base {

namespace {

constexpr int kFractionDigits = 17;
constexpr uint64_t kFractionScale = 100'000'000'000'000'000;  // 10^17
// With a mantissa of 64 bits an integer below 2^64 and a power of ten up to 10^27 are exact, so that one
// division rounds as strtold would. Others take the long way.
constexpr bool kExactWords = LDBL_MANT_DIG == 64;

// "12", "-3.25": at most 19 digits in all.
std::optional<long double> ParsePlain(std::string_view text) {
  constexpr size_t kDigitsMax = 19;
  size_t at = text.starts_with('-') ? 1 : 0;
  uint64_t digits = 0;
  size_t count = 0;
  size_t behind_point = 0;
  bool seen_point = false;
  for (; at < text.size(); ++at) {
    if (text[at] == '.' && !seen_point) {
      seen_point = true;
      continue;
    }
    const unsigned digit = static_cast<unsigned char>(text[at]) - unsigned{'0'};
    if (digit > 9 || ++count > kDigitsMax) return std::nullopt;
    digits = digits * 10 + digit;
    behind_point += seen_point;
  }
  if (count == 0) return std::nullopt;
  auto value = static_cast<long double>(digits);
  if (behind_point != 0) {
    long double scale = 1;
    for (size_t i = 0; i < behind_point; ++i) scale *= 10;
    value /= scale;
  }
  return text[0] == '-' ? -value : value;
}

// Exact, with a tie to the even digit as printf has it. 0 if the value is not one of the common ones.
size_t FormatPlain(long double value, char* to) {
  const long double magnitude = std::fabs(value);
  if (!(magnitude < 0x1p63L)) return 0;
  auto whole = static_cast<uint64_t>(magnitude);
  const long double fraction = magnitude - static_cast<long double>(whole);
  uint64_t digits = 0;
  if (fraction != 0) {
    int exponent = 0;
    const long double mantissa = std::frexp(fraction, &exponent);
    const int shift = 64 - exponent;  // fraction == word / 2^shift
    if (shift > 126) return 0;
    const auto word = static_cast<uint64_t>(std::ldexp(mantissa, 64));
    const auto product = static_cast<unsigned __int128>(word) * kFractionScale;
    const auto rest = product & ((static_cast<unsigned __int128>(1) << shift) - 1);
    const auto half = static_cast<unsigned __int128>(1) << (shift - 1);
    digits = static_cast<uint64_t>(product >> shift);
    if (rest > half || (rest == half && digits % 2 != 0)) ++digits;
    if (digits == kFractionScale) {
      digits = 0;
      ++whole;
    }
  }
  char* end = to;
  if (std::signbit(value) && (whole != 0 || digits != 0)) *end++ = '-';
  end += FormatUint64(whole, end);
  if (digits == 0) return static_cast<size_t>(end - to);
  *end++ = '.';
  char text[kMaxInt64Chars];
  const size_t count = FormatUint64(digits, text);
  std::memset(end, '0', kFractionDigits - count);
  std::memcpy(end + kFractionDigits - count, text, count);
  end += kFractionDigits;
  while (end[-1] == '0') --end;
  return static_cast<size_t>(end - to);
}

}  // namespace

std::optional<long double> ParseLongDouble(std::string_view text) {
  if constexpr (kExactWords) {
    if (auto plain = ParsePlain(text)) return plain;
  }
  if (text.empty() || text.size() > kLongDoubleTextMax) return std::nullopt;
  char copy[kLongDoubleTextMax + 1];
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = '\0';
  // What strtold would skip.
  if (text[0] == ' ' || (text[0] >= '\t' && text[0] <= '\r')) return std::nullopt;
  errno = 0;
  char* end = nullptr;
  const long double value = std::strtold(copy, &end);
  if (end != copy + text.size() || end == copy || std::isnan(value)) return std::nullopt;
  if (errno == ERANGE && (std::isinf(value) || value == 0)) return std::nullopt;
  return value;
}

size_t FormatLongDouble(long double value, char* to) {
  MS_DCHECK(std::isfinite(value));
  if constexpr (kExactWords) {
    if (size_t size = FormatPlain(value, to)) return size;
  }
  int written = std::snprintf(to, kLongDoubleCharsMax, "%.17Lf", value);
  MS_CHECK(written > kFractionDigits && static_cast<size_t>(written) < kLongDoubleCharsMax);
  auto size = static_cast<size_t>(written);
  while (to[size - 1] == '0') --size;
  if (to[size - 1] == '.') --size;
  if (size == 2 && to[0] == '-' && to[1] == '0') {
    to[0] = '0';
    size = 1;
  }
  return size;
}

}  // namespace moonshard::base
