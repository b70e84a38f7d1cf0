#pragma once
// CommandParser: cuts a connection's input into commands, in place and incrementally.
//
//   for (;;) {                                     // `data`, `size`: the unconsumed bytes of the connection
//     size_t consumed;
//     Outcome outcome = parser.Next({data, size}, args, &consumed);
//     data += consumed, size -= consumed;
//     if (outcome != Outcome::kCommand) break;     // read more, or send error() and close
//   }
//
// The grammar, the limits and the error texts are those of Redis 7.0.15, with its corners: the byte after
// '\r' and the two bytes after a bulk are skipped unread, and a zero byte in a length line or an inline
// command hides the end of that line. One difference: whether a line is too long depends on its bytes alone,
// not on how they were cut into packets.
//
// Progress survives between calls as offsets from the first unconsumed byte, so the buffer may be moved or
// grown, and no byte of a header is looked at twice: a command costs O(its bytes) however it arrives.
// Arguments of an unfinished command take 16 bytes each; an announced argument takes nothing.
//
// Owned by one shard (one parser per connection).

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resp/inline_args.h"

namespace moonshard::resp {

enum class ParserPhase : uint8_t { kAuthenticated, kUnauthenticated };

struct ParserLimits {
  int64_t bulk_bytes_max = 512 << 20;  // config proto-max-bulk-len
  int64_t args_max =
      std::numeric_limits<int32_t>::max();  // as in Redis 7; the query buffer limit comes first
  size_t inline_bytes_max = 64 << 10;       // of an inline command, and of any length line
  // Before authentication a length over the limits above is answered "unauthenticated ...", unless it is over
  // the defaults too.
  ParserPhase phase = ParserPhase::kAuthenticated;
};

inline constexpr ParserLimits kUnauthenticatedLimits{16384, 10, 64 << 10, ParserPhase::kUnauthenticated};

class CommandParser {
 public:
  enum class Outcome { kCommand, kNeedMore, kError };

  CommandParser() = default;
  explicit CommandParser(const ParserLimits& limits) : limits_(limits) {}

  // `input`: all unconsumed bytes, from the first byte of the current command on.
  // kCommand: the arguments (at least one) are appended to `args` as views into `input`, and *consumed counts
  // the
  //   command and the empty commands before it.
  // kNeedMore: `args` is unchanged; *consumed counts skipped empty commands only. Call again with at least
  // one byte more. kError: see error(). The parser stays in this state until Reset.
  Outcome Next(std::span<char> input, ArgVector& args, size_t* consumed);

  // After kError: the error line without its '-', e.g. "ERR Protocol error: invalid bulk length".
  std::string_view error() const { return error_; }

  // After kNeedMore: bytes, counted from the first unconsumed one, up to the end of the bulk that is being
  // received; 0 if that is not known. For sizing the buffer.
  size_t wanted_bytes() const {
    return bulk_bytes_ == kNoBulk ? 0 : at_ + static_cast<size_t>(bulk_bytes_) + kCrlfBytes;
  }

  // Takes effect with the next length that is read.
  void set_limits(const ParserLimits& limits) { limits_ = limits; }
  const ParserLimits& limits() const { return limits_; }

  // Forgets progress and error: a new connection.
  void Reset();

 private:
  // Where an argument of an unfinished command lies, from the first unconsumed byte.
  struct Range {
    size_t offset;
    size_t size;
  };
  enum class Step { kGo, kCommand, kEmpty, kNeedMore, kError };
  enum class Line { kComplete, kPartial, kTooLong };

  static constexpr int64_t kNoBulk = -1;
  static constexpr size_t kCrlfBytes = 2;
  // Beyond this the list of ranges is returned to the allocator after the command.
  static constexpr size_t kPendingKept = 64;

  Step Begin(std::span<char> input, ArgVector& args);
  Step Resume(std::span<char> input, ArgVector& args);
  template <typename Emit>
  Step ReadBulks(std::span<char> input, Emit emit);
  Step ReadInline(std::span<char> input, ArgVector& args);
  Step ReadCount(std::string_view input);
  Step ReadBulkLength(std::string_view input);
  Line FindLineEnd(std::string_view input, char terminator);
  Step Fail(std::string_view what);
  void FinishCommand();

  ParserLimits limits_;
  size_t at_ = 0;                 // parsed so far
  size_t scan_ = 0;               // the search for the end of the line at at_ goes on here, if beyond at_
  int64_t args_left_ = 0;         // of a multibulk command; 0: its count is not yet known
  int64_t bulk_bytes_ = kNoBulk;  // of the argument at at_, if its length line has been read
  std::vector<Range> pending_;
  std::string error_;
};

}  // namespace moonshard::resp
