// Strings: GET SET MGET MSET INCR.

#include "command/shard_state.h"
#include "commands/args.h"
#include "commands/tables.h"
#include "types/string_value.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeySpec;

// The reply of GET for this key.
void ReplyString(Context& context, const dash::Entry* entry) {
  if (entry == nullptr) {
    context.reply.Null();
    return;
  }
  if (entry->type() != dash::Type::kString) {
    context.reply.Error(db::kWrongType);
    return;
  }
  char scratch[base::kMaxInt64Chars];
  context.reply.Bulk(types::StringBytes(*entry, scratch));
}

Outcome Get(Context& context) {
  ReplyString(context, context.db->Find(context.key()));
  return Outcome::kDone;
}

struct SetOptions {
  enum class Condition : uint8_t { kAlways, kIfAbsent, kIfPresent };
  Condition condition = Condition::kAlways;
  bool keep_deadline = false;
  bool get = false;
  bool has_deadline = false;
  TimeMs deadline = kNoDeadline;
};

enum class ParseResult : uint8_t { kOk, kSyntax, kNotInteger, kExpireTime };

struct TimeOption {
  std::string_view token;
  TimeUnit unit;
  TimeBase base;
};
constexpr TimeOption kTimeOptions[] = {{"EX", TimeUnit::kSeconds, TimeBase::kRelative},
                                       {"PX", TimeUnit::kMilliseconds, TimeBase::kRelative},
                                       {"EXAT", TimeUnit::kSeconds, TimeBase::kAbsolute},
                                       {"PXAT", TimeUnit::kMilliseconds, TimeBase::kAbsolute}};

ParseResult ParseDeadline(const TimeOption& option, std::string_view text, TimeMs now, SetOptions& options) {
  auto amount = ParseInt64(text);
  if (!amount) return ParseResult::kNotInteger;
  if (*amount <= 0) return ParseResult::kExpireTime;
  auto deadline = DeadlineOf(*amount, option.unit, option.base, now);
  if (!deadline) return ParseResult::kExpireTime;
  options.deadline = *deadline;
  return ParseResult::kOk;
}

// Redis checks the whole syntax first and the number afterwards, so the number's text is kept.
ParseResult ParseSetOptions(const Context& context, TimeMs now, SetOptions& options) {
  using Condition = SetOptions::Condition;
  const TimeOption* time_option = nullptr;
  std::string_view time_text;
  for (size_t i = 3; i < context.args.size(); ++i) {
    std::string_view word = context.args[i];
    if (EqualsIgnoreCase(word, "NX") && options.condition != Condition::kIfPresent) {
      options.condition = Condition::kIfAbsent;
    } else if (EqualsIgnoreCase(word, "XX") && options.condition != Condition::kIfAbsent) {
      options.condition = Condition::kIfPresent;
    } else if (EqualsIgnoreCase(word, "GET")) {
      options.get = true;
    } else if (EqualsIgnoreCase(word, "KEEPTTL") && time_option == nullptr) {
      options.keep_deadline = true;
    } else {
      const TimeOption* found = nullptr;
      for (const TimeOption& candidate : kTimeOptions) {
        if (EqualsIgnoreCase(word, candidate.token)) found = &candidate;
      }
      // The same one again is fine, the last counts.
      bool other = time_option != nullptr && time_option != found;
      if (found == nullptr || options.keep_deadline || other || i + 1 >= context.args.size()) {
        return ParseResult::kSyntax;
      }
      time_option = found;
      time_text = context.args[++i];
    }
  }
  if (time_option == nullptr) return ParseResult::kOk;
  options.has_deadline = true;
  return ParseDeadline(*time_option, time_text, now, options);
}

Outcome SetWithOptions(Context& context) {
  SetOptions options;
  switch (ParseSetOptions(context, context.shard.keyspace->now(), options)) {
    case ParseResult::kOk:
      break;
    case ParseResult::kSyntax:
      return context.Fail(db::kSyntax);
    case ParseResult::kNotInteger:
      return context.Fail(db::kNotAnInteger);
    case ParseResult::kExpireTime:
      return FailExpireTime(context);
  }
  db::Key key = context.key();
  dash::Table::Ref ref = context.db->FindForWrite(key);
  const dash::Entry* old_entry = ref ? context.db->table().entry(ref) : nullptr;
  if (options.get) {
    if (old_entry != nullptr && old_entry->type() != dash::Type::kString) return context.Fail(db::kWrongType);
  }
  using Condition = SetOptions::Condition;
  bool allowed = options.condition == Condition::kAlways ||
                 (options.condition == Condition::kIfPresent) == (old_entry != nullptr);
  size_t reply_begin = context.reply.buffer().size();
  if (options.get) ReplyString(context, old_entry);
  if (!allowed) {
    if (!options.get) context.reply.Null();
    return Outcome::kDone;
  }
  TimeMs deadline = options.keep_deadline && old_entry != nullptr ? old_entry->deadline() : options.deadline;
  base::Status status = context.db->SetString(key, context.arg(2), deadline);
  if (!status.ok()) {
    context.reply.buffer().Truncate(reply_begin);
    return context.Fail(status);
  }
  if (!options.get) context.reply.Ok();
  return Outcome::kDone;
}

Outcome Set(Context& context) {
  if (context.args.size() > 3) return SetWithOptions(context);
  base::Status status = context.db->SetString(context.key(), context.arg(2), kNoDeadline);
  if (!status.ok()) [[unlikely]]
    return context.Fail(status);
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome Mget(Context& context) {
  for (size_t i = 0; i < context.keys.size(); ++i) {
    const dash::Entry* entry = context.db->Find(context.key(i));
    // A key of another type counts as absent.
    if (entry != nullptr && entry->type() != dash::Type::kString) entry = nullptr;
    ReplyString(context, entry);
    context.fan.EndKey(context.reply.buffer().size());
  }
  return Outcome::kDone;
}

Outcome Mset(Context& context) {
  // Framing found the keys at every second argument; an odd rest is left without its value.
  if (context.args.size() % 2 == 0) {
    context.fan.Fail(db::kMsetArity);
    return Outcome::kDone;
  }
  for (size_t i = 0; i < context.keys.size(); ++i) {
    base::Status status =
        context.db->SetString(context.key(i), context.arg(context.keys[i].arg + 1u), kNoDeadline);
    if (!status.ok()) context.fan.Fail(std::move(status));
  }
  return Outcome::kDone;
}

Outcome Incr(Context& context) {
  auto value = context.db->IncrementBy(context.key(), 1);
  if (!value.ok()) return context.Fail(value.status());
  context.reply.Integer(*value);
  return Outcome::kDone;
}

// ---- rows

constexpr KeySpec kReadKey[] = {{.flags = command::kKeyRo | command::kKeyAccess}};
constexpr KeySpec kUpdateKey[] = {{.flags = command::kKeyRw | command::kKeyAccess | command::kKeyUpdate}};
constexpr KeySpec kSetKey[] = {
    {.flags = command::kKeyRw | command::kKeyAccess | command::kKeyUpdate | command::kKeyVariable,
     .notes = "RW and ACCESS due to the optional `GET` argument"}};
constexpr KeySpec kReadKeys[] = {{.flags = command::kKeyRo | command::kKeyAccess, .last = -1}};
constexpr KeySpec kOverwritePairs[] = {
    {.flags = command::kKeyOw | command::kKeyUpdate, .last = -1, .step = 2}};

constexpr ArgSpec kKeyArgument[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0}};
constexpr ArgSpec kKeysArgument[] = {
    {.name = "key", .type = ArgType::kKey, .flags = command::kMultiple, .key_spec = 0}};
constexpr ArgSpec kSetCondition[] = {{.name = "nx", .type = ArgType::kPureToken, .token = "NX"},
                                     {.name = "xx", .type = ArgType::kPureToken, .token = "XX"}};
constexpr ArgSpec kSetExpiration[] = {
    {.name = "seconds", .type = ArgType::kInteger, .token = "EX", .since = "2.6.12"},
    {.name = "milliseconds", .type = ArgType::kInteger, .token = "PX", .since = "2.6.12"},
    {.name = "unix-time-seconds", .type = ArgType::kUnixTime, .token = "EXAT", .since = "6.2.0"},
    {.name = "unix-time-milliseconds", .type = ArgType::kUnixTime, .token = "PXAT", .since = "6.2.0"},
    {.name = "keepttl", .type = ArgType::kPureToken, .token = "KEEPTTL", .since = "6.0.0"}};
constexpr ArgSpec kSetArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                     {.name = "value"},
                                     {.name = "condition",
                                      .type = ArgType::kOneOf,
                                      .flags = command::kOptional,
                                      .arguments = kSetCondition,
                                      .since = "2.6.12"},
                                     {.name = "get",
                                      .type = ArgType::kPureToken,
                                      .token = "GET",
                                      .flags = command::kOptional,
                                      .since = "6.2.0"},
                                     {.name = "expiration",
                                      .type = ArgType::kOneOf,
                                      .flags = command::kOptional,
                                      .arguments = kSetExpiration}};
constexpr ArgSpec kPairArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                      {.name = "value"}};
constexpr ArgSpec kMsetArguments[] = {
    {.name = "key_value", .type = ArgType::kBlock, .flags = command::kMultiple, .arguments = kPairArguments}};
constexpr std::string_view kMgetTips[] = {"request_policy:multi_shard"};
constexpr std::string_view kMsetTips[] = {"request_policy:multi_shard", "response_policy:all_succeeded"};

constexpr CommandRow kRows[] = {
    {.name = "get",
     .arity = 2,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatString,
     .keys = kReadKey,
     .group = command::Group::kString,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Returns the string value of a key.",
     .arguments = kKeyArgument,
     .handler = Get},
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
    {.name = "mget",
     .arity = -2,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatString,
     .keys = kReadKeys,
     .group = command::Group::kString,
     .since = "1.0.0",
     .complexity = "O(N) for N keys",
     .summary = "Returns the string values of several keys, read at one moment.",
     .arguments = kKeysArgument,
     .handler = Mget,
     .merge = command::Merge::kPerKey,
     .tips = kMgetTips},
    {.name = "mset",
     .arity = -3,
     .flags = command::kWrite | command::kDenyOom,
     .categories = command::kCatString,
     .keys = kOverwritePairs,
     .group = command::Group::kString,
     .since = "1.0.1",
     .complexity = "O(N) for N keys",
     .summary = "Sets several keys to string values, all at one moment.",
     .arguments = kMsetArguments,
     .handler = Mset,
     .merge = command::Merge::kOk,
     .tips = kMsetTips},
    {.name = "set",
     .arity = -3,
     .flags = command::kWrite | command::kDenyOom,
     .categories = command::kCatString,
     .keys = kSetKey,
     .group = command::Group::kString,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Sets a key to a string value, whatever it held before.",
     .arguments = kSetArguments,
     .handler = Set},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> StringCommands() {
  return kRows;
}

}  // namespace moonshard::commands
