// Strings: parts of values, lengths, numbers.

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/long_double.h"
#include "commands/string_common.h"
#include "commands/string_limit.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeySpec;

constexpr base::StaticError kNotAFloat{base::Code::kErr, "value is not a valid float"};
constexpr base::StaticError kNotFinite{base::Code::kErr, "increment would produce NaN or Infinity"};
constexpr base::StaticError kDecrementOverflow{base::Code::kErr, "decrement would overflow"};
constexpr base::StaticError kOffsetRange{base::Code::kErr, "offset is out of range"};

// ---- lengths and ranges

Outcome Strlen(Context& context) {
  const dash::Entry* entry = context.db->Find(context.key());
  if (entry != nullptr && !IsString(*entry)) return context.Fail(db::kWrongType);
  context.reply.Integer(entry == nullptr ? 0 : static_cast<int64_t>(types::StringSize(*entry)));
  return Outcome::kDone;
}

// The bytes from `start` to `end`, both inside; negative ones count from the end.
std::string_view Range(std::string_view bytes, int64_t start, int64_t end) {
  const auto size = static_cast<int64_t>(bytes.size());
  if (start < 0 && end < 0 && start > end) return {};
  if (start < 0) start = std::max<int64_t>(start + size, 0);
  if (end < 0) end = std::max<int64_t>(end + size, 0);
  end = std::min(end, size - 1);
  if (start > end) return {};
  return bytes.substr(static_cast<size_t>(start), static_cast<size_t>(end - start + 1));
}

Outcome Getrange(Context& context) {
  auto start = ParseInt64(context.arg(2));
  auto end = ParseInt64(context.arg(3));
  if (!start || !end) return context.Fail(db::kNotAnInteger);
  const dash::Entry* entry = context.db->Find(context.key());
  if (entry != nullptr && !IsString(*entry)) return context.Fail(db::kWrongType);
  char scratch[base::kMaxInt64Chars];
  std::string_view bytes;
  if (entry != nullptr) bytes = Range(types::StringBytes(*entry, scratch), *start, *end);
  context.reply.Bulk(bytes);
  return Outcome::kDone;
}

Outcome ReplyLength(Context& context, const base::Result<size_t>& length) {
  if (!length.ok()) return context.Fail(length.status());
  context.reply.Integer(static_cast<int64_t>(*length));
  return Outcome::kDone;
}

Outcome Setrange(Context& context) {
  auto offset = ParseInt64(context.arg(2));
  if (!offset) return context.Fail(db::kNotAnInteger);
  if (*offset < 0) return context.Fail(kOffsetRange);
  std::string_view bytes = context.arg(3);
  dash::Table::Ref ref = context.db->FindForWrite(context.key());
  const dash::Entry* entry = EntryOf(context, ref);
  if (entry != nullptr && !IsString(*entry)) return context.Fail(db::kWrongType);
  if (bytes.empty()) {
    context.reply.Integer(entry == nullptr ? 0 : static_cast<int64_t>(types::StringSize(*entry)));
    return Outcome::kDone;
  }
  const size_t bytes_max = StringBytesMax(context);
  if (bytes.size() > bytes_max || static_cast<size_t>(*offset) > bytes_max - bytes.size()) {
    return context.Fail(kStringTooLong);
  }
  return ReplyLength(context, context.db->PatchString(context.key(), ref, static_cast<size_t>(*offset), bytes,
                                                      db::kEventSetRange));
}

Outcome Append(Context& context) {
  db::Key key = context.key();
  std::string_view bytes = context.arg(2);
  dash::Table::Ref ref = context.db->FindForWrite(key);
  if (!ref) {
    // A new value is stored as SET would.
    base::Status status = context.db->SetStringAt(key, ref, bytes, kNoDeadline, db::kEventAppend);
    if (!status.ok()) return context.Fail(status);
    return ReplyLength(context, bytes.size());
  }
  const dash::Entry& entry = *context.db->table().entry(ref);
  if (!IsString(entry)) return context.Fail(db::kWrongType);
  const size_t size = types::StringSize(entry);
  if (size + bytes.size() > StringBytesMax(context)) return context.Fail(kStringTooLong);
  return ReplyLength(context, context.db->PatchString(key, ref, size, bytes, db::kEventAppend));
}

// ---- numbers

Outcome Increment(Context& context, int64_t delta) {
  auto value = context.db->IncrementBy(context.key(), delta);
  if (!value.ok()) return context.Fail(value.status());
  context.reply.Integer(*value);
  return Outcome::kDone;
}

Outcome Incr(Context& context) {
  return Increment(context, 1);
}
Outcome Decr(Context& context) {
  return Increment(context, -1);
}
Outcome Incrby(Context& context) {
  auto delta = ParseInt64(context.arg(2));
  if (!delta) return context.Fail(db::kNotAnInteger);
  return Increment(context, *delta);
}
Outcome Decrby(Context& context) {
  auto delta = ParseInt64(context.arg(2));
  if (!delta) return context.Fail(db::kNotAnInteger);
  if (*delta == std::numeric_limits<int64_t>::min()) return context.Fail(kDecrementOverflow);
  return Increment(context, -*delta);
}

Outcome Incrbyfloat(Context& context) {
  db::Key key = context.key();
  dash::Table::Ref ref = context.db->FindForWrite(key);
  const dash::Entry* entry = EntryOf(context, ref);
  long double value = 0;
  TimeMs deadline = kNoDeadline;
  if (entry != nullptr) {
    if (!IsString(*entry)) return context.Fail(db::kWrongType);
    char scratch[base::kMaxInt64Chars];
    auto old_value = base::ParseLongDouble(types::StringBytes(*entry, scratch));
    if (!old_value) return context.Fail(kNotAFloat);
    value = *old_value;
    deadline = entry->deadline();
  }
  auto delta = base::ParseLongDouble(context.arg(2));
  if (!delta) return context.Fail(kNotAFloat);
  value += *delta;
  if (!std::isfinite(value)) return context.Fail(kNotFinite);
  char text[base::kLongDoubleCharsMax];
  std::string_view bytes(text, base::FormatLongDouble(value, text));
  base::Status status =
      context.db->SetStringAt(key, ref, bytes, deadline, db::kEventIncrementFloat, types::StringForm::kText);
  if (!status.ok()) return context.Fail(status);
  context.reply.Bulk(bytes);
  return Outcome::kDone;
}

// ---- rows

constexpr KeySpec kReadKey[] = {{.flags = command::kKeyRo | command::kKeyAccess}};
constexpr KeySpec kLengthKey[] = {{.flags = command::kKeyRo}};
constexpr KeySpec kUpdateKey[] = {{.flags = command::kKeyRw | command::kKeyAccess | command::kKeyUpdate}};
constexpr KeySpec kAppendKey[] = {{.flags = command::kKeyRw | command::kKeyInsert}};
constexpr KeySpec kPatchKey[] = {{.flags = command::kKeyRw | command::kKeyUpdate}};

constexpr ArgSpec kKeyArgument[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0}};
constexpr ArgSpec kKeyValueArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                          {.name = "value"}};
constexpr ArgSpec kIncrementArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                           {.name = "increment", .type = ArgType::kInteger}};
constexpr ArgSpec kDecrementArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                           {.name = "decrement", .type = ArgType::kInteger}};
constexpr ArgSpec kIncrementFloatArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                                {.name = "increment", .type = ArgType::kDouble}};
constexpr ArgSpec kRangeArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                       {.name = "start", .type = ArgType::kInteger},
                                       {.name = "end", .type = ArgType::kInteger}};
constexpr ArgSpec kSetrangeArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                          {.name = "offset", .type = ArgType::kInteger},
                                          {.name = "value"}};

constexpr CommandRow kRows[] = {
    {.name = "append",
     .arity = 3,
     .flags = command::kWrite | command::kDenyOom | command::kFast,
     .categories = command::kCatString,
     .keys = kAppendKey,
     .group = command::Group::kString,
     .since = "2.0.0",
     .complexity = "O(N) for N appended bytes, amortized",
     .summary = "Appends to the string at a key; an absent key counts as empty.",
     .arguments = kKeyValueArguments,
     .handler = Append},
    {.name = "decr",
     .arity = 2,
     .flags = command::kWrite | command::kDenyOom | command::kFast,
     .categories = command::kCatString,
     .keys = kUpdateKey,
     .group = command::Group::kString,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Takes one from the integer at a key; an absent key counts as 0.",
     .arguments = kKeyArgument,
     .handler = Decr},
    {.name = "decrby",
     .arity = 3,
     .flags = command::kWrite | command::kDenyOom | command::kFast,
     .categories = command::kCatString,
     .keys = kUpdateKey,
     .group = command::Group::kString,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Takes a number from the integer at a key; an absent key counts as 0.",
     .arguments = kDecrementArguments,
     .handler = Decrby},
    {.name = "getrange",
     .arity = 4,
     .flags = command::kReadonly,
     .categories = command::kCatString,
     .keys = kReadKey,
     .group = command::Group::kString,
     .since = "2.4.0",
     .complexity = "O(N) for N returned bytes",
     .summary = "Returns a part of the string at a key.",
     .arguments = kRangeArguments,
     .handler = Getrange},
    {.name = "incr",
     .arity = 2,
     .flags = command::kWrite | command::kDenyOom | command::kFast,
     .categories = command::kCatString,
     .keys = kUpdateKey,
     .group = command::Group::kString,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Adds one to the integer at a key; an absent key counts as 0.",
     .arguments = kKeyArgument,
     .handler = Incr},
    {.name = "incrby",
     .arity = 3,
     .flags = command::kWrite | command::kDenyOom | command::kFast,
     .categories = command::kCatString,
     .keys = kUpdateKey,
     .group = command::Group::kString,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Adds a number to the integer at a key; an absent key counts as 0.",
     .arguments = kIncrementArguments,
     .handler = Incrby},
    {.name = "incrbyfloat",
     .arity = 3,
     .flags = command::kWrite | command::kDenyOom | command::kFast,
     .categories = command::kCatString,
     .keys = kUpdateKey,
     .group = command::Group::kString,
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Adds to the floating-point number at a key; an absent key counts as 0.",
     .arguments = kIncrementFloatArguments,
     .handler = Incrbyfloat},
    {.name = "setrange",
     .arity = 4,
     .flags = command::kWrite | command::kDenyOom,
     .categories = command::kCatString,
     .keys = kPatchKey,
     .group = command::Group::kString,
     .since = "2.2.0",
     .complexity = "O(N) for N written bytes, a gap that is filled included",
     .summary = "Overwrites a part of the string at a key and extends it with zero bytes if needed.",
     .arguments = kSetrangeArguments,
     .handler = Setrange},
    {.name = "strlen",
     .arity = 2,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatString,
     .keys = kLengthKey,
     .group = command::Group::kString,
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Returns the length of the string at a key.",
     .arguments = kKeyArgument,
     .handler = Strlen},
    {.name = "substr",
     .arity = 4,
     .flags = command::kReadonly,
     .categories = command::kCatString,
     .keys = kReadKey,
     .group = command::Group::kString,
     .since = "1.0.0",
     .complexity = "O(N) for N returned bytes",
     .summary = "Returns a part of the string at a key; the old name of GETRANGE.",
     .arguments = kRangeArguments,
     .handler = Getrange,
     .deprecated_since = "2.0.0",
     .replaced_by = "`GETRANGE`",
     .doc_flags = command::kDocDeprecated},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> StringEditCommands() {
  return kRows;
}

}  // namespace moonshard::commands
