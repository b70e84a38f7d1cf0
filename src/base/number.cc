#include "base/number.h"

#include <cstring>
#include <limits>

namespace moonshard::base {

namespace {
constexpr char kPairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051"
    "525354"
    "5556575859606162636465666768697071727374757677787980818283848586878889909192939495969798990";

size_t DigitCount(uint64_t value) {
  size_t count = 1;
  for (;;) {
    if (value < 10) return count;
    if (value < 100) return count + 1;
    if (value < 1000) return count + 2;
    if (value < 10000) return count + 3;
    value /= 10000;
    count += 4;
  }
}
}  // namespace

std::optional<int64_t> ParseInt64(std::string_view text) {
  if (text.empty() || text.size() > kMaxInt64Chars) return std::nullopt;
  size_t at = 0;
  bool negative = text[0] == '-';
  if (negative) at = 1;
  if (at == text.size()) return std::nullopt;
  if (text[at] == '0') {
    if (text.size() != 1) return std::nullopt;  // "-0" and leading zeros
    return 0;
  }
  uint64_t value = 0;
  for (; at < text.size(); ++at) {
    unsigned digit = static_cast<unsigned char>(text[at]) - unsigned{'0'};
    if (digit > 9) return std::nullopt;
    if (__builtin_mul_overflow(value, uint64_t{10}, &value)) return std::nullopt;
    if (__builtin_add_overflow(value, uint64_t{digit}, &value)) return std::nullopt;
  }
  constexpr uint64_t kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (negative) {
    if (value > kMax + 1) return std::nullopt;
    return static_cast<int64_t>(0 - value);
  }
  if (value > kMax) return std::nullopt;
  return static_cast<int64_t>(value);
}

size_t FormatUint64(uint64_t value, char* to) {
  size_t count = DigitCount(value);
  size_t at = count;
  while (value >= 100) {
    at -= 2;
    std::memcpy(to + at, kPairs + (value % 100) * 2, 2);
    value /= 100;
  }
  if (value >= 10) {
    std::memcpy(to, kPairs + value * 2, 2);
  } else {
    *to = static_cast<char>('0' + value);
  }
  return count;
}

size_t FormatInt64(int64_t value, char* to) {
  if (value >= 0) return FormatUint64(static_cast<uint64_t>(value), to);
  *to = '-';
  return 1 + FormatUint64(0 - static_cast<uint64_t>(value), to + 1);
}

}  // namespace moonshard::base
