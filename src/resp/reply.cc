#include "resp/reply.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace moonshard::resp {

namespace {

// Below this every whole double has at most 17 digits, and "%.17g" prints them all without an exponent.
constexpr double kWholeMax = 1e17;

void ReplaceLineBreaks(char* begin, char* end) {
  std::replace_if(begin, end, [](char c) { return c == '\r' || c == '\n'; }, ' ');
}

std::string_view WithoutEndingBreaks(std::string_view text) {
  return text.substr(0, text.find_last_not_of("\r\n") + 1);
}

}  // namespace

namespace internal {

char* PutLongHeader(char* to, char type, uint64_t n) {
  *to++ = type;
  to += base::FormatUint64(n, to);
  *to++ = '\r';
  *to++ = '\n';
  return to;
}

}  // namespace internal

size_t FormatDouble(double value, char* to) {
  // Whole scores are the common case, and much cheaper as integers. -0.0 prints as "-0".
  if (std::fabs(value) < kWholeMax && value == std::trunc(value) && !(value == 0 && std::signbit(value))) {
    return base::FormatInt64(static_cast<int64_t>(value), to);
  }
  std::to_chars_result result =
      std::to_chars(to, to + kDoubleCharsMax, value, std::chars_format::general, 17);
  MS_DCHECK(result.ec == std::errc());
  return static_cast<size_t>(result.ptr - to);
}

void Reply::Line(char type, std::string_view text) {
  char* begin = out_.Reserve(text.size() + 3);
  *begin = type;
  char* end = internal::PutBytes(begin + 1, text.data(), text.size());
  ReplaceLineBreaks(begin + 1, end);
  end[0] = '\r';
  end[1] = '\n';
  out_.Commit(text.size() + 3);
}

void Reply::ErrorLine(std::string_view line) {
  Line('-', WithoutEndingBreaks(line));
}

void Reply::Error(const base::Status& status) {
  std::string_view prefix = base::RespPrefix(status.code());
  std::string_view text = WithoutEndingBreaks(status.text());
  size_t size = 1 + prefix.size() + 1 + text.size() + 2;
  char* begin = out_.Reserve(size);
  *begin = '-';
  char* end = internal::PutBytes(begin + 1, prefix.data(), prefix.size());
  *end++ = ' ';
  char* text_begin = end;
  end = internal::PutBytes(end, text.data(), text.size());
  ReplaceLineBreaks(text_begin, end);
  end[0] = '\r';
  end[1] = '\n';
  out_.Commit(size);
}

void Reply::BulkInteger(int64_t value) {
  char digits[base::kMaxInt64Chars];
  Bulk({digits, base::FormatInt64(value, digits)});
}

void Reply::Double(double value) {
  char digits[kDoubleCharsMax];
  std::string_view text(digits, FormatDouble(value, digits));
  resp3() ? Line(',', text) : Bulk(text);
}

void Reply::BigNumber(std::string_view digits) {
  resp3() ? Line('(', digits) : Bulk(digits);
}

void Reply::Verbatim(std::string_view format3, std::string_view text) {
  if (!resp3()) return Bulk(text);
  constexpr size_t kFormatBytes = 3;
  char* begin = out_.Reserve(internal::kHeaderBytesMax + kFormatBytes + 1 + text.size() + 2);
  char* end = internal::PutHeader(begin, '=', kFormatBytes + 1 + text.size());
  for (size_t i = 0; i < kFormatBytes; ++i) *end++ = i < format3.size() ? format3[i] : ' ';
  *end++ = ':';
  end = internal::PutBytes(end, text.data(), text.size());
  *end++ = '\r';
  *end++ = '\n';
  out_.Commit(static_cast<size_t>(end - begin));
}

}  // namespace moonshard::resp
