// Strings: whole values of one key, read, set and taken.

#include "commands/string_common.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeySpec;

// Sets the key, found at `ref`, and sends the events; `gives_time` that the command names a deadline.
base::Status SetValue(Context& context, dash::Table::Ref ref, std::string_view bytes, TimeMs deadline,
                      bool gives_time) {
  db::Key key = context.key();
  MS_RETURN_IF_ERROR(context.db->SetStringAt(key, ref, bytes, deadline));
  if (gives_time) NotifyGeneric(context.shard, *context.db, key.text, "expire");
  return {};
}

// ---- GET and its relatives

Outcome Get(Context& context) {
  ReplyString(context, context.db->Find(context.key()));
  return Outcome::kDone;
}

Outcome Getset(Context& context) {
  const dash::Entry* entry = context.db->Find(context.key());
  const size_t reply_begin = context.reply.buffer().size();
  ReplyString(context, entry);
  if (entry != nullptr && !IsString(*entry)) return Outcome::kDone;
  base::Status status = context.db->SetString(context.key(), context.arg(2), kNoDeadline);
  if (status.ok()) return Outcome::kDone;
  context.reply.buffer().Truncate(reply_begin);
  return context.Fail(status);
}

Outcome Getdel(Context& context) {
  const dash::Entry* entry = context.db->Find(context.key());
  ReplyString(context, entry);
  if (entry != nullptr && IsString(*entry)) context.db->Erase(context.key(), "del");
  return Outcome::kDone;
}

// What GETEX does to the deadline of a key that is there.
base::Status ChangeDeadline(Context& context, const StringOptions& options, TimeMs deadline) {
  db::Key key = context.key();
  dash::Table::Ref ref = RefOf(context, key);
  if (options.has(kOptTime)) {
    if (options.time->base == TimeBase::kAbsolute && deadline <= context.shard.keyspace->now()) {
      context.db->EraseRef(ref, types::MutationReason::kCommand, "del");
      return {};
    }
    MS_RETURN_IF_ERROR(context.db->SetDeadline(ref, deadline));
    NotifyGeneric(context.shard, *context.db, key.text, "expire");
  } else if (options.has(kOptPersist) && context.db->table().entry(ref)->has_deadline()) {
    MS_RETURN_IF_ERROR(context.db->SetDeadline(ref, kNoDeadline));
    NotifyGeneric(context.shard, *context.db, key.text, "persist");
  }
  return {};
}

Outcome Getex(Context& context) {
  StringOptions options;
  if (!ParseStringOptions(context.args.subspan(2), kOptTime | kOptPersist, options)) {
    return context.Fail(db::kSyntax);
  }
  const dash::Entry* entry = context.db->Find(context.key());
  if (entry == nullptr || !IsString(*entry)) {
    ReplyString(context, entry);
    return Outcome::kDone;
  }
  std::optional<TimeMs> deadline = kNoDeadline;
  if (options.has(kOptTime)) {
    deadline = ResolveDeadline(context, *options.time, options.time_text);
    if (!deadline) return Outcome::kDone;
  }
  const size_t reply_begin = context.reply.buffer().size();
  ReplyString(context, entry);
  base::Status status = ChangeDeadline(context, options, *deadline);
  if (status.ok()) return Outcome::kDone;
  context.reply.buffer().Truncate(reply_begin);
  return context.Fail(status);
}

// ---- SET and its relatives

// Whether NX, XX or a comparison lets the change through.
base::Result<bool> Allows(const StringOptions& options, const dash::Entry* entry) {
  if (options.has(kOptNx)) return entry == nullptr;
  if (options.has(kOptXx)) return entry != nullptr;
  const uint32_t compare = options.given & kOptCompare;
  if (compare == 0) return true;
  if (entry == nullptr) return (compare & (kOptIfNe | kOptIfDne)) != 0;
  if (!IsString(*entry)) return db::kWrongType;
  MS_RETURN_IF_ERROR(CheckOperand(compare, options.operand));
  return Compares(compare, options.operand, *entry);
}

Outcome SetWithOptions(Context& context) {
  constexpr uint32_t kAccepted = kOptNx | kOptXx | kOptGet | kOptKeepTtl | kOptTime | kOptCompare;
  StringOptions options;
  if (!ParseStringOptions(context.args.subspan(3), kAccepted, options)) return context.Fail(db::kSyntax);
  std::optional<TimeMs> deadline = kNoDeadline;
  if (options.has(kOptTime)) {
    deadline = ResolveDeadline(context, *options.time, options.time_text);
    if (!deadline) return Outcome::kDone;
  }
  const bool get = options.has(kOptGet);
  if (get) context.db->Find(context.key());
  dash::Table::Ref ref = context.db->FindForWrite(context.key());
  const dash::Entry* entry = EntryOf(context, ref);
  const size_t reply_begin = context.reply.buffer().size();
  if (get) {
    ReplyString(context, entry);
    if (entry != nullptr && !IsString(*entry)) return Outcome::kDone;
  }
  auto allowed = Allows(options, entry);
  base::Status status = allowed.status();
  if (status.ok()) {
    if (!*allowed) {
      if (!get) context.reply.Null();
      return Outcome::kDone;
    }
    if (options.has(kOptKeepTtl) && entry != nullptr) deadline = entry->deadline();
    status = SetValue(context, ref, context.arg(2), *deadline, options.has(kOptTime));
  }
  if (!status.ok()) {
    context.reply.buffer().Truncate(reply_begin);
    return context.Fail(status);
  }
  if (!get) context.reply.Ok();
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

Outcome Setnx(Context& context) {
  dash::Table::Ref ref = context.db->FindForWrite(context.key());
  if (ref) {
    context.reply.Integer(0);
    return Outcome::kDone;
  }
  base::Status status = SetValue(context, ref, context.arg(2), kNoDeadline, false);
  if (!status.ok()) return context.Fail(status);
  context.reply.Integer(1);
  return Outcome::kDone;
}

Outcome SetWithTime(Context& context, const TimeOption& option) {
  auto deadline = ResolveDeadline(context, option, context.arg(2));
  if (!deadline) return Outcome::kDone;
  dash::Table::Ref ref = context.db->FindForWrite(context.key());
  base::Status status = SetValue(context, ref, context.arg(3), *deadline, true);
  if (!status.ok()) return context.Fail(status);
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome Setex(Context& context) {
  return SetWithTime(context, {"EX", TimeUnit::kSeconds, TimeBase::kRelative});
}
Outcome Psetex(Context& context) {
  return SetWithTime(context, {"PX", TimeUnit::kMilliseconds, TimeBase::kRelative});
}

// ---- rows

constexpr KeySpec kReadKey[] = {{.flags = command::kKeyRo | command::kKeyAccess}};
constexpr KeySpec kUpdateKey[] = {{.flags = command::kKeyRw | command::kKeyAccess | command::kKeyUpdate}};
constexpr KeySpec kTimeKey[] = {{.flags = command::kKeyRw | command::kKeyAccess | command::kKeyUpdate,
                                 .notes = "RW and UPDATE because it changes the TTL"}};
constexpr KeySpec kTakeKey[] = {{.flags = command::kKeyRw | command::kKeyAccess | command::kKeyDelete}};
constexpr KeySpec kInsertKey[] = {{.flags = command::kKeyOw | command::kKeyInsert}};
constexpr KeySpec kOverwriteKey[] = {{.flags = command::kKeyOw | command::kKeyUpdate}};
constexpr KeySpec kSetKey[] = {
    {.flags = command::kKeyRw | command::kKeyAccess | command::kKeyUpdate | command::kKeyVariable,
     .notes = "RW and ACCESS due to the optional `GET` argument"}};

constexpr ArgSpec kKeyArgument[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0}};
constexpr ArgSpec kKeyValueArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                          {.name = "value"}};
constexpr ArgSpec kSetCondition[] = {{.name = "nx", .type = ArgType::kPureToken, .token = "NX"},
                                     {.name = "xx", .type = ArgType::kPureToken, .token = "XX"},
                                     {.name = "ifeq-value", .token = "IFEQ", .since = "8.4.0"},
                                     {.name = "ifne-value", .token = "IFNE", .since = "8.4.0"},
                                     {.name = "ifdeq-digest", .token = "IFDEQ", .since = "8.4.0"},
                                     {.name = "ifdne-digest", .token = "IFDNE", .since = "8.4.0"}};
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
constexpr ArgSpec kGetexExpiration[] = {
    {.name = "seconds", .type = ArgType::kInteger, .token = "EX"},
    {.name = "milliseconds", .type = ArgType::kInteger, .token = "PX"},
    {.name = "unix-time-seconds", .type = ArgType::kUnixTime, .token = "EXAT"},
    {.name = "unix-time-milliseconds", .type = ArgType::kUnixTime, .token = "PXAT"},
    {.name = "persist", .type = ArgType::kPureToken, .token = "PERSIST"}};
constexpr ArgSpec kGetexArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                       {.name = "expiration",
                                        .type = ArgType::kOneOf,
                                        .flags = command::kOptional,
                                        .arguments = kGetexExpiration}};
constexpr ArgSpec kSetexArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                       {.name = "seconds", .type = ArgType::kInteger},
                                       {.name = "value"}};
constexpr ArgSpec kPsetexArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                        {.name = "milliseconds", .type = ArgType::kInteger},
                                        {.name = "value"}};

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
    {.name = "getdel",
     .arity = 2,
     .flags = command::kWrite | command::kFast,
     .categories = command::kCatString,
     .keys = kTakeKey,
     .group = command::Group::kString,
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Returns the string value of a key and deletes the key.",
     .arguments = kKeyArgument,
     .handler = Getdel},
    {.name = "getex",
     .arity = -2,
     .flags = command::kWrite | command::kFast,
     .categories = command::kCatString,
     .keys = kTimeKey,
     .group = command::Group::kString,
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Returns the string value of a key and may change its time to live.",
     .arguments = kGetexArguments,
     .handler = Getex},
    {.name = "getset",
     .arity = 3,
     .flags = command::kWrite | command::kDenyOom | command::kFast,
     .categories = command::kCatString,
     .keys = kUpdateKey,
     .group = command::Group::kString,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Sets a key to a string value and returns the former one.",
     .arguments = kKeyValueArguments,
     .handler = Getset,
     .deprecated_since = "6.2.0",
     .replaced_by = "`SET` with the `!GET` argument",
     .doc_flags = command::kDocDeprecated},
    {.name = "psetex",
     .arity = 4,
     .flags = command::kWrite | command::kDenyOom,
     .categories = command::kCatString,
     .keys = kOverwriteKey,
     .group = command::Group::kString,
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Sets a key to a string value with a time to live in milliseconds.",
     .arguments = kPsetexArguments,
     .handler = Psetex},
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
    {.name = "setex",
     .arity = 4,
     .flags = command::kWrite | command::kDenyOom,
     .categories = command::kCatString,
     .keys = kOverwriteKey,
     .group = command::Group::kString,
     .since = "2.0.0",
     .complexity = "O(1)",
     .summary = "Sets a key to a string value with a time to live in seconds.",
     .arguments = kSetexArguments,
     .handler = Setex},
    {.name = "setnx",
     .arity = 3,
     .flags = command::kWrite | command::kDenyOom | command::kFast,
     .categories = command::kCatString,
     .keys = kInsertKey,
     .group = command::Group::kString,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Sets a key to a string value if there is no such key.",
     .arguments = kKeyValueArguments,
     .handler = Setnx},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> StringCommands() {
  return kRows;
}

}  // namespace moonshard::commands
