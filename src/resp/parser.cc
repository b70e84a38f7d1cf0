#include "resp/parser.h"

#include <algorithm>
#include <cstring>

#include "base/macros.h"
#include "base/number.h"

namespace moonshard::resp {

namespace {

// The shortest argument: "$0\r\n\r\n". With so many bytes in reach, a length line of one to three digits can
// be read without looking at the end of the input.
constexpr ptrdiff_t kArgBytesMin = 6;

unsigned Digit(char c) {
  return static_cast<unsigned char>(c) - unsigned{'0'};
}

// Reads "<type>D\r.", "<type>DD\r." or "<type>DDD\r." at `p`, where kArgBytesMin bytes are readable, and
// returns the size of the line. 0: it is something else, look at it without haste. The byte after '\r' is not
// looked at, as in Redis.
MS_ALWAYS_INLINE size_t ReadShortLine(const char* p, char type, size_t* value) {
  if (p[0] != type) [[unlikely]]
    return 0;
  unsigned first = Digit(p[1]);
  if (first > 9) [[unlikely]]
    return 0;
  if (p[2] == '\r') {
    *value = first;
    return 4;
  }
  unsigned second = Digit(p[2]);
  if (second > 9 || first == 0) [[unlikely]]
    return 0;
  if (p[3] == '\r') {
    *value = first * 10 + second;
    return 5;
  }
  unsigned third = Digit(p[3]);
  if (third > 9 || p[4] != '\r') [[unlikely]]
    return 0;
  *value = first * 100 + second * 10 + third;
  return 6;
}

std::string_view View(std::span<char> bytes) {
  return {bytes.data(), bytes.size()};
}

}  // namespace

CommandParser::Outcome CommandParser::Next(std::span<char> input, ArgVector& args, size_t* consumed) {
  *consumed = 0;
  if (!error_.empty()) [[unlikely]]
    return Outcome::kError;
  for (;;) {
    std::span<char> rest = input.subspan(*consumed);
    Step step = args_left_ > 0 ? Resume(rest, args) : Begin(rest, args);
    switch (step) {
      case Step::kCommand:
        *consumed += at_;
        FinishCommand();
        return Outcome::kCommand;
      case Step::kEmpty:
        *consumed += at_;
        FinishCommand();
        continue;
      case Step::kError:
        return Outcome::kError;
      case Step::kNeedMore:
      case Step::kGo:
        return Outcome::kNeedMore;
    }
  }
}

void CommandParser::FinishCommand() {
  at_ = scan_ = 0;
  args_left_ = 0;
  bulk_bytes_ = kNoBulk;
}

void CommandParser::Reset() {
  FinishCommand();
  pending_ = {};
  error_ = {};
}

// A command of which nothing but, perhaps, the beginning of its first line has been seen.
CommandParser::Step CommandParser::Begin(std::span<char> input, ArgVector& args) {
  if (input.empty()) return Step::kNeedMore;
  if (input[0] != '*') [[unlikely]]
    return ReadInline(input, args);

  size_t count = 0;
  size_t line_bytes = 0;
  if (static_cast<ptrdiff_t>(input.size()) >= kArgBytesMin) {
    line_bytes = ReadShortLine(input.data(), '*', &count);
  }
  if (line_bytes == 0 || count == 0 || static_cast<int64_t>(count) > limits_.args_max) [[unlikely]] {
    if (Step step = ReadCount(View(input)); step != Step::kGo) return step;
  } else {
    at_ = line_bytes;
    args_left_ = static_cast<int64_t>(count);
  }

  // Most commands are complete: their arguments go to the caller directly.
  size_t args_before = args.size();
  Step step = ReadBulks(input, [&args](const char* at, size_t size) { args.emplace_back(at, size); });
  if (step == Step::kCommand) [[likely]]
    return step;
  if (step == Step::kNeedMore) {
    pending_.reserve(args.size() - args_before);
    for (size_t i = args_before; i < args.size(); ++i) {
      pending_.push_back({static_cast<size_t>(args[i].data() - input.data()), args[i].size()});
    }
  }
  args.resize(args_before);
  return step;
}

// A multibulk command whose count has been read. Its arguments are kept as offsets until the last one is
// here.
CommandParser::Step CommandParser::Resume(std::span<char> input, ArgVector& args) {
  char* base = input.data();
  auto emit = [this, base](const char* at, size_t size) {
    pending_.push_back({static_cast<size_t>(at - base), size});
  };
  if (bulk_bytes_ != kNoBulk) {
    auto size = static_cast<size_t>(bulk_bytes_);
    if (input.size() < at_ + size + kCrlfBytes) return Step::kNeedMore;
    emit(base + at_, size);
    at_ += size + kCrlfBytes;
    bulk_bytes_ = kNoBulk;
    --args_left_;
  }
  Step step = ReadBulks(input, emit);
  if (step != Step::kCommand) return step;

  size_t to = args.size();
  args.resize(to + pending_.size());
  for (const Range& range : pending_) args[to++] = {base + range.offset, range.size};
  pending_.clear();
  if (pending_.capacity() > kPendingKept) pending_ = {};
  return step;
}

// Reads arguments from at_ on until all are read or the input ends.
template <typename Emit>
MS_ALWAYS_INLINE CommandParser::Step CommandParser::ReadBulks(std::span<char> input, Emit emit) {
  const char* const base = input.data();
  const char* const end = base + input.size();
  const char* p = base + at_;
  int64_t args_left = args_left_;
  const int64_t bulk_bytes_max = limits_.bulk_bytes_max;
  while (args_left > 0) {
    size_t size = 0;
    size_t line_bytes = end - p >= kArgBytesMin ? ReadShortLine(p, '$', &size) : 0;
    if (line_bytes != 0 && static_cast<int64_t>(size) <= bulk_bytes_max) [[likely]] {
      p += line_bytes;
    } else {
      at_ = static_cast<size_t>(p - base);
      args_left_ = args_left;
      if (Step step = ReadBulkLength(View(input)); step != Step::kGo) return step;
      p = base + at_;
      size = static_cast<size_t>(bulk_bytes_);
      bulk_bytes_ = kNoBulk;
    }
    if (static_cast<size_t>(end - p) < size + kCrlfBytes) [[unlikely]] {
      at_ = static_cast<size_t>(p - base);
      args_left_ = args_left;
      bulk_bytes_ = static_cast<int64_t>(size);
      return Step::kNeedMore;
    }
    emit(p, size);
    p += size + kCrlfBytes;
    --args_left;
  }
  at_ = static_cast<size_t>(p - base);
  args_left_ = 0;
  return Step::kCommand;
}

MS_NOINLINE CommandParser::Step CommandParser::ReadInline(std::span<char> input, ArgVector& args) {
  switch (FindLineEnd(View(input), '\n')) {
    case Line::kPartial:
      return Step::kNeedMore;
    case Line::kTooLong:
      return Fail("too big inline request");
    case Line::kComplete:
      break;
  }
  size_t line_bytes = scan_;
  at_ = scan_ + 1;
  if (line_bytes > 0 && input[line_bytes - 1] == '\r') --line_bytes;
  size_t args_before = args.size();
  if (!SplitArgsInPlace(input.first(line_bytes), args)) return Fail("unbalanced quotes in request");
  return args.size() == args_before ? Step::kEmpty : Step::kCommand;
}

// The line "*<count>\r\n" at the start of the input.
MS_NOINLINE CommandParser::Step CommandParser::ReadCount(std::string_view input) {
  Line line = FindLineEnd(input, '\r');
  if (line == Line::kTooLong) return Fail("too big mbulk count string");
  if (line == Line::kPartial || input.size() < scan_ + kCrlfBytes) return Step::kNeedMore;
  std::optional<int64_t> count = base::ParseInt64(input.substr(1, scan_ - 1));
  bool unauthenticated = limits_.phase == ParserPhase::kUnauthenticated;
  int64_t args_max = unauthenticated ? ParserLimits().args_max : limits_.args_max;
  if (!count.has_value() || *count > args_max) return Fail("invalid multibulk length");
  if (*count > limits_.args_max) return Fail("unauthenticated multibulk length");
  at_ = scan_ + kCrlfBytes;
  if (*count <= 0) return Step::kEmpty;
  args_left_ = *count;
  return Step::kGo;
}

// The line "$<length>\r\n" at at_. On kGo at_ is behind it and bulk_bytes_ is the length.
MS_NOINLINE CommandParser::Step CommandParser::ReadBulkLength(std::string_view input) {
  Line line = FindLineEnd(input, '\r');
  if (line == Line::kTooLong) return Fail("too big bulk count string");
  if (line == Line::kPartial || input.size() < scan_ + kCrlfBytes) return Step::kNeedMore;
  if (input[at_] != '$') {
    char got = input[at_] == '\r' || input[at_] == '\n' ? ' ' : input[at_];
    std::string what = "expected '$', got '";
    what += got;
    return Fail(what += '\'');
  }
  std::optional<int64_t> size = base::ParseInt64(input.substr(at_ + 1, scan_ - at_ - 1));
  bool unauthenticated = limits_.phase == ParserPhase::kUnauthenticated;
  int64_t bulk_bytes_max = unauthenticated ? ParserLimits().bulk_bytes_max : limits_.bulk_bytes_max;
  if (!size.has_value() || *size < 0 || *size > bulk_bytes_max) return Fail("invalid bulk length");
  if (*size > limits_.bulk_bytes_max) return Fail("unauthenticated bulk length");
  at_ = scan_ + kCrlfBytes;
  bulk_bytes_ = *size;
  return Step::kGo;
}

// Searches the line that begins at at_ for its terminator, from where the last search stopped; scan_ is then
// its offset. A zero byte stops the search for good, as it does where lines are C strings: such a line can
// only become too long.
CommandParser::Line CommandParser::FindLineEnd(std::string_view input, char terminator) {
  size_t from = std::max(scan_, at_);
  size_t stop = std::min(input.size(), at_ + limits_.inline_bytes_max + 1);
  if (from < stop && input[from] != '\0') {
    const char* begin = input.data() + from;
    size_t size = stop - from;
    bool found = false;
    if (const void* end = std::memchr(begin, terminator, size)) {
      size = static_cast<size_t>(static_cast<const char*>(end) - begin);
      found = true;
    }
    if (const void* zero = std::memchr(begin, '\0', size)) {
      size = static_cast<size_t>(static_cast<const char*>(zero) - begin);
      found = false;
    }
    scan_ = from + size;
    if (found) return Line::kComplete;
  }
  return input.size() - at_ > limits_.inline_bytes_max ? Line::kTooLong : Line::kPartial;
}

CommandParser::Step CommandParser::Fail(std::string_view what) {
  error_ = "ERR Protocol error: ";
  error_ += what;
  pending_ = {};
  return Step::kError;
}

}  // namespace moonshard::resp
