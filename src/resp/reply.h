#pragma once
// Reply: writes RESP2 or RESP3 replies to the end of a buffer. One call writes one element; an aggregate is
// its header (Array, Map, ...) followed by the announced number of elements. What RESP2 has no type for is
// written as Redis writes it: a map as a flat array, a set as an array, a double or a big number as a bulk, a
// boolean as 1 or 0.
//
// Cost: one capacity check and one copy per element; headers of lengths below kShortHeaders are one 8-byte
// store. Owned by one shard; the buffer must outlive the Reply.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/buffer.h"
#include "base/macros.h"
#include "base/number.h"
#include "base/status.h"

namespace moonshard::resp {

enum class Protocol : uint8_t { kResp2 = 2, kResp3 = 3 };

// Bytes that FormatDouble may write.
inline constexpr size_t kDoubleCharsMax = 32;
// printf's "%.17g" (and "inf", "-inf", "nan", "-nan"), which is how Redis 7 prints scores. Returns the number
// of bytes.
size_t FormatDouble(double value, char* to);

namespace internal {

inline constexpr size_t kShortHeaders = 256;
// Type, up to 20 digits, CRLF.
inline constexpr size_t kHeaderBytesMax = 1 + base::kMaxInt64Chars + 2;

// "$<n>\r\n", to be copied whole; the first byte is then overwritten with the type that is meant.
struct ShortHeader {
  char bytes[7];
  uint8_t size;
};
static_assert(sizeof(ShortHeader) == 8);

constexpr std::array<ShortHeader, kShortHeaders> MakeShortHeaders() {
  std::array<ShortHeader, kShortHeaders> headers{};
  for (size_t n = 0; n < kShortHeaders; ++n) {
    ShortHeader& header = headers[n];
    size_t at = 0;
    header.bytes[at++] = '$';
    if (n >= 100) header.bytes[at++] = static_cast<char>('0' + n / 100);
    if (n >= 10) header.bytes[at++] = static_cast<char>('0' + n / 10 % 10);
    header.bytes[at++] = static_cast<char>('0' + n % 10);
    header.bytes[at++] = '\r';
    header.bytes[at++] = '\n';
    header.size = static_cast<uint8_t>(at);
  }
  return headers;
}
inline constexpr std::array<ShortHeader, kShortHeaders> kHeaders = MakeShortHeaders();

char* PutLongHeader(char* to, char type, uint64_t n);

// Writes "<type><n>\r\n" at `to`, where kHeaderBytesMax bytes are writable, and returns its end.
MS_ALWAYS_INLINE char* PutHeader(char* to, char type, uint64_t n) {
  if (n < kShortHeaders) [[likely]] {
    std::memcpy(to, &kHeaders[n], sizeof(ShortHeader));
    to[0] = type;
    return to + kHeaders[n].size;
  }
  return PutLongHeader(to, type, n);
}

// memcpy without the call for the sizes that keys and small values have: two moves that may overlap.
MS_ALWAYS_INLINE char* PutBytes(char* to, const char* from, size_t size) {
  auto both_ends = [&](auto word) {
    decltype(word) tail;
    std::memcpy(&word, from, sizeof word);
    std::memcpy(&tail, from + size - sizeof tail, sizeof tail);
    std::memcpy(to, &word, sizeof word);
    std::memcpy(to + size - sizeof tail, &tail, sizeof tail);
  };
  if (size > 32) {
    std::memcpy(to, from, size);
  } else if (size >= 16) {
    both_ends(std::array<char, 16>());
  } else if (size >= 8) {
    both_ends(uint64_t{});
  } else if (size >= 4) {
    both_ends(uint32_t{});
  } else if (size != 0) {
    // First, middle and last byte cover one to three bytes.
    to[0] = from[0];
    to[size / 2] = from[size / 2];
    to[size - 1] = from[size - 1];
  }
  return to + size;
}

}  // namespace internal

class Reply {
 public:
  Reply(base::Buffer& out, Protocol protocol) : out_(out), protocol_(protocol) {}

  Protocol protocol() const { return protocol_; }
  base::Buffer& buffer() { return out_; }

  void Ok() { out_.Append("+OK\r\n"); }
  // CR and LF in `text` become spaces: a line cannot hold them.
  void Simple(std::string_view text) { Line('+', text); }
  void Error(const base::Status& status);
  // `line` begins with the error's prefix, e.g. "ERR foo". CR and LF at its end go, others become spaces.
  void ErrorLine(std::string_view line);
  void Integer(int64_t value);
  void Bulk(std::string_view bytes);
  // A bulk string of the decimal digits.
  void BulkInteger(int64_t value);
  // A bulk of n bytes, complete but for its content, which the caller writes at the returned address before
  // anything else is appended to the buffer.
  char* BulkReserve(size_t n);
  void Null() { out_.Append(resp3() ? "_\r\n" : "$-1\r\n"); }
  void NullArray() { out_.Append(resp3() ? "_\r\n" : "*-1\r\n"); }
  void Array(size_t n) { Header('*', n); }
  // Followed by `pairs` keys and values, alternating.
  void Map(size_t pairs) { resp3() ? Header('%', pairs) : Header('*', pairs * 2); }
  void Set(size_t n) { Header(resp3() ? '~' : '*', n); }
  void Push(size_t n) { Header(resp3() ? '>' : '*', n); }
  // RESP2 has no place for attributes: the caller writes none there.
  void Attribute(size_t pairs) {
    MS_DCHECK(resp3());
    Header('|', pairs);
  }
  void Double(double value);
  void Bool(bool value) {
    out_.Append(resp3() ? (value ? "#t\r\n" : "#f\r\n") : (value ? ":1\r\n" : ":0\r\n"));
  }
  void BigNumber(std::string_view digits);
  // `format3`: "txt" or "mkd"; shorter ones are padded with spaces, longer ones cut.
  void Verbatim(std::string_view format3, std::string_view text);

 private:
  bool resp3() const { return protocol_ == Protocol::kResp3; }
  MS_ALWAYS_INLINE void Header(char type, size_t n) {
    char* begin = out_.Reserve(internal::kHeaderBytesMax);
    out_.Commit(static_cast<size_t>(internal::PutHeader(begin, type, n) - begin));
  }
  void Line(char type, std::string_view text);

  base::Buffer& out_;
  Protocol protocol_;
};

inline void Reply::Integer(int64_t value) {
  char* begin = out_.Reserve(internal::kHeaderBytesMax);
  char* end;
  if (static_cast<uint64_t>(value) < internal::kShortHeaders) {
    end = internal::PutHeader(begin, ':', static_cast<uint64_t>(value));
  } else {
    *begin = ':';
    end = begin + 1;
    end += base::FormatInt64(value, end);
    *end++ = '\r';
    *end++ = '\n';
  }
  out_.Commit(static_cast<size_t>(end - begin));
}

inline void Reply::Bulk(std::string_view bytes) {
  char* begin = out_.Reserve(internal::kHeaderBytesMax + bytes.size() + 2);
  char* end = internal::PutHeader(begin, '$', bytes.size());
  end = internal::PutBytes(end, bytes.data(), bytes.size());
  end[0] = '\r';
  end[1] = '\n';
  out_.Commit(static_cast<size_t>(end + 2 - begin));
}

inline char* Reply::BulkReserve(size_t n) {
  char* begin = out_.Reserve(internal::kHeaderBytesMax + n + 2);
  char* content = internal::PutHeader(begin, '$', n);
  content[n] = '\r';
  content[n + 1] = '\n';
  out_.Commit(static_cast<size_t>(content - begin) + n + 2);
  return content;
}

}  // namespace moonshard::resp
