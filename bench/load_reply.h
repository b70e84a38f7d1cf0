#pragma once
// Counts RESP replies in a stream and checks their shape, without building them: a reply costs its header
// line and a jump over its payload. RESP2, and the RESP3 types a request/reply connection can meet.
//
//   ReplyScanner scanner;
//   const char* rest = scanner.Scan(data, data + size, sink);   // sink.OnReply(reply) for every complete
//   reply if (rest == nullptr) -> scanner.problem() says how the protocol was violated; the connection is
//   lost.
//
// [rest, end) is the beginning of an unfinished header line (never payload): present it again, in front of
// what is received next. So payloads of any size pass without being kept, in pieces.
//
// Nesting needs no stack: an aggregate of n elements is n more elements to come, whatever level they belong
// to.
//
// Owned by one thread.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/macros.h"

namespace moonshard::bench {

struct Reply {
  char type = 0;                  // the RESP type byte of the outermost element
  bool nil = false;               // "$-1", "*-1" or "_"
  int64_t number = 0;             // ':' the integer; '$' the length; aggregates: the number of elements
  uint32_t inner_nils = 0;        // nils among the elements of an aggregate
  const char* payload = nullptr;  // '$' only, and only if the whole payload lay in this piece; `number` bytes
};

class ReplyScanner {
 public:
  // Sink has OnReply(const Reply&) and OnError(std::string_view text), which is called for each error reply,
  // nested ones included, before the OnReply that completes it.
  template <typename Sink>
  const char* Scan(const char* p, const char* end, Sink& sink);

  const char* problem() const { return problem_; }
  // True between two replies: nothing of the next one has been seen.
  bool AtBoundary() const { return missing_ == 0 && payload_left_ == 0; }

 private:
  const char* Broken(const char* problem) {
    problem_ = problem;
    return nullptr;
  }
  // Parses "<digits>\r\n". Returns the byte after it, `line` if it is unfinished, nullptr if it is malformed.
  const char* Number(const char* line, const char* p, const char* end, int64_t* value);
  // Consumes payload and its CRLF as far as present. nullptr if the CRLF is wrong.
  const char* SkipPayload(const char* p, const char* end);

  template <typename Sink>
  MS_ALWAYS_INLINE void ElementDone(Sink& sink) {
    if (--missing_ == 0) sink.OnReply(reply_);
  }
  template <typename Sink>
  const char* Line(const char* p, const char* end, Sink& sink);
  template <typename Sink>
  const char* Counted(const char* line, const char* p, const char* end, int64_t number, Sink& sink);

  static constexpr int64_t kMaxElements = int64_t{1} << 31;
  static constexpr int64_t kMaxPayloadBytes = int64_t{1} << 40;

  Reply reply_;
  uint64_t missing_ = 0;       // elements still to come of the current reply, the one being read included
  uint64_t payload_left_ = 0;  // bytes of the current payload still to come, its CRLF included
  const char* problem_ = nullptr;
};

MS_ALWAYS_INLINE const char* ReplyScanner::Number(const char* line, const char* p, const char* end,
                                                  int64_t* value) {
  bool negative = p != end && *p == '-';
  if (negative) ++p;
  const char* digits = p;
  uint64_t number = 0;
  while (p != end && static_cast<unsigned char>(*p - '0') <= 9) {
    if (p - digits >= 19) return Broken("a number with more than 19 digits");
    number = number * 10 + static_cast<uint64_t>(*p - '0');
    ++p;
  }
  if (end - p < 2) return line;
  if (p == digits || p[0] != '\r' || p[1] != '\n') return Broken("malformed number");
  if (number > (uint64_t{1} << 63) - (negative ? 0 : 1)) return Broken("a number out of range");
  *value = static_cast<int64_t>(negative ? 0 - number : number);
  return p + 2;
}

template <typename Sink>
const char* ReplyScanner::Line(const char* p, const char* end, Sink& sink) {
  const char* cr = p + 1;
  while (cr != end && *cr != '\r' && *cr != '\n') ++cr;
  if (end - cr < 2 && (cr == end || *cr == '\r')) return p;
  if (cr[0] != '\r' || cr[1] != '\n') return Broken("a line that does not end in CRLF");
  if (*p == '-') sink.OnError(std::string_view(p + 1, static_cast<size_t>(cr - p - 1)));
  if (*p == '_') {
    reply_.nil = missing_ == 0;
    reply_.inner_nils += missing_ == 0 ? 0 : 1;
  }
  if (missing_ == 0) {
    missing_ = 1;
    reply_.type = *p;
  }
  ElementDone(sink);
  return cr + 2;
}

// A header with a number: integers, strings with a length, aggregates with a count.
template <typename Sink>
MS_ALWAYS_INLINE const char* ReplyScanner::Counted(const char* line, const char* p, const char* end,
                                                   int64_t number, Sink& sink) {
  bool outermost = missing_ == 0;
  if (outermost) {
    missing_ = 1;
    reply_.type = *line;
    reply_.number = number;
  }
  switch (*line) {
    case ':':
      ElementDone(sink);
      return p;
    case '$':
    case '=':
    case '!':
      if (number < -1 || number > kMaxPayloadBytes) return Broken("impossible string length");
      if (number == -1) break;
      if (static_cast<uint64_t>(end - p) >= static_cast<uint64_t>(number) + 2) [[likely]] {
        if (p[number] != '\r' || p[number + 1] != '\n')
          return Broken("a string that is not followed by CRLF");
        if (outermost) reply_.payload = p;
        if (*line == '!') sink.OnError(std::string_view(p, static_cast<size_t>(number)));
        ElementDone(sink);
        return p + number + 2;
      }
      if (*line == '!') sink.OnError("an error text in pieces");
      payload_left_ = static_cast<uint64_t>(number) + 2;
      return p;
    case '%':
      number *= 2;
      [[fallthrough]];
    default:  // '*' and '~'
      if (number < -1 || number > kMaxElements) return Broken("impossible element count");
      if (number == -1) break;
      missing_ += static_cast<uint64_t>(number);
      ElementDone(sink);  // the header itself was the element; its contents are now what is missing
      return p;
  }
  if (outermost) {
    reply_.nil = true;
  } else {
    ++reply_.inner_nils;
  }
  ElementDone(sink);
  return p;
}

inline const char* ReplyScanner::SkipPayload(const char* p, const char* end) {
  auto here = static_cast<uint64_t>(end - p);
  if (payload_left_ > 2) {
    uint64_t step = payload_left_ - 2 < here ? payload_left_ - 2 : here;
    payload_left_ -= step;
    p += step;
  }
  while (payload_left_ > 0 && payload_left_ <= 2 && p != end) {
    if (*p != (payload_left_ == 2 ? '\r' : '\n')) return Broken("a string that is not followed by CRLF");
    ++p;
    --payload_left_;
  }
  return p;
}

template <typename Sink>
const char* ReplyScanner::Scan(const char* p, const char* end, Sink& sink) {
  if (payload_left_ > 0) {
    p = SkipPayload(p, end);
    if (p == nullptr || payload_left_ > 0) return p;
    ElementDone(sink);
  }
  while (p != end) {
    if (missing_ == 0) reply_ = Reply{};
    const char* line = p;
    switch (*line) {
      case '$':
      case ':':
      case '*':
      case '%':
      case '~':
      case '=':
      case '!': {
        int64_t number = 0;
        p = Number(line, p + 1, end, &number);
        if (p == nullptr || p == line) return p;
        p = Counted(line, p, end, number, sink);
        if (p == nullptr) return p;
        if (payload_left_ > 0) {
          p = SkipPayload(p, end);
          return p;  // by construction the payload does not end in this piece
        }
        break;
      }
      case '+':
      case '-':
      case '_':
      case ',':
      case '#':
      case '(':
        p = Line(line, end, sink);
        if (p == nullptr || p == line) return p;
        break;
      case '>':
        return Broken("a push message on a request connection");
      default:
        return Broken("an unknown type byte");
    }
  }
  return p;
}

}  // namespace moonshard::bench
