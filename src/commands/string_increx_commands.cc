// Strings: INCREX, a counter with bounds and a time to live in one step. Redis 8.8 has it; NX and XX are
// Valkey's.

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "base/long_double.h"
#include "commands/string_common.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeySpec;

constexpr base::StaticError kEnxAlone{base::Code::kErr, "ENX flag requires an expiration"};
constexpr base::StaticError kCrossed{base::Code::kErr, "LBOUND can't be greater than UBOUND"};
constexpr base::StaticError kInfiniteIncrement{base::Code::kErr, "BYFLOAT increment cannot be Infinity"};
constexpr base::StaticError kInfiniteValue{base::Code::kErr, "value cannot be Infinity"};
constexpr base::StaticError kNotAFloat{base::Code::kErr, "value is not a valid float"};
constexpr base::StaticError kAppliedOverflow{base::Code::kErr, "applied increment would overflow"};
constexpr base::StaticError kAppliedInfinity{base::Code::kErr, "applied increment would be Infinity"};

struct Words {
  std::string_view increment = "1";
  std::string_view lower;
  std::string_view upper;
  bool is_float = false;
  bool has_increment = false;
  bool has_lower = false;
  bool has_upper = false;
  bool saturate = false;
  bool enx = false;
  bool nx = false;
  bool xx = false;
  bool persist = false;
  const TimeOption* time = nullptr;
  std::string_view time_text;
};

// An option with a value, given once at most.
bool Take(bool& seen, std::string_view& value, std::span<const std::string_view> args, size_t& i) {
  if (seen || i + 1 >= args.size()) return false;
  seen = true;
  value = args[++i];
  return true;
}
bool Mark(bool& flag) {
  return !std::exchange(flag, true);
}

bool ParseWords(std::span<const std::string_view> args, Words& words) {
  for (size_t i = 0; i < args.size(); ++i) {
    bool ok = false;
    if (IsWord(args[i], "BYINT") || IsWord(args[i], "BYFLOAT")) {
      words.is_float = IsWord(args[i], "BYFLOAT");
      ok = Take(words.has_increment, words.increment, args, i);
    } else if (IsWord(args[i], "LBOUND")) {
      ok = Take(words.has_lower, words.lower, args, i);
    } else if (IsWord(args[i], "UBOUND")) {
      ok = Take(words.has_upper, words.upper, args, i);
    } else if (IsWord(args[i], "SATURATE")) {
      ok = Mark(words.saturate);
    } else if (IsWord(args[i], "ENX")) {
      ok = !words.persist && Mark(words.enx);
    } else if (IsWord(args[i], "PERSIST")) {
      ok = words.time == nullptr && !words.enx && Mark(words.persist);
    } else if (IsWord(args[i], "NX")) {
      ok = !words.xx && Mark(words.nx);
    } else if (IsWord(args[i], "XX")) {
      ok = !words.nx && Mark(words.xx);
    } else if (const TimeOption* time = FindTimeOption(args[i])) {
      bool seen = words.time != nullptr || words.persist;
      ok = Take(seen, words.time_text, args, i);
      words.time = time;
    }
    if (!ok) return false;
  }
  return true;
}

// ---- the arithmetic, for integers and for long doubles

template <typename Number>
struct Terms {
  Number increment;
  Number lower;
  Number upper;
};
template <typename Number>
struct Outcomes {
  Number value;  // new, or the former one
  Number applied;
  bool changes;
};

base::Result<Outcomes<int64_t>> Apply(int64_t value, const Terms<int64_t>& terms, bool saturate) {
  int64_t sum = 0;
  const bool overflow = __builtin_add_overflow(value, terms.increment, &sum);
  if (overflow) {
    sum = terms.increment > 0 ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min();
  }
  if (overflow || sum < terms.lower || sum > terms.upper) {
    if (!saturate) return Outcomes<int64_t>{value, 0, false};
    sum = std::clamp(sum, terms.lower, terms.upper);
  }
  int64_t applied = 0;
  if (__builtin_sub_overflow(sum, value, &applied)) return kAppliedOverflow;
  return Outcomes<int64_t>{sum, applied, true};
}

base::Result<Outcomes<long double>> Apply(long double value, const Terms<long double>& terms, bool saturate) {
  long double sum = value + terms.increment;
  if (!std::isfinite(sum) || sum < terms.lower || sum > terms.upper) {
    if (!saturate) return Outcomes<long double>{value, 0, false};
    sum = std::clamp(sum, terms.lower, terms.upper);
  }
  const long double applied = sum - value;
  if (!std::isfinite(applied) || !std::isfinite(sum)) return kAppliedInfinity;
  return Outcomes<long double>{sum, applied, true};
}

// ---- numbers in words

std::optional<int64_t> ParseNumber(std::string_view text, int64_t /*kind*/) {
  return ParseInt64(text);
}
std::optional<long double> ParseNumber(std::string_view text, long double /*kind*/) {
  return base::ParseLongDouble(text);
}

// "ERR LBOUND is not a valid float"
Outcome FailNumber(Context& context, std::string_view name, bool is_float) {
  std::string line = "ERR ";
  line += name;
  line += is_float ? " is not a valid float" : " is not an integer or out of range";
  context.reply.ErrorLine(line);
  return Outcome::kDone;
}

size_t Format(int64_t value, char* to) {
  return base::FormatInt64(value, to);
}
size_t Format(long double value, char* to) {
  return base::FormatLongDouble(value, to);
}

void ReplyNumber(Context& context, int64_t value) {
  context.reply.Integer(value);
}
// A long double has more digits than Reply::Double would show.
void ReplyNumber(Context& context, long double value) {
  char text[base::kLongDoubleCharsMax];
  std::string_view digits(text, base::FormatLongDouble(value, text));
  if (context.reply.protocol() == resp::Protocol::kResp2) {
    context.reply.Bulk(digits);
    return;
  }
  base::Buffer& out = context.reply.buffer();
  out.Append(",");
  out.Append(digits);
  out.Append("\r\n");
}

template <typename Number>
Outcome ReplyOutcome(Context& context, const Outcomes<Number>& outcome) {
  context.reply.Array(2);
  ReplyNumber(context, outcome.value);
  ReplyNumber(context, outcome.applied);
  return Outcome::kDone;
}

// ---- the command

// What happens to the key's deadline.
struct NewDeadline {
  TimeMs deadline = kNoDeadline;
  std::string_view event;  // empty: none
  bool passed = false;     // the key goes
};

NewDeadline DeadlineAfter(const Words& words, TimeMs given, const dash::Entry* entry, TimeMs now) {
  const TimeMs old = entry == nullptr ? kNoDeadline : entry->deadline();
  if (words.persist) return {kNoDeadline, old == kNoDeadline ? "" : "persist", false};
  if (words.time == nullptr || (words.enx && old != kNoDeadline)) return {old, "", false};
  return {given, "expire", words.time->base == TimeBase::kAbsolute && given <= now};
}

template <typename Number>
Outcome Store(Context& context, dash::Table::Ref ref, const NewDeadline& next,
              const Outcomes<Number>& outcome) {
  constexpr bool kIsFloat = !std::is_same_v<Number, int64_t>;
  constexpr db::EventName kEvent = kIsFloat ? db::kEventIncrementFloat : db::kEventIncrement;
  db::Key key = context.key();
  if (next.passed) {
    if (ref) context.db->EraseRef(ref, types::MutationReason::kCommand, "del");
    return ReplyOutcome(context, outcome);
  }
  char text[kIsFloat ? base::kLongDoubleCharsMax : base::kMaxInt64Chars];
  std::string_view bytes(text, Format(outcome.value, text));
  base::Status status = context.db->SetString(
      key, bytes, next.deadline, kEvent, kIsFloat ? types::StringForm::kText : types::StringForm::kPlain);
  if (!status.ok()) return context.Fail(status);
  if (!next.event.empty()) NotifyGeneric(context.shard, *context.db, key.text, next.event);
  return ReplyOutcome(context, outcome);
}

template <typename Number>
Outcome Run(Context& context, const Words& words, TimeMs given, const Terms<Number>& terms) {
  dash::Table::Ref ref = context.db->FindForWrite(context.key());
  const dash::Entry* entry = EntryOf(context, ref);
  Number value = 0;
  if (entry != nullptr) {
    if (!IsString(*entry)) return context.Fail(db::kWrongType);
    char scratch[base::kMaxInt64Chars];
    auto old_value = ParseNumber(types::StringBytes(*entry, scratch), Number{});
    if (!old_value) return context.Fail(words.is_float ? kNotAFloat : db::kNotAnInteger);
    value = *old_value;
    if constexpr (std::is_floating_point_v<Number>) {
      if (!std::isfinite(value)) return context.Fail(kInfiniteValue);
    }
  }
  if ((words.nx && entry != nullptr) || (words.xx && entry == nullptr)) {
    return ReplyOutcome(context, Outcomes<Number>{value, 0, false});
  }
  auto outcome = Apply(value, terms, words.saturate);
  if (!outcome.ok()) return context.Fail(outcome.status());
  if (!outcome->changes) return ReplyOutcome(context, *outcome);
  return Store(context, ref, DeadlineAfter(words, given, entry, context.shard.keyspace->now()), *outcome);
}

template <typename Number>
Outcome ParseAndRun(Context& context, const Words& words, Number lowest, Number highest) {
  auto increment = ParseNumber(words.increment, Number{});
  if (!increment) return FailNumber(context, "Increment", words.is_float);
  if constexpr (std::is_floating_point_v<Number>) {
    if (!std::isfinite(*increment)) return context.Fail(kInfiniteIncrement);
  }
  auto lower = words.has_lower ? ParseNumber(words.lower, Number{}) : lowest;
  if (!lower) return FailNumber(context, "LBOUND", words.is_float);
  auto upper = words.has_upper ? ParseNumber(words.upper, Number{}) : highest;
  if (!upper) return FailNumber(context, "UBOUND", words.is_float);
  if (*lower > *upper) return context.Fail(kCrossed);
  TimeMs given = kNoDeadline;
  if (words.time != nullptr) {
    auto deadline = ResolveDeadline(context, *words.time, words.time_text);
    if (!deadline) return Outcome::kDone;
    given = *deadline;
  }
  return Run(context, words, given, Terms<Number>{*increment, *lower, *upper});
}

Outcome Increx(Context& context) {
  Words words;
  if (!ParseWords(context.args.subspan(2), words)) return context.Fail(db::kSyntax);
  if (words.enx && words.time == nullptr) return context.Fail(kEnxAlone);
  if (words.is_float) return ParseAndRun<long double>(context, words, -LDBL_MAX, LDBL_MAX);
  using Limits = std::numeric_limits<int64_t>;
  return ParseAndRun<int64_t>(context, words, Limits::min(), Limits::max());
}

// ---- rows

constexpr KeySpec kUpdateKey[] = {{.flags = command::kKeyRw | command::kKeyAccess | command::kKeyUpdate}};
constexpr ArgSpec kCondition[] = {{.name = "nx", .type = ArgType::kPureToken, .token = "NX"},
                                  {.name = "xx", .type = ArgType::kPureToken, .token = "XX"}};
constexpr ArgSpec kIncrement[] = {{.name = "float", .type = ArgType::kDouble, .token = "BYFLOAT"},
                                  {.name = "integer", .type = ArgType::kInteger, .token = "BYINT"}};
constexpr ArgSpec kExpiration[] = {
    {.name = "seconds", .type = ArgType::kInteger, .token = "EX"},
    {.name = "milliseconds", .type = ArgType::kInteger, .token = "PX"},
    {.name = "unix-time-seconds", .type = ArgType::kUnixTime, .token = "EXAT"},
    {.name = "unix-time-milliseconds", .type = ArgType::kUnixTime, .token = "PXAT"},
    {.name = "persist", .type = ArgType::kPureToken, .token = "PERSIST"}};
constexpr ArgSpec kArguments[] = {
    {.name = "key", .type = ArgType::kKey, .key_spec = 0},
    {.name = "condition", .type = ArgType::kOneOf, .flags = command::kOptional, .arguments = kCondition},
    {.name = "increment", .type = ArgType::kOneOf, .flags = command::kOptional, .arguments = kIncrement},
    {.name = "lowerbound", .token = "LBOUND", .flags = command::kOptional},
    {.name = "upperbound", .token = "UBOUND", .flags = command::kOptional},
    {.name = "saturate", .type = ArgType::kPureToken, .token = "SATURATE", .flags = command::kOptional},
    {.name = "expiration", .type = ArgType::kOneOf, .flags = command::kOptional, .arguments = kExpiration},
    {.name = "enx", .type = ArgType::kPureToken, .token = "ENX", .flags = command::kOptional}};

constexpr CommandRow kRows[] = {
    {.name = "increx",
     .arity = -2,
     .flags = command::kWrite | command::kDenyOom | command::kFast,
     .categories = command::kCatString,
     .keys = kUpdateKey,
     .group = command::Group::kString,
     .since = "8.8.0",
     .complexity = "O(1)",
     .summary = "Adds to the number at a key within bounds and may change its time to live.",
     .arguments = kArguments,
     .handler = Increx},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> StringIncrexCommands() {
  return kRows;
}

}  // namespace moonshard::commands
