#pragma once
// ReplyReader: the client's side of the protocol, reply bytes to a tree of values. For tests, load generators
// and replication; convenience before speed.
//
//   reader.Feed(bytes);
//   Value value;
//   while (reader.Next(&value) == ReplyReader::Outcome::kReply) Use(value);
//
// All types of RESP2 and RESP3 but the streamed ones ("$?", "*?"), which Redis never sends. Incremental: a
// reply costs O(its bytes) however it arrives. Bounded by ReaderLimits: announced counts and lengths reserve
// nothing.
//
// Owned by one thread.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"

namespace moonshard::resp {

struct Value {
  enum class Kind : uint8_t {
    kNull,       // "$-1", "*-1", "_"
    kSimple,     // '+': text
    kError,      // '-', '!': text, prefix included
    kInteger,    // ':': integer
    kBulk,       // '$': text
    kArray,      // '*': elements
    kMap,        // '%': elements, keys and values alternating
    kSet,        // '~': elements
    kPush,       // '>': elements
    kDouble,     // ',': number, and its digits in text
    kBool,       // '#': integer is 1 or 0
    kBigNumber,  // '(': text
    kVerbatim,   // '=': text, and the three bytes before its ':' in format
  };

  Kind kind = Kind::kNull;
  // The type byte as it was received: tells a RESP2 null bulk '$' from a null array '*' and a RESP3 null '_'.
  char wire = '_';
  int64_t integer = 0;
  double number = 0;
  std::string text;
  std::string format;
  std::vector<Value> elements;
  // '|' before this value: keys and values alternating.
  std::vector<Value> attributes;

  bool is_error() const { return kind == Kind::kError; }
  bool is_null() const { return kind == Kind::kNull; }
  // Equal on the wire (a NaN equals a NaN of the same spelling).
  friend bool operator==(const Value& a, const Value& b);
  // One line for people, unambiguous: `[1, "bulk", (error) "ERR x", {"k": null}]`.
  std::string ToString() const;
};

struct ReaderLimits {
  size_t depth_max = 128;              // of nested aggregates
  int64_t bulk_bytes_max = 512 << 20;  // of one bulk, verbatim text or bulk error
  int64_t elements_max = 16 << 20;     // announced by all aggregates of one reply together
  size_t line_bytes_max = 64 << 10;    // of a line, its CRLF not counted
};

class ReplyReader {
 public:
  enum class Outcome { kReply, kNeedMore, kError };

  ReplyReader() = default;
  explicit ReplyReader(const ReaderLimits& limits) : limits_(limits) {}

  void Feed(std::string_view bytes) { buffer_.Append(bytes); }
  // kReply: *value is the next reply or push. kNeedMore: Feed more. kError: see error(); the reader stays in
  // this state until Reset.
  Outcome Next(Value* value);

  std::string_view error() const { return error_; }
  // Bytes fed that have not been parsed.
  size_t unread_bytes() const { return buffer_.size() - at_; }
  // True if no reply is in progress: all that was fed has been returned.
  bool idle() const {
    return unread_bytes() == 0 && frames_.empty() && attributes_.empty() && payload_bytes_ == kNoPayload;
  }
  // Forgets all bytes, progress and error: a new connection.
  void Reset();

 private:
  // An aggregate whose elements are still arriving.
  struct Frame {
    Value value;
    int64_t left = 0;
    bool is_attribute = false;
  };
  enum class Step { kGo, kValue, kNeedMore, kError };

  Step ReadToken(Value* value);
  Step ReadLine(std::string_view* line);
  Step ReadPayload(Value* value);
  Step ReadScalar(char type, std::string_view body, Value* value);
  Step StartBulk(char type, std::string_view body, Value* value);
  Step StartAggregate(char type, std::string_view body, Value* value);
  Step Complete(Value* value);
  Step Fail(std::string_view what);
  void Compact();

  static constexpr int64_t kNoPayload = -1;

  ReaderLimits limits_;
  base::Buffer buffer_;
  size_t at_ = 0;    // parsed so far
  size_t scan_ = 0;  // the search for the end of the line at at_ goes on here, if beyond at_
  int64_t payload_bytes_ = kNoPayload;  // of the bulk at at_, if its length line has been read
  char payload_type_ = 0;
  int64_t elements_ = 0;  // announced by the reply in progress
  std::vector<Frame> frames_;
  std::vector<Value> attributes_;  // for the value that begins at at_
  std::string error_;
};

}  // namespace moonshard::resp
